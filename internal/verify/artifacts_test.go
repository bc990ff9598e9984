package verify_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"backoffice/internal/store"
	"backoffice/internal/verify"
)

// keep stores an artifact of the given parts as a report's, with a true manifest, and answers its locations.
func (s *shop) keep(stores *store.Stores, id int, format string, rows int, parts ...string) {
	s.t.Helper()
	ctx, whole := s.t.Context(), strings.Join(parts, "")
	s.exec(`insert into reports (id, job_id, type, version, format, params, status, finished_at, rows, bytes) overriding system value
	        values ($1, $1, 'order-lines', 1, $2, '{}', 'completed', now(), $3, $4)`, id, format, rows, len(whole))
	sum := sha256.Sum256([]byte(whole))
	s.exec(`insert into artifacts (report_id, content_type, file_name, rows, bytes, sha256, parts, took, expires_at)
	        values ($1, '', '', $2, $3, $4, $5, '1s', now())`, id, rows, len(whole), sum[:], len(parts))
	for i, part := range parts {
		location, _, err := stores.Put(ctx, fmt.Sprintf("reports/%d/%d", id, i+1), strings.NewReader(part))
		if err != nil {
			s.t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(part))
		s.exec(`insert into artifact_parts (report_id, part_no, location, rows, bytes, sha256, hash_state, last_id) values ($1, $2, $3, null, $4, $5, '', 1)`,
			id, i+1, location, len(part), sum[:])
	}
}

func TestArtifactsAreReadByteByByte(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	stores, err := store.Open(t.Context(), "file://"+t.TempDir()+"/artifacts", s.pool)
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close()
	s.keep(stores, 1, "csv", 2, "a,b\n1,\"x\ny", "\"\n2,\"\"\"\n\"\n")
	s.keep(stores, 2, "jsonl", 2, "{\"a\":\"\\\"\"}\n", "{}\n")
	s.keep(stores, 3, "pdf", 7, "\"\n\n", "%")
	s.keep(stores, 4, "csv", 0, "a,b\n")
	s.keep(stores, 5, "jsonl", 0)
	var read int64
	result, err := verify.Artifacts(t.Context(), s.pool, stores, func(bytes int64) { read += bytes })
	if err != nil || result.LookedAt != 5 || result.Offenders != 0 || read == 0 {
		t.Fatalf("%+v, %v, %d bytes read; want 5 artifacts and no offender", result, err, read)
	}
	for i, tc := range []struct{ name, sql, want string }{
		{"a byte is another", `update artifact_parts set sha256 = sha256('x') where report_id = 1 and part_no = 2`, "has part 2 whose bytes are not those that were written"},
		{"a part is shorter", `update artifact_parts set bytes = bytes + 1 where report_id = 1 and part_no = 1`, "has part 1 of 10 bytes, but 11 are recorded"},
		{"a part is somewhere else", `update artifact_parts set location = 'file:nowhere' where report_id = 2 and part_no = 1`, "has part 1, which cannot be read"},
		{"it lies in a store that was not given", `update artifact_parts set location = 'postgres:nowhere' where report_id = 2 and part_no = 1`, "has part 1, which cannot be read"},
		{"the manifest has another checksum", `update artifacts set sha256 = sha256('x') where report_id = 3`, "not the checksum of the manifest"},
		{"the manifest has other bytes", `update artifacts set bytes = 5 where report_id = 3`, "has 4 bytes, but its manifest says 5"},
		{"a csv has other rows", `update artifacts set rows = 1 where report_id = 1`, "has 2 rows, but its manifest says 1"},
		{"a jsonl has other rows", `update artifacts set rows = 1 where report_id = 2`, "has 2 rows, but its manifest says 1"},
		{"a part is missing", `delete from artifact_parts where report_id = 3 and part_no = 2`, "has 3 bytes, but its manifest says 4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			undo := s.save()
			defer undo()
			s.exec(tc.sql)
			result, err := verify.Artifacts(t.Context(), s.pool, stores, nil)
			if err != nil || len(result.Shown) != 1 || !strings.Contains(result.Shown[0].Wrong, tc.want) {
				t.Errorf("case %d: %+v, %v; want %q", i, result.Shown, err, tc.want)
			}
		})
	}
	t.Run("what is being deleted is passed over", func(t *testing.T) {
		s.exec(`update artifacts set deleting_at = now(), bytes = 5 where report_id = 3`)
		if result, err := verify.Artifacts(t.Context(), s.pool, stores, nil); err != nil || result.LookedAt != 4 || result.Offenders != 0 {
			t.Errorf("%+v, %v", result, err)
		}
	})
	t.Run("an interrupt is an error, not an offender", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		result, err := verify.Artifacts(ctx, s.pool, stores, func(int64) { cancel() })
		if err == nil || result.Offenders != 0 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// save keeps the manifests, and answers what puts them back.
func (s *shop) save() (undo func()) {
	s.t.Helper()
	s.exec(`create table saved_artifacts as select * from artifacts`)
	s.exec(`create table saved_parts as select * from artifact_parts`)
	return func() {
		s.exec(`delete from artifacts; delete from artifact_parts`)
		s.exec(`insert into artifacts select * from saved_artifacts`)
		s.exec(`insert into artifact_parts select * from saved_parts`)
		s.exec(`drop table saved_artifacts; drop table saved_parts`)
	}
}
