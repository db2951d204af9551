package config

import (
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/publish"
)

// Bounds of a destination.
const (
	mostInFlight    = 10_000
	shortestSlot    = time.Millisecond
	longestTimeout  = time.Hour
	longestSlot     = 365 * day
	leastStatus     = 300 // below are answers that accept or go on
	greatestStatus  = 599
	mostReplicas    = 5 // of JetStream
	signingPrefix   = "whsec_"
	shortestKey     = 24
	longestKey      = 64
	mostOfASchedule = 1000
)

func (l *loader) checkDestinations() {
	l.names("destinations", len(l.config.Destinations), func(i int) string { return l.config.Destinations[i].Name })
	for i := range l.config.Destinations {
		path, d := index("destinations", i), &l.config.Destinations[i]
		if l.untouchable(path) {
			continue
		}
		if _, given := l.places[join(path, "type")]; !given {
			l.errorf(join(path, "type"), codeRequired, "%s.type is required: http or nats", path)
			continue
		}
		l.oneOf(join(path, "type"), d.Type, publish.TypeHTTP, publish.TypeNATS)
		l.checkDelivery(path, d)
		switch d.Type {
		case publish.TypeHTTP:
			l.onlyFor(path, publish.TypeNATS, natsKeys)
			l.checkHTTP(path, d)
		case publish.TypeNATS:
			l.onlyFor(path, publish.TypeHTTP, httpKeys)
			l.checkNATS(path, d.NATS, true)
			l.checkStream(path, d)
		}
	}
}

// onlyFor reports keys that mean nothing to the destination's type.
func (l *loader) onlyFor(path, other string, keys []string) {
	for _, key := range keys {
		at := join(path, key)
		if p, given := l.places[at]; given && !l.untouchable(at) {
			problem := Problem{File: p.origin.File, Line: p.origin.Line, Column: p.origin.Column}
			if l.keys[at] != nil {
				problem = l.near(at, true)
			}
			problem.Severity, problem.Code = SeverityError, codeConflict
			problem.Message = at + " is a key of type " + other
			l.add(problem)
		}
	}
}

// checkDelivery checks what both types have.
func (l *loader) checkDelivery(path string, d *publish.Destination) {
	l.oneOf(join(path, "format"), d.Format, publish.FormatCloudEvents, publish.FormatStripe, publish.FormatSlack,
		publish.FormatPagerDuty, publish.FormatTemplate)
	httpOnly := []string{publish.FormatStripe, publish.FormatSlack, publish.FormatPagerDuty}
	if d.Type == publish.TypeNATS && slices.Contains(httpOnly, d.Format) {
		l.errorf(join(path, "format"), codeConflict, "%s.format %s is for type http", path, d.Format)
	}
	switch {
	case d.Format == publish.FormatTemplate && d.Template == "":
		l.errorf(join(path, "format"), codeRequired, "%s.template is required with format template", path)
	case d.Format != publish.FormatTemplate && d.Template != "":
		l.errorf(join(path, "template"), codeConflict, "%s.template has no effect with format %s: use format template", path, d.Format)
	}
	if d.ContentType != "" && d.Format != publish.FormatTemplate {
		l.errorf(join(path, "content_type"), codeConflict, "%s.content_type has no effect without format template", path)
	}
	if !validHeaderValue(d.ContentType) {
		l.errorf(join(path, "content_type"), codeValue, "%s.content_type is no header value", path)
	}
	for i, name := range d.Omit {
		if at := index(join(path, "omit"), i); !slices.Contains(checkout.Fields(), name) {
			l.unknownName(at, codeReference, at+" "+quote(name)+" is not a field of a session", name, checkout.Fields())
		}
	}
	l.within(join(path, "concurrency"), d.Concurrency, 1, mostInFlight)
	l.notNegative(join(path, "rate_limit"), d.RateLimit)
	l.between(join(path, "order_hold"), d.OrderHold, 0, longest)
	l.checkRetry(path, d)
}

func (l *loader) checkRetry(path string, d *publish.Destination) {
	retry := join(path, "retry")
	schedule := join(retry, "schedule")
	switch empty := len(d.Retry.Schedule) == 0; {
	case empty && d.Type == publish.TypeNATS:
		l.errorf(schedule, codeValue, "%s needs at least one pause: the last one repeats", schedule)
	case empty:
		l.warnf(schedule, codeGivesUp, "%s is empty: what is refused once, or cannot be sent, is a dead letter at once; leave the key out for the default of three days, or write pauses, such as [5s, 1m, 1h]", schedule)
	}
	if len(d.Retry.Schedule) > mostOfASchedule {
		l.errorf(schedule, codeValue, "%s has more than %d pauses", schedule, mostOfASchedule)
		return
	}
	for i, pause := range d.Retry.Schedule {
		l.between(index(schedule, i), pause, shortestSlot, longestSlot)
	}
	if j := d.Retry.Jitter; j < 0 || j > 1 {
		l.errorf(join(retry, "jitter"), codeValue, "%s.jitter must be between 0 and 1", retry)
	}
}
