package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// streamSubjects are the subjects that the destination's stream must take.
func (r *Renderer) streamSubjects() ([]string, error) {
	if r.dest.Stream.Name == "" {
		return nil, errors.New("ensure needs a name")
	}
	if len(r.dest.Stream.Subjects) > 0 {
		return r.dest.Stream.Subjects, nil
	}
	ways := []rendering{r.shared}
	for _, own := range r.own {
		ways = append(ways, own)
	}
	var subjects []string
	for _, way := range ways {
		pattern, ok := way.subject.subjectPattern()
		if !ok {
			return nil, errors.New("subjects: cannot be told from a subject template that branches; name them")
		}
		subjects = addSubject(subjects, pattern)
	}
	slices.Sort(subjects)
	return subjects, nil
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
const streamQuestions = "$JS.>"

// ensure creates the stream or brings it up to date, once; later again when it
// turned out to be gone.
func (p *NATSPublisher) ensure(ctx context.Context, js jetstream.JetStream) error {
	if !p.dest.Stream.Ensure {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ensured {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	ctx, done := p.conn.watch(ctx, streamQuestions)
	defer done()
	err := p.conn.deaf()
	if err == nil {
		err = p.createOrUpdate(ctx, js)
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrDenied) {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("ensuring stream %s: %w", p.dest.Stream.Name, err)
	}
	p.ensured = true
	return nil
}

// createOrUpdate sets what the configuration names and leaves all else, the
// subjects of others included, as the stream has it.
func (p *NATSPublisher) createOrUpdate(ctx context.Context, js jetstream.JetStream) error {
	want := p.dest.Stream
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, configured(jetstream.StreamConfig{Name: want.Name}, want, p.subjects))
		return err
	}
	if err != nil {
		return err
	}
	had := stream.CachedInfo().Config
	config := configured(had, want, p.subjects)
	if slices.Equal(had.Subjects, config.Subjects) && had.MaxAge == config.MaxAge &&
		had.Replicas == config.Replicas && had.Duplicates == config.Duplicates {
		return nil
	}
	_, err = js.UpdateStream(ctx, config)
	return err
}

// configured lays the operator's wishes over a stream's configuration.
func configured(config jetstream.StreamConfig, want Stream, subjects []string) jetstream.StreamConfig {
	for _, subject := range subjects {
		config.Subjects = addSubject(config.Subjects, subject)
	}
	config.MaxAge = want.MaxAge
	config.Replicas = max(1, want.Replicas)
	config.Duplicates = want.DuplicateWindow
	if want.MaxAge > 0 {
		// The server refuses to remember ids for longer than messages.
		config.Duplicates = min(config.Duplicates, max(want.MaxAge, 100*time.Millisecond))
	}
	return config
}
