package cleanup_test

import (
	"fmt"
	"strings"
	"testing"
)

// stores are where objects may lie.
var stores = []string{"postgres", "file"}

func TestOldTempFilesGoWithTheirObjects(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, name := range stores {
		_, old := s.tempFile(name, 31)
		_, young := s.tempFile(name, 29)
		held, kept := s.tempFile(name, 300)
		if err := s.hold("temp_files", fmt.Sprint(held)); err != nil {
			t.Fatal(err)
		}
		dry := s.dryRun("temp-files")
		if !s.has(old) || one[int](s, `select count(*) from temp_files where location = $1`, old) != 1 {
			t.Errorf("%s: the dry run deleted it", old)
		}
		run := s.clean("temp-files")
		if s.has(old) || !s.has(young) || !s.has(kept) {
			t.Errorf("%s: there is old %t, young %t, held %t", name, s.has(old), s.has(young), s.has(kept))
		}
		if left := s.texts(`select string_agg(location, ' ' order by id) from temp_files where location like $1`, name+":%"); left != young+" "+kept {
			t.Errorf("%s: left %s", name, left)
		}
		if run.Rows != 1 || run.Bytes != 7 || run.Errors != 0 || !strings.HasSuffix(run.Sample[0], " "+old) || !run.Oldest.Equal(*run.Newest) || run.FinishedAt == nil {
			t.Errorf("%s: the run says %+v", name, run)
		}
		if !run.SetHash.Equal(dry.SetHash) || dry.Rows != run.Rows || dry.Bytes != run.Bytes || dry.Held != run.Held || !dry.DryRun || run.DryRun {
			t.Errorf("%s: the dry run said %+v, the run %+v", name, dry, run)
		}
	}
	if log := s.logged.String(); strings.Count(log, "cleanup finished") != 4 || !strings.Contains(log, "policy=temp-files") || !strings.Contains(log, "count=1 bytes=7 held=1") {
		t.Errorf("logged %s", log)
	}
}

func TestAHeldRowGoesOnceTheHoldIsRemoved(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, location := s.tempFile("file", 31)
	if err := s.hold("temp_files", fmt.Sprint(id)); err != nil {
		t.Fatal(err)
	}
	if run := s.clean("temp-files"); run.Rows != 0 || run.Held != 1 {
		t.Errorf("the run says %+v", run)
	}
	s.unhold("temp_files", fmt.Sprint(id))
	if run := s.clean("temp-files"); run.Rows != 1 || s.has(location) {
		t.Errorf("the run says %+v", run)
	}
}

// A part is old when nobody needs it: however small an age somebody sets, a report keeps what it has
// written and what it has published.
func TestPartsThatAReportNeedsStay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, name := range stores {
		kept := map[string]string{"of a running report": s.part(s.report("running"), 1, name), "of one that waits": s.part(s.report("queued"), 1, name)}
		_, published := s.artifact(name, -1)
		kept["of a published artifact"] = published[0]
		held := s.part(s.report("failed"), 1, name)
		kept["of a failed report, on hold"] = held
		left := map[string]string{"of a failed report": s.part(s.report("failed"), 1, name), "of a cancelled one": s.part(s.report("cancelled"), 1, name)}
		for _, locations := range []map[string]string{kept, left} {
			for _, location := range locations {
				s.register(location, 31)
			}
		}
		if err := s.hold("temp_files", s.texts(`select id::text from temp_files where location = $1`, held)); err != nil {
			t.Fatal(err)
		}
		if run := s.clean("temp-files"); run.Rows != 2 || run.Errors != 0 {
			t.Errorf("%s: the run says %+v", name, run)
		}
		parts := `select count(*) from artifact_parts where location = $1`
		for what, location := range kept {
			if !s.has(location) || one[int](s, parts, location) != 1 {
				t.Errorf("%s: a part %s is gone", name, what)
			}
		}
		for what, location := range left {
			if s.has(location) || one[int](s, parts, location) != 0 {
				t.Errorf("%s: a part %s is left", name, what)
			}
		}
	}
}

func TestExpiredArtifactsGoWithTheirParts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, name := range stores {
		expired, gone := s.artifact(name, 1)
		fresh, stay := s.artifact(name, -1)
		held, kept := s.artifact(name, 100)
		if err := s.hold("artifacts", fmt.Sprint(held)); err != nil {
			t.Fatal(err)
		}
		if run := s.clean("artifacts"); run.Rows != 1 || run.Bytes != 14 || run.Errors != 0 {
			t.Errorf("%s: the run says %+v", name, run)
		}
		for report, want := range map[int64]bool{expired: false, fresh: true, held: true} {
			there := one[bool](s, `select (select count(*) from artifacts where report_id = $1) = 1 and (select count(*) from artifact_parts where report_id = $1) = 2`, report)
			marked := one[bool](s, `select expired_at is not null from reports where id = $1`, report)
			if there != want || marked == want {
				t.Errorf("%s: artifact %d is there: %t, its report expired: %t; want it there: %t", name, report, there, marked, want)
			}
		}
		for _, location := range gone {
			if s.has(location) {
				t.Errorf("%s is left", location)
			}
		}
		for _, location := range append(stay, kept...) {
			if !s.has(location) {
				t.Errorf("%s is gone", location)
			}
		}
	}
}
