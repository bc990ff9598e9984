package api_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inventor makes up JSON for a schema: what fits it, and now and then what does not.
type inventor struct {
	*rand.Rand
	spec *spec
	wild float64 // how often a value is one that does not fit
	most int64   // ids up to this one are made up, whether they exist or not
}

// odd says yes once in a while.
func (v *inventor) odd(chance float64) bool { return v.Float64() < chance }

func pick[T any](v *inventor, from []T) T { return from[v.IntN(len(from))] }

// named makes up values for fields whose schema does not say what leads anywhere.
var named = map[string]func(v *inventor) string{
	"id":       func(v *inventor) string { return v.id() },
	"order_id": func(v *inventor) string { return v.id() },
	"after":    func(v *inventor) string { return v.id() },
	"sku":      func(v *inventor) string { return quoted(pick(v, fuzzSKUs)) },
	"quantity": func(v *inventor) string { return strconv.Itoa(pick(v, []int{1, 1, 2, 3, 9, 1000, -1, 2147483647})) },
	"number":   func(v *inventor) string { return quoted("N-" + strconv.FormatInt(v.Int64N(v.most/2+1), 10)) },
	"kind": func(v *inventor) string {
		return quoted(pick(v, []string{"process_order", "reconcile_orders", "generate_report"}))
	},
	"queue": func(v *inventor) string { return quoted(pick(v, []string{"orders", "maintenance"})) },
	"name": func(v *inventor) string {
		return quoted(pick(v, []string{"orders", "maintenance", "nothing", "broken"}))
	}, // of queues, and of schedules
	"spec": func(v *inventor) string {
		return quoted(pick(v, []string{"0 6 * * *", "*/15 * * * MON-FRI", "@daily", "every 30s", "every 1h", "0 0 29 2 *", "0 0 30 2 *", "60 * * * *", "soon"}))
	},
	"timezone": func(v *inventor) string {
		return quoted(pick(v, []string{"UTC", "Europe/London", "Asia/Kolkata", "Mars/Olympus"}))
	},
	"args": func(v *inventor) string {
		return pick(v, []string{`{"order_id":` + v.id() + `}`, `{}`, `{"type":"order-lines","format":"csv"}`})
	},
	"type": func(v *inventor) string {
		return quoted(pick(v, []string{"order-lines", "order-lines", "sales-summary", "weather"}))
	},
	"params": func(v *inventor) string {
		return pick(v, []string{`{}`, `{"country":"C` + v.id() + `"}`, `{"from":"2026-01-01","to":"2026-12-31"}`, `{"from":"2026-01-02","to":"2026-01-01"}`, `{"colour":1}`})
	},
	"unit_price": func(v *inventor) string {
		return quoted(pick(v, []string{"0", "0.0001", "3.20", "12", "9999999999.9999", "-5.5"}))
	},
}

// fuzzSKUs are the products of the shop; of some there is little.
var fuzzSKUs = []string{"TIN", "TIN", "TIN", "CUP", "RARE", "85123A", "never seen", "ünï💡"}

func (v *inventor) id() string { return strconv.FormatInt(1+v.Int64N(v.most), 10) }

func quoted(text string) string {
	encoded, _ := json.Marshal(text) // of text it cannot fail
	return string(encoded)
}

// value makes up JSON for a field of the given name.
func (v *inventor) value(name string, schema map[string]any) string {
	if v.odd(v.wild) {
		return v.nonsense()
	}
	schema = v.spec.resolve(schema)
	if values, ok := schema["enum"].([]any); ok {
		return quoted(pick(v, values).(string))
	}
	if invent, ok := named[name]; ok && !v.odd(0.1) {
		return invent(v)
	}
	switch typeOf(schema) {
	case "object":
		return v.object(schema)
	case "array":
		return v.array(name, schema)
	case "integer":
		return strconv.FormatInt(v.between(schema), 10)
	case "boolean":
		return pick(v, []string{"true", "false"})
	case "string":
		return quoted(v.text(schema))
	}
	return "null"
}

func typeOf(schema map[string]any) string {
	if kinds, ok := schema["type"].([]any); ok { // nullable
		return kinds[0].(string)
	}
	kind, _ := schema["type"].(string)
	return kind
}

func (v *inventor) object(schema map[string]any) string {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	var members []string
	for _, name := range sortedKeys(properties) {
		needed := slices.Contains(required, any(name))
		if needed && v.odd(v.wild/2) || !needed && !v.odd(0.3) {
			continue
		}
		member := quoted(name) + ":" + v.value(name, properties[name].(map[string]any))
		if v.odd(v.wild / 4) { // "Lines" is not "lines"
			member = strings.Replace(member, name, strings.ToUpper(name), 1)
		}
		members = append(members, member)
		if v.odd(v.wild / 4) {
			members = append(members, member) // given twice
		}
	}
	if v.odd(v.wild / 2) {
		members = append(members, pick(v, []string{`"unknown":1`, `"":""`, `"__proto__":{}`, `"a\u0000":1`, "\"\xff\":1", `"status":"processed"`, `"$schema":"x"`}))
	}
	v.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ",") + "}"
}

