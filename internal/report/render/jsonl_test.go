package render_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/report/render"
)

func TestJSONLKeepsTheOrderOfColumnsAndMoneyAsAString(t *testing.T) {
	t.Parallel()
	want := `{"text":"x","count":-3,"money":"3706827.641","ratio":0.125,"day":"2010-12-01","at":"2010-12-01T07:26:03.12Z","took":90}
{"text":"y","count":4611686018427387904,"money":"-0.001","ratio":0.3333333333333333333,"day":"1899-01-02","at":"2011-06-01T04:15:27Z","took":0.25}
{"text":null,"count":null,"money":null,"ratio":null,"day":null,"at":null,"took":null}
{"text":"z","count":0,"money":"100","ratio":0,"day":"2012-02-29","at":"2012-02-29T23:59:59.999999Z","took":1.5}
`
	if diff := cmp.Diff(want, string(written(t, render.FormatJSONL, single(allColumns, allRows...)))); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestJSONLBringsEveryTextBack(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSuffix(string(written(t, render.FormatJSONL, texts(hardTexts))), "\n"), "\n")
	if want := `"a":"<b>&amp;</b>"`; !strings.Contains(strings.Join(lines, "\n"), want) {
		t.Errorf("%s is missing: people read these lines too", want)
	}
	if len(lines) != len(hardTexts) {
		t.Fatalf("%d lines, want %d", len(lines), len(hardTexts))
	}
	for i, line := range lines {
		var row struct{ A, B any }
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.A != hardTexts[i] || row.B != hardTexts[i] {
			t.Errorf("%s reads as %q (%v), want %q", line, row.A, err, hardTexts[i])
		}
	}
}

func TestJSONLOfSeveralSectionsNamesThem(t *testing.T) {
	t.Parallel()
	lines := strings.Split(string(written(t, render.FormatJSONL, salesSummary())), "\n")
	if want := `{"section":"period","key":"2010-12","orders":1400,"units":228200,"returns":"-74789.12","net":"748957.02","average":"534.97","share":0.2020479`; !strings.HasPrefix(lines[0], want) {
		t.Errorf("first line = %s, want it to begin %s", lines[0], want)
	}
	if want := `{"section":"country","key":"United Kingdom",`; !strings.HasPrefix(lines[6], want) {
		t.Errorf("seventh line = %s, want it to begin %s", lines[6], want)
	}
}
