package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"backoffice/internal/api"
	"backoffice/internal/pgtest"
)

func TestDownloadAnswersRangesAndConditions(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, whole := s.madeCSV()
	size, tag := len(whole), `"`+sumOf(whole)+`"`
	path := downloadPath(id)
	for name, tc := range map[string]struct {
		headers []string
		status  int
		body    string
		part    string // Content-Range
	}{
		"everything":                            {nil, 200, whole, ""},
		"the first bytes":                       {[]string{"Range", "bytes=0-5"}, 206, whole[:6], fmt.Sprintf("bytes 0-5/%d", size)},
		"across two parts":                      {[]string{"Range", "bytes=10-20"}, 206, whole[10:21], fmt.Sprintf("bytes 10-20/%d", size)},
		"from a part's first byte on":           {[]string{"Range", "bytes=14-"}, 206, whole[14:], fmt.Sprintf("bytes 14-%d/%d", size-1, size)},
		"the last bytes":                        {[]string{"Range", "bytes=-4"}, 206, whole[size-4:], fmt.Sprintf("bytes %d-%d/%d", size-4, size-1, size)},
		"more than there is":                    {[]string{"Range", "bytes=20-9999"}, 206, whole[20:], fmt.Sprintf("bytes 20-%d/%d", size-1, size)},
		"the range of this very artifact":       {[]string{"Range", "bytes=0-0", "If-Range", tag}, 206, whole[:1], fmt.Sprintf("bytes 0-0/%d", size)},
		"the range of another artifact":         {[]string{"Range", "bytes=0-0", "If-Range", `"other"`}, 200, whole, ""},
		"a range of a dated artifact":           {[]string{"Range", "bytes=0-0", "If-Range", "Wed, 04 Mar 2026 12:00:00 GMT"}, 200, whole, ""},
		"several ranges":                        {[]string{"Range", "bytes=0-1,4-5"}, 200, whole, ""},
		"another unit":                          {[]string{"Range", "rows=0-1"}, 200, whole, ""},
		"what the caller has":                   {[]string{"If-None-Match", tag}, 304, "", ""},
		"what the caller has, weakly":           {[]string{"If-None-Match", `"x", W/` + tag}, 304, "", ""},
		"anything the caller has":               {[]string{"If-None-Match", "*"}, 304, "", ""},
		"something else than the caller has":    {[]string{"If-None-Match", `"other"`}, 200, whole, ""},
		"what the caller means":                 {[]string{"If-Match", tag}, 200, whole, ""},
		"the range that the caller has already": {[]string{"If-None-Match", tag, "Range", "bytes=0-1"}, 304, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.get(path, tc.headers...)
			if got.status != tc.status || got.body != tc.body || got.header.Get("Content-Range") != tc.part {
				t.Errorf("%d, %q, Content-Range %q; want %d, %q, %q", got.status, got.body, got.header.Get("Content-Range"), tc.status, tc.body, tc.part)
			}
			if got.header.Get("ETag") != tag {
				t.Errorf("ETag = %q, want %q", got.header.Get("ETag"), tag)
			}
			head := s.do(http.MethodHead, path, "", tc.headers...)
			if head.status != tc.status || head.body != "" || head.header.Get("Content-Length") != got.header.Get("Content-Length") {
				t.Errorf("HEAD: %d, %q, length %q; GET %d, length %q", head.status, head.body, head.header.Get("Content-Length"), got.status, got.header.Get("Content-Length"))
			}
		})
	}
	for _, given := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=99999999999999999999-", "bytes=5-2", "bytes=-", "bytes=-0"} {
		got := s.get(path, "Range", given)
		s.refused(got, http.StatusRequestedRangeNotSatisfiable, "header.Range", fmt.Sprintf("%d bytes", size))
		if got.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) || got.header.Get("ETag") != "" || got.header.Get("Content-Disposition") != "" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("Range %s: %v", given, got.header)
		}
	}
	s.refused(s.get(path, "If-Match", `"other"`), http.StatusPreconditionFailed, "header.If-Match")
	sum, _ := hex.DecodeString(sumOf(whole))
	if got := s.get(path).header.Get("Repr-Digest"); got != "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":" {
		t.Errorf("Repr-Digest = %q", got)
	}
}

// A reader whose connection breaks again and again goes on where it was, and ends with the same bytes.
func TestRangesReassembleToTheWhole(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	whole := large(3_000_000)
	id := s.made("text/csv", "lines.csv", whole[:1_000_001], whole[1_000_001:1_000_002], whole[1_000_002:])
	tag := s.do(http.MethodHead, downloadPath(id), "").header.Get("ETag")
	digest, read := sha256.New(), 0
	for step := 1; read < len(whole); step *= 3 {
		got := s.get(downloadPath(id), "Range", fmt.Sprintf("bytes=%d-%d", read, read+step-1), "If-Range", tag)
		if got.status != http.StatusPartialContent || got.body == "" {
			t.Fatalf("from %d: %d with %d bytes", read, got.status, len(got.body))
		}
		digest.Write([]byte(got.body))
		read += len(got.body)
	}
	if sum := hex.EncodeToString(digest.Sum(nil)); `"`+sum+`"` != tag || sum != sumOf(whole) {
		t.Errorf("the pieces have sha256 %s, the ETag is %s", sum, tag)
	}
}

