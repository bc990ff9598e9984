package cleanup_test

import (
	"strings"
	"testing"

	"backoffice/internal/cleanup"
	"backoffice/jobs"
)

// A dry run counts as errors what the run could not delete, so both are about the same set.
func TestADryRunPromisesWhatThisProcessCanDelete(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tempFile("postgres", 31)
	for n := range 4 {
		id, _ := s.tempFile("file", 40)
		if n == 0 {
			s.exec(`update temp_files set deleting_at = now() where id = $1`, id)
		}
	}
	s.stores = s.open("postgres:")
	dry := s.dryRun("temp-files")
	run := s.cleanBy(jobs.CleanUpArgs{Policy: "temp-files", Cutoff: &dry.Cutoff})
	for what, r := range map[string]cleanup.Run{"the dry run": dry, "the run": run} {
		if r.Rows != 1 || r.Errors != 4 || !strings.Contains(r.Error, "--store file:///DIR") || !r.SetHash.Equal(run.SetHash) {
			t.Errorf("%s says %+v, want 1 row, 4 errors and the cure", what, r)
		}
	}
}
