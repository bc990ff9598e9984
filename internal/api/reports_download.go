package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"backoffice/internal/report"
	"backoffice/internal/report/render"
)

// maxDownloads are at work at once: each holds a piece of its artifact in memory for as long as its caller
// takes.
const maxDownloads = 64

func (a *API) reportDownloadRoutes() {
	register(a, route{
		id: "downloadReport", method: http.MethodGet, path: reportsPath + "/{id}/download", tag: tagReports, scope: ScopeRead, status: http.StatusOK,
		streams: true, responses: downloadResponses(),
		errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable},
		summary: "Download a completed report",
		about: "`ETag` is the sha256 of all its bytes: check what has arrived against it, and go on after a break with `Range` and `If-Range`. It may take as long as it needs, as long as it moves. " +
			"409: it is not completed yet (`Retry-After` says when to look again), or it failed or was cancelled; 410: its time is over and it is deleted.",
	}, a.downloadReport)
}

// downloadResponses describe what a stream answers, which no type tells.
func downloadResponses() map[string]*huma.Response {
	text := func(about string) *huma.Header {
		return &huma.Header{Description: about, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	whole := map[string]*huma.Header{
		"Accept-Ranges":       text("bytes"),
		"Content-Disposition": text("attachment, with a file name."),
		"ETag":                text("The sha256 of all bytes, in hexadecimal and quotes."),
		"Repr-Digest":         text("The same as RFC 9530 writes it: sha-256=:BASE64:"),
	}
	part := maps.Clone(whole)
	part["Content-Range"] = text("Which bytes of how many: bytes 0-99/1234")
	content := map[string]*huma.MediaType{}
	for _, format := range []render.Format{render.FormatCSV, render.FormatJSONL, render.FormatXLSX, render.FormatPDF, render.FormatHTML} {
		media, _, _ := mime.ParseMediaType(format.ContentType())
		content[media] = &huma.MediaType{Schema: &huma.Schema{Description: "The bytes of the report."}}
	}
	return map[string]*huma.Response{
		"200": {Description: "All of it", Headers: whole, Content: content},
		"206": {Description: "The range that was asked for", Headers: part, Content: content},
		"304": {Description: "It is what If-None-Match names", Headers: map[string]*huma.Header{"ETag": whole["ETag"]}},
	}
}

// downloadReport declares the headers that http.ServeContent reads.
func (a *API) downloadReport(_ context.Context, in *struct {
	ReportID
	Range       string `header:"Range" doc:"One range of bytes, such as bytes=1000- or bytes=-500. Several ranges, or another unit, are answered with all of it." example:"bytes=0-99"`
	IfRange     string `header:"If-Range" doc:"The ETag that Range is meant for: all of it is answered when it is another."`
	IfMatch     string `header:"If-Match" doc:"412 unless the ETag is among these."`
	IfNoneMatch string `header:"If-None-Match" doc:"304 if the ETag is among these."`
}) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		r = r.WithContext(ctx.Context())
		if err := a.send(w, r, in.ID); err != nil {
			problem := a.problemOf(r.Context(), notFoundAt("path.id", err))
			var told huma.HeadersError
			if errors.As(problem, &told) {
				maps.Copy(w.Header(), told.GetHeaders())
			}
			writeProblem(w, asModel(problem))
		}
	}}, nil
}

// oneRange is what http.ServeContent is asked to serve a part for; of several it would make a multipart.
var oneRange = regexp.MustCompile(`^bytes=[0-9]*-[0-9]*$`)

// send answers with the artifact of a report, or the part that the request asks for. An error means that
// nothing was sent; a fault after that ends the connection before its time, which the reader sees.
func (a *API) send(w http.ResponseWriter, r *http.Request, id int64) error {
	if !a.downloads.TryAcquire(1) {
		return refuse(errBusy, "", "%d downloads are at work at this moment; repeat the request later", maxDownloads)
	}
	defer a.downloads.Release(1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stalled := time.AfterFunc(a.Piece, cancel) // whichever side it is that does not move
	defer stalled.Stop()
	opened, m, err := report.Open(ctx, a.Pool, a.Stores, id, 0)
	if err != nil {
		return stalledOr(r.Context(), err)
	}
	content := &artifactReader{opened: opened, size: m.Bytes, open: func(offset int64) (io.ReadCloser, error) {
		again, _, err := report.Open(ctx, a.Pool, a.Stores, id, offset)
		return again, err
	}}
	defer content.close()
	out := &downloadWriter{ResponseWriter: w, control: http.NewResponseController(w), limit: a.Piece, stalled: stalled}
	describeArtifact(w.Header(), m)
	http.ServeContent(out, singleRange(r), m.FileName, time.Time{}, content)
	if fault := errors.Join(content.err, out.err); fault != nil && out.sent {
		a.Log.WarnContext(ctx, "download broken off", "request_id", callOf(ctx).id, "report_id", id, "at", content.at, "bytes", m.Bytes, "error", fault)
		return nil // the announced length is not kept: net/http closes the connection
	}
	if content.err == nil && out.status < http.StatusBadRequest {
		out.flush()
		return nil
	}
	undescribe(w.Header())
	switch {
	case content.err != nil:
		return stalledOr(r.Context(), content.err)
	case out.status == http.StatusPreconditionFailed:
		return problemAt(out.status, "header.If-Match", "the report's ETag is %q, and If-Match names others", m.SHA256)
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", m.Bytes))
	return problemAt(http.StatusRequestedRangeNotSatisfiable, "header.Range", "the report has %d bytes, and none of them is in the range", m.Bytes)
}

// stalledOr tells a store that did not answer in time from a caller that has left.
func stalledOr(caller context.Context, err error) error {
	if errors.Is(err, context.Canceled) && caller.Err() == nil {
		return fmt.Errorf("read artifact: %w", context.DeadlineExceeded)
	}
	return err
}

// noBytes asks for the last none of the bytes, which cannot be satisfied (RFC 9110, 14.1.2).
var noBytes = regexp.MustCompile(`^bytes=-0+$`)

// singleRange is the request without a Range that is to be ignored, and with one that http.ServeContent refuses
// in the place of one that it should.
func singleRange(r *http.Request) *http.Request {
	given := r.Header.Get("Range")
	if given == "" || oneRange.MatchString(given) && !noBytes.MatchString(given) {
		return r
	}
	r = r.Clone(r.Context())
	if r.Header.Del("Range"); noBytes.MatchString(given) {
		r.Header.Set("Range", "bytes=-")
	}
	return r
}

// describeArtifact sets the headers of an artifact.
func describeArtifact(h http.Header, m report.Manifest) {
	h.Set("Content-Type", m.ContentType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.FileName}))
	h.Set("ETag", strconv.Quote(m.SHA256))
	if digest, err := hex.DecodeString(m.SHA256); err == nil {
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest)+":")
	}
}

// undescribe takes away what a problem does not have, and gives back what http.ServeContent took away.
func undescribe(h http.Header) {
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Repr-Digest"} {
		h.Del(name)
	}
	for name, value := range everyAnswer {
		h.Set(name, value)
	}
}
