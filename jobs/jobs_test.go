package jobs_test

import (
	"testing"
	"time"

	"backoffice/jobs"
)

func TestContractNamesWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	whole := jobs.ProcessOrderArgs{}.Contract()
	if err := whole.Check(); err != nil {
		t.Fatalf("a whole contract: %v", err)
	}
	for field, leaveOut := range map[string]func(*jobs.Contract){
		"Kind":                func(c *jobs.Contract) { c.Kind = "" },
		"Queue":               func(c *jobs.Contract) { c.Queue = "" },
		"Timeout":             func(c *jobs.Contract) { c.Timeout = 0 },
		"MaxAttempts":         func(c *jobs.Contract) { c.MaxAttempts = 0 },
		"Retry":               func(c *jobs.Contract) { c.Retry.First = 0 },
		"Retry, its limit":    func(c *jobs.Contract) { c.Retry.Max = c.Retry.First - 1 },
		"Retention":           func(c *jobs.Contract) { c.Retention.Completed = 0 },
		"Retention of failed": func(c *jobs.Contract) { c.Retention.Failed = 0 },
		"Harmless":            func(c *jobs.Contract) { c.Harmless = "" },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			contract := whole
			leaveOut(&contract)
			if err := contract.Check(); err == nil {
				t.Error("the contract was accepted")
			}
		})
	}
}

func TestDecodeRefusesByName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, args, want string }{
		{"an unknown field", `{"order_id": 1, "colour": "red"}`, `args: unknown field "colour"`},
		{"a field in other letters", `{"Order_ID": 1}`, `args: unknown field "Order_ID"`},
		{"a field given twice", `{"order_id": 1, "order_id": 2}`, `args: field "order_id" is given twice`},
		{"null", `null`, `args: field "order_id" wants the id of an order, not 0`},
		{"a wrong type", `{"order_id": "1"}`, `args: field "order_id" wants int64, not a JSON string`},
		{"a fraction", `{"order_id": 1.5}`, `args: field "order_id" wants int64, not a JSON number 1.5`},
		{"no object", `[1]`, `args: wants a JSON object, got array`},
		{"a missing field", `{}`, `args: field "order_id" wants the id of an order, not 0`},
		{"something behind the object", `{"order_id": 1} {}`, `args: something follows the JSON object`},
		{"no JSON", `order 1`, `args: not valid JSON: invalid character 'o' looking for beginning of value`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			args, err := jobs.Decode[jobs.ProcessOrderArgs]([]byte(tc.args))
			if err == nil {
				t.Fatalf("accepted as %+v", args)
			}
			if err.Error() != tc.want {
				t.Errorf("error %q, want %q", err, tc.want)
			}
		})
	}
	args, err := jobs.Decode[jobs.ProcessOrderArgs]([]byte(`{"order_id": 41}`))
	if err != nil || args != (jobs.ProcessOrderArgs{OrderID: 41}) {
		t.Errorf("Decode = %+v, %v", args, err)
	}
}

func TestRetryDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	retry := jobs.Retry{First: time.Second, Max: 5 * time.Second}
	for attempt, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 4: 5, 5: 5, 1000: 5} {
		want *= time.Second
		if got := retry.Nominal(attempt); got != want {
			t.Errorf("Nominal(%d) = %s, want %s", attempt, got, want)
		}
		shortest, longest := retry.Bounds(attempt)
		for range 1000 {
			if wait := retry.Wait(attempt); wait < shortest || wait > longest {
				t.Fatalf("Wait(%d) = %s, outside %s to %s", attempt, wait, shortest, longest)
			}
		}
	}
	for attempts, want := range map[int]string{
		1: "none", 2: "1s, each ±20%", 4: "1s 2s 4s, each ±20%", 5: "1s 2s 4s 5s, each ±20%", 9: "1s 2s 4s, then 5s, each ±20%",
	} {
		if got := retry.Waits(attempts); got != want {
			t.Errorf("Waits(%d) = %q, want %q", attempts, got, want)
		}
	}
}
