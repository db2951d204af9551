package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ways are all the renderings, the destination's first.
func (r *Renderer) ways() []rendering {
	return slices.AppendSeq([]rendering{r.shared}, maps.Values(r.own))
}

// streamSubjects are the subjects that the destination's stream must take.
func (r *Renderer) streamSubjects() ([]string, error) {
	if r.dest.Stream.Name == "" {
		return nil, errors.New("ensure needs a name")
	}
	if len(r.dest.Stream.Subjects) > 0 {
		return r.dest.Stream.Subjects, nil
	}
	var subjects []string
	for _, way := range r.ways() {
		pattern, ok := way.subject.subjectPattern()
		if !ok {
			return nil, errors.New("subjects: cannot be told from a subject template that branches; name them")
		}
		subjects = addSubject(subjects, pattern)
	}
	slices.Sort(subjects)
	return subjects, nil
}

// Strays lists the subjects of messages that the stream does not take as `ensure` makes
// it, unless it has subjects of others as well. Only those that the configuration and the
// event's type decide: what a session has a part in is not known.
func (r *Renderer) Strays(messages []Message) (subjects []string) {
	listed := r.dest.Stream.Subjects // those that are told from the template take all
	for _, m := range messages {
		way, err := r.choose(&m)
		if err != nil || len(listed) == 0 || slices.ContainsFunc([]string{nameSession, namePrevious, nameEvent, nameAlert, nameLink}, way.subject.needs.name) {
			continue
		}
		subject, err := r.Subject(m)
		if err == nil && !slices.ContainsFunc(listed, func(pattern string) bool { return covers(pattern, subject) }) {
			subjects = appendNew(subjects, subject)
		}
	}
	return subjects
}

// Unstreamed lists the subjects, as patterns, that a JetStream destination sends to and
// that no stream takes, where a server has those alone that these destinations ensure. What
// cannot be told is not listed. r and any of all may be nil.
func (r *Renderer) Unstreamed(all []*Renderer) []string {
	if r == nil || r.dest.Type != TypeNATS || !r.dest.JetStream || r.dest.Stream.Ensure {
		return nil
	}
	return slices.DeleteFunc(r.subjectPatterns(), func(pattern string) bool {
		return slices.ContainsFunc(all, func(other *Renderer) bool {
			if other == nil || !other.dest.Stream.Ensure {
				return false
			}
			subjects, err := other.streamSubjects()
			return err != nil || slices.ContainsFunc(subjects, func(taken string) bool { return meet(taken, pattern) })
		})
	})
}

// meet says whether some subject matches both patterns.
func meet(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		switch {
		case x[i] == ">" || y[i] == ">":
			return true
		case x[i] != y[i] && x[i] != "*" && y[i] != "*":
			return false
		}
	}
	return len(x) == len(y)
}

// addSubject adds a subject unless one of the list covers it. A stream takes no
// two that overlap, so those that it covers go.
func addSubject(list []string, subject string) []string {
	if slices.ContainsFunc(list, func(known string) bool { return covers(known, subject) }) {
		return list
	}
	list = slices.DeleteFunc(slices.Clone(list), func(known string) bool { return covers(subject, known) })
	return append(list, subject)
}

