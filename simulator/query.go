package simulator

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
)

// Values of Faults.Params and Faults.FilterUnit.
const (
	// ParamsBoth reads the body and the query, the body first.
	ParamsBoth = "both"
	// ParamsBody ignores the query.
	ParamsBody = "body"
	// ParamsQuery ignores the body.
	ParamsQuery = "query"
	// UnitSeconds reads every created filter as seconds.
	UnitSeconds = "seconds"
	// UnitMillis reads every created filter as milliseconds.
	UnitMillis = "ms"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// query is what one list request asks for.
type query struct {
	min, max      int64 // bounds of created in Unix ms, both inclusive
	limit         int
	after, before string
	customer      string
	email         string
	paymentIntent string
}

// parseQuery reads the parameters of a list request from the channels that are
// honoured.
func parseQuery(values url.Values, body []byte, p *plan) (query, error) {
	params := map[string]any{}
	if p.faults.Params != ParamsBody {
		for name := range values {
			params[name] = values.Get(name)
		}
	}
	if p.faults.Params != ParamsQuery && len(body) > 0 {
		object, err := decodeObject(body)
		if err != nil {
			return query{}, invalidParam("", "Invalid request body: %v", err)
		}
		flatten(params, object)
	}
	if p.hit[faultIgnoreLimit] {
		delete(params, "limit") // not even a wrong one is noticed
	}
	return parseParams(params, p.faults.FilterUnit)
}

// flatten adds a JSON body under the names that the query string would use.
func flatten(params, body map[string]any) {
	for name, value := range body {
		inner, nested := value.(map[string]any)
		switch {
		case nested:
			for member, v := range inner {
				if v != nil {
					params[name+"["+member+"]"] = v
				}
			}
		case value != nil:
			params[name] = value
		}
	}
}

func parseParams(params map[string]any, unit string) (query, error) {
	q := query{min: math.MinInt64, max: math.MaxInt64, limit: defaultLimit}
	for name, into := range map[string]*string{
		"starting_after":          &q.after,
		"ending_before":           &q.before,
		"customer":                &q.customer,
		"customer_details[email]": &q.email,
		"payment_intent":          &q.paymentIntent,
	} {
		value, given := params[name]
		s, isText := value.(string)
		if given && !isText {
			return q, invalidParam(name, "Invalid string: %v", value)
		}
		*into = s
	}
	if q.after != "" && q.before != "" {
		return q, invalidParam("ending_before", "You may only specify one of these parameters: starting_after, ending_before.")
	}
	if raw, ok := params["limit"]; ok && raw != "" {
		n, err := strconv.Atoi(fmt.Sprint(raw))
		if err != nil || n < 1 || n > maxLimit {
			return q, invalidParam("limit", "Invalid limit: %v; it must be an integer between 1 and %d", raw, maxLimit)
		}
		q.limit = n
	}
	return q, q.parseCreated(params, unit)
}

// parseCreated turns the created filters into two inclusive bounds.
func (q *query) parseCreated(params map[string]any, unit string) error {
	for _, f := range []struct {
		name     string
		min, max bool
		shift    int64
	}{
		{"created", true, true, 0},
		{"created[gte]", true, false, 0},
		{"created[gt]", true, false, 1},
		{"created[lte]", false, true, 0},
		{"created[lt]", false, true, -1},
	} {
		raw, ok := params[f.name]
		if !ok || raw == "" {
			continue
		}
		ms, err := filterMillis(raw, unit)
		if err != nil {
			return invalidParam(f.name, "Invalid integer: %v", raw)
		}
		if f.min {
			q.min = max(q.min, ms+f.shift)
		}
		if f.max {
			q.max = min(q.max, ms+f.shift)
		}
	}
	return nil
}

// filterMillis reads one filter value, a number or a string of digits.
func filterMillis(raw any, unit string) (int64, error) {
	var digits string
	switch v := raw.(type) {
	case string:
		digits = v
	case json.Number:
		digits = v.String()
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading a created filter: %w", err)
	}
	const bound = math.MaxInt64 / 2000 // keeps the arithmetic above from overflowing
	n = min(max(n, -bound), bound)
	if unit == UnitSeconds || unit != UnitMillis && n < millisFrom {
		n *= 1000
	}
	return n, nil
}
