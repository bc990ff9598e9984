package periodic_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"backoffice/periodic"
)

// ruleZone is a zone of which nothing is tabulated: its clocks go by a rule from 1970 on, as those of a slim time
// zone database, such as the one in the program, go by one from this year on, and those of others from 2038 on.
func ruleZone(t *testing.T, name, rule string) *time.Location {
	t.Helper()
	header := func(version byte) []byte { // no leap seconds; one change; one sort of local time; its name of 4 bytes
		head := append([]byte("TZif"), version)
		head = append(head, make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, 1, 1, 4} {
			head = binary.BigEndian.AppendUint32(head, n)
		}
		return head
	}
	data := bytes.NewBuffer(header('2'))
	data.Write(make([]byte, 4+1+6+4)) // the first part has times of 32 bits, and is not read
	data.Write(header('2'))
	data.Write(make([]byte, 8+1)) // the change, in 1970, and its sort of local time
	data.Write(make([]byte, 6))   // that is UTC
	data.WriteString("LMT\x00\n" + rule + "\n")
	zone, err := time.LoadLocationFromTZData(name, data.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// Beyond what is tabulated, Go lets leap years end a day early.
func TestTicksAroundTheEndOfALeapYear(t *testing.T) {
	t.Parallel()
	zones := map[string]*time.Location{}
	for name, rule := range map[string]string{
		"Europe/London": "GMT0BST,M3.5.0/1,M10.5.0", "America/New_York": "EST5EDT,M3.2.0,M11.1.0", "America/St_Johns": "NST3:30NDT,M3.2.0,M11.1.0",
		"Australia/Sydney": "AEST-10AEDT,M10.1.0,M4.1.0/3", "Pacific/Chatham": "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
	} {
		zones[name+" by rule"] = ruleZone(t, name, rule)
		installed, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones[name+" as installed"] = installed
	}
	var lines []*naive
	for _, line := range []string{"0 0 1 1 *", "0 0 31 12 *", "30 23 31 12 *", "15 12 30,31 * *", "0 0 * * *", "*/20 * * * *", "5 */6 * * *", "0 1 1 2 *"} {
		lines = append(lines, readNaive(line))
	}
	for name, zone := range zones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, year := range []int{2028, 2032, 2040, 2096, 2104, 2400} {
				wantTicksAround(t, zone, lines, time.Date(year, time.December, 29, 0, 0, 0, 0, time.UTC))
			}
		})
	}
}

// wantTicksAround compares Next with a walk of every minute of 40 days.
func wantTicksAround(t *testing.T, zone *time.Location, lines []*naive, from time.Time) {
	t.Helper()
	until := from.AddDate(0, 0, 40)
	for at := from; at.Before(until); at = at.Add(time.Minute) { // or Next would not end, and no test would tell
		if end := periodic.Changes(at, zone); !end.IsZero() && !end.After(at) {
			t.Fatalf("after %s clocks are changed at %s", at, end)
		}
	}
	next, coming := make([]func(time.Time) time.Time, len(lines)), make([]time.Time, len(lines))
	for i, line := range lines {
		schedule, err := periodic.ParseCron(line.text, zone)
		if err != nil {
			t.Fatal(err)
		}
		next[i], coming[i] = schedule.Next, schedule.Next(from.Add(-time.Second))
	}
	w := newWalker(zone, lines)
	w.at(from.Add(-time.Minute), nil)
	for at := from; at.Before(until); at = at.Add(time.Minute) {
		for _, i := range w.at(at, nil) {
			if !coming[i].Equal(at) {
				t.Fatalf("%q is due at %s, but Next says %s", lines[i].text, at.In(zone), coming[i].In(zone))
			}
			coming[i] = next[i](at)
		}
	}
	for i, at := range coming {
		if at.Before(until) {
			t.Errorf("Next says that %q is due at %s, the walk does not", lines[i].text, at.In(zone))
		}
	}
}