// covers says whether every subject that the second pattern matches is matched
// by the first.
func covers(wide, narrow string) bool {
	w, n := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i, token := range w {
		switch {
		case token == ">":
			return len(n) > i
		case i >= len(n) || n[i] == ">":
			return false
		case token != "*" && token != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}

// streamQuestions are the subjects of all that is asked about streams.
const streamQuestions = "$JS.API.>"

// ensureAgain is how long a stream that could not be ensured is left alone.
const ensureAgain = 15 * time.Second

// ensure creates the stream or brings it up to date, once; later again when it
// turned out to be gone. It fails only for want of a connection: whether the
// stream takes messages as it is shows with each of them, and what hindered us
// is a complaint.
func (p *NATSPublisher) ensure(ctx context.Context, l *link) error {
	if !p.dest.Stream.Ensure || p.ensured.Load() || p.ensureOff.lasts() {
		return nil
	}
	p.ensuring.Lock()
	defer p.ensuring.Unlock()
	if p.ensured.Load() || p.ensureOff.lasts() {
		return nil
	}
	isNew, err := ask(ctx, l, func(ctx context.Context) (bool, error) { return p.createOrUpdate(ctx, l.js) })
	if err == nil {
		if _, lost := p.Complaint(); lost.IsZero() {
			p.complaint.Store(nil)
		}
		switch name := p.dest.Stream.Name; {
		case isNew && p.stood:
			c := &complaint{"stream " + name + " was gone and is created anew, empty: what it held is lost to its readers; notifier replay --since … --to " + p.dest.Name + " sends it again", time.Now()}
			p.complaint.Store(c)
			l.log.Warn(c.text)
		case isNew:
			l.log.Info("stream "+name+" is created", "destination", p.dest.Name)
		}
		p.stood = true
		p.ensured.Store(true)
		return nil
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.nc.Status() != nats.CONNECTED, notSent(err), errors.Is(err, nats.ErrDisconnected):
		return l.why()
	}
	text := fmt.Sprintf("stream %s could not be brought up to date: %s", p.dest.Stream.Name, streamTrouble(err))
	if what, _ := p.Complaint(); what != text {
		l.log.Warn("the stream could not be created or updated (stream.ensure); messages are still sent, and accepted if it exists and takes the subject", "destination", p.dest.Name, "reason", text)
	}
	p.complaint.Store(&complaint{text: text})
	p.ensureOff.begin(ensureAgain)
	return nil
}

// ask puts a question about streams, unless the server denies it. A question that was
// denied may still be under way: it must share nothing with the caller.
func ask[T any](ctx context.Context, l *link, question func(ctx context.Context) (T, error)) (answer T, err error) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	type reply struct {
		answer T
		err    error
	}
	answered := make(chan reply, 1)
	w := newWaiter(waitDenial, streamQuestions)
	l.mu.Lock()
	l.list(w)
	l.mu.Unlock()
	go func() {
		answer, err := question(ctx)
		answered <- reply{answer, err}
	}()
	select {
	case r := <-answered:
		if denied := l.forget(w); denied != nil {
			return answer, denied
		}
		return r.answer, r.err
	case f := <-w.fate:
		waiters.Put(w) // the question ends with its context
		return answer, f.err
	}
}

// streamTrouble says what went wrong with a question about a stream.
func streamTrouble(err error) string {
	var answer *jetstream.APIError
	switch {
	case errors.Is(err, errDeniedReply):
		return fmt.Sprintf("%v: to subscribe to the inbox where answers go", ErrDenied)
	case errors.Is(err, ErrDenied):
		return fmt.Sprintf("%v: to publish to %s", ErrDenied, streamQuestions)
	case errors.As(err, &answer):
		return truncate(reasonLimit, answer.Description)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", ackTimeout)
	}
	return reasonOf(err)
}

// createOrUpdate creates the stream, or brings one that is there up to what the
// configuration says. All else, the subjects of others included, stays.
func (p *NATSPublisher) createOrUpdate(ctx context.Context, js jetstream.JetStream) (isNew bool, err error) {
	want := p.dest.Stream
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, created(want, p.subjects))
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	had := stream.CachedInfo().Config
	config := updated(had, want, p.subjects)
	if slices.Equal(had.Subjects, config.Subjects) && had.MaxAge == config.MaxAge &&
		had.Replicas == config.Replicas && had.Duplicates == config.Duplicates {
		return false, nil
	}
	_, err = js.UpdateStream(ctx, config)
	return false, err
}

// created is the configuration of a stream that was not there.
func created(want Stream, subjects []string) jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name: want.Name, MaxAge: want.MaxAge, Replicas: max(1, want.Replicas), Duplicates: want.DuplicateWindow,
	}
	return withSubjects(bounded(config), subjects)
}

// updated lays the operator's wishes over an existing stream's configuration.
// What is at its default is no wish: the stream may be another's, who knows how
// long and how often its messages are to be kept. Copies are never taken away.
func updated(config jetstream.StreamConfig, want Stream, subjects []string) jetstream.StreamConfig {
	usual := DefaultNATS().Stream
	if want.MaxAge != usual.MaxAge {
		config.MaxAge = want.MaxAge
	}
	config.Replicas = max(config.Replicas, want.Replicas)
	if want.DuplicateWindow != usual.DuplicateWindow || want.DuplicateWindow > config.Duplicates {
		config.Duplicates = want.DuplicateWindow
	}
	return withSubjects(bounded(config), subjects)
}

// bounded shortens the duplicate window: the server refuses to remember ids for
// longer than messages.
func bounded(config jetstream.StreamConfig) jetstream.StreamConfig {
	const shortest = 100 * time.Millisecond // of what the server takes as an age
	if config.MaxAge > 0 {
		config.Duplicates = min(config.Duplicates, max(config.MaxAge, shortest))
	}
	return config
}

func withSubjects(config jetstream.StreamConfig, subjects []string) jetstream.StreamConfig {
	for _, subject := range subjects {
		config.Subjects = addSubject(config.Subjects, subject)
	}
	return config
}