func (v *inventor) array(name string, schema map[string]any) string {
	count := 1 + v.IntN(3)
	if v.odd(v.wild / 4) {
		count = pick(v, []int{0, 1001})
	}
	item, _ := schema["items"].(map[string]any)
	var items []string
	for bytes := 0; len(items) < count && bytes < fuzzMaxBatch; bytes += len(items[len(items)-1]) {
		if n := len(items); n >= 5 { // the same again
			items = append(items, items[n-5])
			continue
		}
		items = append(items, v.value(strings.TrimSuffix(name, "s"), item))
	}
	return "[" + strings.Join(items, ",") + "]"
}

// between is an integer in the schema's range, often at its ends.
func (v *inventor) between(schema map[string]any) int64 {
	limit := func(name string, otherwise int64) int64 {
		if n, err := schema[name].(json.Number).Int64(); err == nil {
			return n
		}
		return otherwise
	}
	low, high := int64(-1)<<40, int64(1)<<40
	if schema["minimum"] != nil {
		low = limit("minimum", low)
	}
	if schema["maximum"] != nil {
		high = limit("maximum", high)
	}
	return pick(v, []int64{low, high, low + v.Int64N(high-low+1), low + v.Int64N(min(high-low, 50)+1)})
}

func (v *inventor) text(schema map[string]any) string {
	switch pattern, _ := schema["pattern"].(string); {
	case schema["format"] == "date-time":
		return pick(v, []string{time.Unix(v.Int64N(1<<32), 0).UTC().Format(time.RFC3339), "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
			"2026-02-28T12:00:00+14:00", "1970-01-01T00:00:00-23:59", "2126-01-01T00:00:00Z"})
	case pattern != "":
		return v.matching(pattern)
	}
	longest := int64(40)
	if given, ok := schema["maxLength"].(json.Number); ok {
		longest, _ = given.Int64()
	}
	alphabet := pick(v, [][]rune{[]rune("abcXYZ019 -_."), []rune("äß漢💡\u200b\u202e'\"\\%;<>&\n\t\x7f")})
	text := make([]rune, 1+v.Int64N(pick(v, []int64{min(5, longest), longest})))
	for i := range text {
		text[i] = pick(v, alphabet)
	}
	return string(text)
}

// matching makes up text that a regular expression matches.
func (v *inventor) matching(pattern string) string {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err) // of a test, about the document
	}
	return v.expression(parsed)
}

func (v *inventor) expression(e *syntax.Regexp) string {
	least, most := e.Min, e.Max
	switch e.Op {
	case syntax.OpLiteral:
		return string(e.Rune)
	case syntax.OpCharClass:
		i := 2 * v.IntN(len(e.Rune)/2)
		return string(e.Rune[i] + rune(v.IntN(int(min(e.Rune[i+1]-e.Rune[i], 200))+1)))
	case syntax.OpConcat:
		var all strings.Builder
		for _, part := range e.Sub {
			all.WriteString(v.expression(part))
		}
		return all.String()
	case syntax.OpAlternate:
		return v.expression(pick(v, e.Sub))
	case syntax.OpCapture:
		return v.expression(e.Sub[0])
	case syntax.OpQuest:
		least, most = 0, 1
	case syntax.OpStar:
		least, most = 0, 4
	case syntax.OpPlus:
		least, most = 1, 8
	case syntax.OpRepeat:
	default: // ^ and $
		return ""
	}
	if most < 0 {
		most = least + 4
	}
	var all strings.Builder
	for range least + v.IntN(most-least+1) {
		all.WriteString(v.expression(e.Sub[0]))
	}
	return all.String()
}

// absurd is JSON, or nearly, that no field takes.
var absurd = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `-0`, `1e400`, `-1E-400`, `1e5`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775809`,
	strings.Repeat("9", 90), strings.Repeat("9", 5000), `0x10`, `01`, `+1`, `.5`, `1.`, `NaN`, `Infinity`,
	`""`, `" "`, `"\u0000"`, `"a\u0000b"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00"`, `"\x"`, `"\u12"`, "\"\xff\xfe\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\x00\"", "\"\n\"",
	`"'; drop table orders; --"`, `"%s%n{{.}}${jndi}"`, `"<script>alert(1)</script>"`, `"../../etc/passwd"`, `"2026-13-45T99:99:99Z"`, `"2016-12-31T23:59:60Z"`, `"10000-01-01T00:00:00Z"`,
	`"1e5"`, `"NaN"`, `"0.00001"`, `"１２"`, `"99999999999999999999"`, `"1"`, `"true"`, `"null"`,
	`[]`, `{}`, `[[]]`, `[null]`, `{"":null}`, `{"a":1,"a":2}`, `[1,]`, `{"a":1,}`, `{a:1}`, `'a'`, `"never closed`, `[`, `{"a"`, `}`, `/**/1`, `1 2`, ``,
	strings.Repeat("[", 40) + strings.Repeat("]", 40), strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), strings.Repeat("[", 20_000),
	`"` + strings.Repeat("x", 3000) + `"`, `"` + strings.Repeat("漢", 1001) + `"`,
}

// neverText are strings of JSON that stand for no text, or for none that Postgres holds.
var neverText = []string{`"\u0000"`, `"a\u0000b"`, `"\ud800"`, `"\udc00\ud800"`}

func (v *inventor) nonsense() string {
	if v.odd(0.05) {
		return fmt.Sprintf("%d", v.Uint64())
	}
	return pick(v, absurd)
}
