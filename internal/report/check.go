package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"backoffice/internal/report/render"
	"backoffice/jobs"
)

// request is a checked one, with what it names looked up.
type request struct {
	args   jobs.GenerateReportArgs // all parameters written out
	kind   Type
	format render.Format
	params Params
}

// Check refuses what no report can be made of, in one sentence that names the field and wraps ErrInvalid:
// an unknown type, a format the type does not offer, parameters it does not have or cannot use. It answers the
// args with all parameters written out, so that equal requests are equal. Args with a period are checked and
// answered as they are: their days are known at the tick only.
func Check(args jobs.GenerateReportArgs) (jobs.GenerateReportArgs, error) {
	if args.Period == "" {
		asked, err := check(args)
		return asked.args, err
	}
	resolved, err := resolve(args, time.Now())
	if err == nil {
		_, err = check(resolved)
	}
	return args, err
}

// resolve puts the days of a period, as seen at an instant, into the parameters.
func resolve(args jobs.GenerateReportArgs, at time.Time) (jobs.GenerateReportArgs, error) {
	if err := args.Validate(); err != nil {
		return args, say(ErrInvalid, "%s", err)
	}
	resolved, err := args.At(at)
	if err != nil {
		return args, Invalid("period", "%s", err)
	}
	return resolved.(jobs.GenerateReportArgs), nil
}

// check is Check of args without a period.
func check(args jobs.GenerateReportArgs) (asked request, err error) {
	asked.args = args
	if asked.kind, err = TypeOf(args.Type); err != nil {
		return asked, err
	}
	if asked.format, err = asked.kind.offers(args.Format); err != nil {
		return asked, err
	}
	if args.Timezone != "" {
		return asked, Invalid("timezone", "timezone %q stands beside a period such as yesterday only; days have theirs in params", args.Timezone)
	}
	asked.params = asked.kind.NewParams()
	if err = decodeParams(asked.kind, args.Params, asked.params); err != nil {
		return asked, err
	}
	if err = asked.params.Complete(); err != nil {
		return asked, err
	}
	if asked.args.Params, err = json.Marshal(asked.params); err != nil {
		return asked, fmt.Errorf("encode params of %s: %w", asked.kind.Name, err)
	}
	return asked, nil
}

// decodeParams reads parameters strictly: an unknown field, one in other letters, one given twice, a wrong type,
// or something that is no object is refused by name.
func decodeParams(kind Type, encoded json.RawMessage, into Params) error {
	if len(encoded) == 0 {
		return nil
	}
	if err := checkNames(kind, encoded); err != nil {
		return err
	}
	err := json.Unmarshal(encoded, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		name := wrongType.Field[strings.LastIndex(wrongType.Field, ".")+1:] // without the embedded struct it is in
		return Invalid(name, "params: field %q wants %s, not a JSON %s", name, wrongType.Type, wrongType.Value)
	case err != nil:
		return Invalid("params", "params: %s", err)
	}
	return nil
}

// checkNames refuses the names that encoding/json lets pass.
func checkNames(kind Type, encoded json.RawMessage) error {
	known := paramNames(kind)
	dec := json.NewDecoder(bytes.NewReader(encoded))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return Invalid("params", "params wants a JSON object, such as {\"from\": \"2010-12-01\"}")
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return Invalid("params", "params: not valid JSON: %s", err)
		}
		name, _ := token.(string)
		switch {
		case !slices.Contains(known, name):
			return Invalid(name, "params: %s has no parameter %q; it has %s", kind.Name, name, strings.Join(known, ", "))
		case seen[name]:
			return Invalid(name, "params: %q is given twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return Invalid(name, "params: %q: not valid JSON: %s", name, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return Invalid("params", "params: not valid JSON: %s", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Invalid("params", "params: something follows the JSON object")
	}
	return nil
}

// paramNames are the names of a type's parameters, in the order in which it declares them.
func paramNames(kind Type) (names []string) {
	for _, parameter := range kind.Parameters() {
		names = append(names, parameter.Name)
	}
	return names
}
