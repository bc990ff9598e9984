package queue_test

import (
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
	"backoffice/internal/queue"
)

func TestOldBuildLeavesNewKindsToTheNewBuild(t *testing.T) {
	t.Parallel()
	pool, url := faultDatabase(t)
	startFault(t, faultConfig{URL: url, ClientID: "old", Kinds: []string{"fault"}})
	newBuild, err := queue.NewInserter(pool)
	if err != nil {
		t.Fatal(err)
	}
	const pairs = 20
	insert := func() {
		for range pairs {
			if _, err := newBuild.InsertMany(t.Context(), []river.InsertManyParams{{Args: strangerArgs{}}, {Args: faultArgs{Do: doEffect}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	insert()
	pgtest.Eventually(t, "the old build has done all it knows", func() (bool, error) {
		return count(t, pool, `select count(*) from river_job where kind = 'fault' and state = 'completed'`) == pairs, nil
	})
	if n := count(t, pool, `select count(*) from river_job where kind = 'stranger' and state = 'available' and attempt = 0 and attempted_by is null`); n != pairs {
		t.Errorf("%d of %d jobs of the new kind wait untouched", n, pairs)
	}

	startFault(t, faultConfig{URL: url, ClientID: "new"})
	insert()
	pgtest.Eventually(t, "all jobs are final", func() (bool, error) {
		return count(t, pool, `select count(*) from river_job where finalized_at is null`) == 0, nil
	})
	wantEffectsOnce(t, pool, "faults", 4*pairs)
	for _, state := range []rivertype.JobState{rivertype.JobStateDiscarded, rivertype.JobStateCancelled} {
		if n := count(t, pool, `select count(*) from river_job where state = $1`, state); n != 0 {
			t.Errorf("%d jobs are %s", n, state)
		}
	}
	if n := count(t, pool, `select count(*) from river_job where attempt <> 1 or cardinality(errors) > 0`); n != 0 {
		t.Errorf("%d jobs have burnt an attempt", n)
	}
	if n := count(t, pool, `select count(*) from fault_effects join river_job on id = job_id where kind = 'stranger' and client_id <> 'new'`); n != 0 {
		t.Errorf("%d jobs of the new kind ran in the old build", n)
	}
}