func TestDownloadOfWhatIsNotThereSaysWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, _ := s.madeCSV()
	path := downloadPath(id)
	s.exec(`update artifacts set deleting_at = now()`)
	s.exec(`update reports set expired_at = now()`)
	s.refused(s.get(path), http.StatusGone, "", "report-expired")
	s.exec(`delete from artifacts`)
	s.refused(s.get(path), http.StatusGone, "", "report-expired")
	s.exec(`update reports set expired_at = null, status = 'failed', error = 'disk full'`)
	got := s.refused(s.get(path), http.StatusConflict, "", "report-failed")
	if !strings.Contains(got.Detail, "disk full") {
		t.Errorf("detail = %q, want the report's own sentence", got.Detail)
	}

	elsewhere, _ := s.madeCSV()
	s.exec(`update artifact_parts set location = replace(location, 'postgres:', 'file:') where report_id = $1`, elsewhere)
	s.refused(s.get(downloadPath(elsewhere)), http.StatusServiceUnavailable, "", "store-unknown", "--store")

	lost, _ := s.madeCSV()
	s.exec(`delete from stored_objects where path like 'reports/' || $1 || '/%'`, fmt.Sprint(lost))
	s.refused(s.get(downloadPath(lost)), http.StatusInternalServerError, "", "request id")
}

// A caller that reads slowly is served for as long as it reads, longer than any other request; one that stands
// still is not. BACKOFFICE_LONG=1 outlasts the server's limit of writing, too.
func TestDownloadLastsAsLongAsItMoves(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	whole := large(12_000_000) // more than the buffers between us hold
	id := s.made("text/csv", "lines.csv", whole[:5_000_000], whole[5_000_000:])
	limits := api.Limits{Header: time.Second, Read: 300 * time.Millisecond, Handle: 300 * time.Millisecond, Idle: time.Minute, Stop: time.Minute}
	every, piece := 100*time.Millisecond, 2*time.Second // twelve pieces: four times the limits of other requests
	if os.Getenv("BACKOFFICE_LONG") != "" {
		every, piece = 1500*time.Millisecond, 6*time.Second
	}
	address, stop := serve(t, s.api(func(cfg *api.Config) { cfg.Handle, cfg.Piece = limits.Handle, piece }), limits)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	ask := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // so that little is under way
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(wireLimit))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", downloadPath(id), address)
		return conn
	}
	slow, idle := ask(), ask()
	var text strings.Builder
	pace := time.NewTicker(every)
	defer pace.Stop()
	for {
		<-pace.C
		if _, err := io.CopyN(&text, slow, 1_000_000); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, body, _ := strings.Cut(text.String(), "\r\n\r\n"); sumOf(body) != sumOf(whole) {
		t.Errorf("a slow reader got %d of %d bytes", len(body), len(whole))
	}
	// The idle one has read nothing until the server gave it up.
	pgtest.Eventually(t, "the idle reader is given up", func() (bool, error) { return strings.Contains(s.log.String(), "download broken off"), nil })
	got, _ := io.ReadAll(idle)
	if len(got) >= len(whole) {
		t.Errorf("an idle reader got %d bytes", len(got))
	}
}

func TestDownloadGivesUpOnAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(cfg *api.Config) { cfg.Piece = 500 * time.Millisecond })
	id, whole := s.madeCSV()
	held, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(context.Background()) //nolint:errcheck // it is over by then
	if _, err := held.Exec(t.Context(), `lock table stored_chunks in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	got := s.get(downloadPath(id))
	s.refused(got, http.StatusServiceUnavailable, "", "timed-out")
	if got.header.Get("ETag") != "" || got.header.Get("Retry-After") == "" {
		t.Errorf("headers = %v", got.header)
	}
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.get(downloadPath(id)); got.body != whole {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestDownloadsAreBounded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	service := s.api()
	s.serve(service)
	id, whole := s.madeCSV()
	if !service.HoldDownloads() {
		t.Fatal("downloads are at work already")
	}
	got := s.get(downloadPath(id))
	s.refused(got, http.StatusServiceUnavailable, "", "busy")
	if got.header.Get("Retry-After") == "" {
		t.Error("a refused download does not say when to come again")
	}
	service.ReleaseDownloads()
	if got := s.get(downloadPath(id)); got.body != whole {
		t.Errorf("%d %s", got.status, got.body)
	}
}
