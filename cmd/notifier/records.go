package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/config"
)

// recordPage is a page of records, or several.
type recordPage struct {
	Items []json.RawMessage `json:"items"`
	Next  *string           `json:"next"`
}

// listOptions are the flags of the commands that list records.
type listOptions struct {
	filters map[string]*string
	failed  bool
	limit   int
	cursor  string
	output  string
}

// defaultLimit is how many records a command lists.
const defaultLimit = 100

// filterFlags adds flags that narrow down.
func (a *app) filterFlags(cmd *cobra.Command, filters map[string]*string, names ...string) {
	about := map[string]string{
		"account":     "only of this account",
		"destination": "only to this destination",
		"session":     "only of this session",
		"type":        "only events of this type, such as paid or destination.recovered, or of any of several by commas; may be repeated",
		"rule":        "only what this rule matched",
		"event":       "only of the event with this id",
		"job":         "only what this redrive or replay made due",
		"status":      "only with this status: " + strings.Join(admin.DeliveryStatuses(), ", "),
		"since":       "only from then on: 2h, 7d, 2026-11-20, 2026-11-20T10:00:00Z",
		"until":       "only until then",
		"actor":       "only by this person or token",
		"action":      "only of this kind, such as delivery.retry",
	}
	for _, name := range names {
		filters[name] = new(string)
		if name == "type" {
			cmd.Flags().Var(commas{filters[name]}, name, about[name])
		} else {
			cmd.Flags().StringVar(filters[name], name, "", about[name])
		}
		a.completeFilter(cmd, name)
	}
}

// commas is a flag of several words: by commas, or repeated.
type commas struct{ text *string }

// String implements pflag.Value.
func (c commas) String() string {
	if c.text == nil {
		return ""
	}
	return *c.text
}

// Set implements pflag.Value.
func (c commas) Set(words string) error {
	if *c.text != "" {
		words = *c.text + "," + words
	}
	*c.text = words
	return nil
}

// Type implements pflag.Value.
func (c commas) Type() string { return "strings" }

// listCommand makes a command that lists records, newest first.
func (a *app) listCommand(kind admin.Kind, short, long string, table func([]json.RawMessage) error, filters ...string) *cobra.Command {
	o := &listOptions{filters: make(map[string]*string)}
	cmd := &cobra.Command{
		Use:   "list",
		Short: short,
		Long:  long,
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := o.query(kind, time.Now())
			if err != nil {
				return exit(exitUsage, fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath()))
			}
			page, err := a.readRecords(cmd.Context(), kind, query, o.limit)
			if err != nil {
				return err
			}
			return a.showPage(o.output, page, table)
		},
	}
	a.filterFlags(cmd, o.filters, filters...)
	if kind == admin.Events {
		cmd.Flags().BoolVar(&o.failed, "failed", false, "only those on which a rule failed, or on which --rule did")
	}
	cmd.Flags().IntVar(&o.limit, "limit", defaultLimit, "how many at most; 0 is all")
	cmd.Flags().StringVar(&o.cursor, "cursor", "", "go on where -o json said next")
	completeFlag(cmd, "cursor", func() []string { return nil })
	outputFlag(cmd, &o.output, asTable, asJSON, asLines)
	return cmd
}

// query writes the flags as the API reads them, and checks them as it would.
func (o *listOptions) query(kind admin.Kind, now time.Time) (url.Values, error) {
	query := url.Values{}
	for name, value := range o.filters {
		if *value == "" {
			continue
		}
		query.Set(name, *value)
		if name == "since" || name == "until" {
			t, err := readMoment(*value, now)
			if err != nil {
				return nil, fmt.Errorf("--%s %w", name, err)
			}
			query.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	if o.failed {
		query.Set("failed", "true")
	}
	if o.cursor != "" {
		query.Set("cursor", o.cursor)
	}
	if o.limit < 0 {
		return nil, errors.New("--limit must not be negative")
	}
	_, err := admin.ReadQuery(kind, query.Encode())
	return query, err
}

// pageSize is what the API gives at once.
const pageSize = 100

// readRecords asks for pages until there are enough records, 0: all of them.
func (a *app) readRecords(ctx context.Context, kind admin.Kind, query url.Values, limit int) (all recordPage, err error) {
	ask, done, err := a.asker(kind)
	if err != nil {
		return all, err
	}
	defer func() { err = errors.Join(err, done()) }()
	all.Items = []json.RawMessage{}
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(all.Items))
		}
		query.Set("limit", strconv.Itoa(size))
		page, err := ask(ctx, query.Encode())
		if err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == nil || (limit > 0 && len(all.Items) >= limit) {
			return all, nil
		}
		query.Set("cursor", *page.Next)
	}
}

// asker returns who answers questions for pages: the daemon, or the file where
// there is none. done is to be called afterwards.
func (a *app) asker(kind admin.Kind) (ask func(context.Context, string) (recordPage, error), done func() error, err error) {
	c, loaded, err := a.client()
	if err != nil {
		return nil, nil, err
	}
	var stored *ledger
	var since time.Time
	done = func() error {
		if stored == nil {
			return nil
		}
		store := stored.store
		stored = nil
		return store.Close()
	}
	ask = func(ctx context.Context, query string) (page recordPage, err error) {
		if stored != nil && time.Since(since) > holdFile {
			if err := done(); err != nil {
				return page, err
			}
		}
		if stored == nil {
			err = c.call(ctx, http.MethodGet, "/api/v1/"+string(kind)+"?"+query, &page)
			if !errors.Is(err, errNoDaemon) || loaded == nil {
				return page, err
			}
			if stored, err = a.openLedger(ctx, loaded, err, since.IsZero()); err != nil {
				return page, err
			}
			since = time.Now()
		}
		return stored.page(ctx, kind, query)
	}
	return ask, done, nil
}

// holdFile is how long a command that reads many pages keeps the file from a
// daemon that wants to start; then it lets go, and asks that one.
const holdFile = 2 * time.Second

// openLedger reads the file where there is no daemon.
func (a *app) openLedger(ctx context.Context, loaded *config.Loaded, noDaemon error, say bool) (*ledger, error) {
	store, err := openInstead(ctx, loaded, noDaemon)
	if err != nil {
		return nil, err
	}
	if say {
		fmt.Fprintf(a.err, "no daemon is running; this is what %s tells\n", store.Path())
	}
	return storedLedger(store, &loaded.Config), nil
}

// page answers as the API does.
func (l *ledger) page(ctx context.Context, kind admin.Kind, query string) (page recordPage, err error) {
	q, err := admin.ReadQuery(kind, query)
	if err != nil {
		return page, exit(exitUsage, err)
	}
	items, next, err := l.List(ctx, kind, q)
	var unknown *admin.UnknownError
	if errors.As(err, &unknown) {
		return page, exit(exitNotFound, unknown)
	}
	if err != nil {
		return page, err
	}
	if next != "" {
		cursor := admin.Cursor(kind, next)
		page.Next = &cursor
	}
	return page, json.Unmarshal(marshalPlain(items), &page.Items)
}

// showPage prints records as a table, as one document, or one a line.
func (a *app) showPage(output string, page recordPage, table func([]json.RawMessage) error) error {
	switch output {
	case asTable:
		if err := table(page.Items); err != nil {
			return err
		}
		if page.Next != nil {
			fmt.Fprintf(a.err, "there are more: narrow it down, or use --limit\n")
		}
		return nil
	case asJSON:
		return a.show(output, page, nil)
	}
	for _, item := range page.Items {
		if err := a.show(output, item, nil); err != nil {
			return err
		}
	}
	return nil
}

// tableOf makes a table of records.
func tableOf[T any](a *app, head string, line func(T) string) func([]json.RawMessage) error {
	return func(items []json.RawMessage) error {
		lines := []string{head}
		for _, item := range items {
			var record T
			if err := json.Unmarshal(item, &record); err != nil {
				return fmt.Errorf("reading the daemon's answer: %w", err)
			}
			lines = append(lines, line(record))
		}
		a.rows(lines...)
		return nil
	}
}

// getCommand makes a command that shows one record.
func getCommand[T any](a *app, kind admin.Kind, what, exampleID string, print func(*T)) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:               "get ID",
		Short:             "Show " + what,
		Example:           fmt.Sprintf("  notifier %s get %s", kind, exampleID),
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: a.complete(1, recordWords(kind, "id")),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := a.readRecord(cmd.Context(), kind, args[0])
			if err != nil {
				return err
			}
			var record T
			if err := json.Unmarshal(raw, &record); err != nil {
				return fmt.Errorf("reading the daemon's answer: %w", err)
			}
			return a.show(output, raw, func() { print(&record) })
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) readRecord(ctx context.Context, kind admin.Kind, id string) (raw json.RawMessage, err error) {
	if err := admin.CheckID("id", id); err != nil {
		return nil, exit(exitUsage, err)
	}
	c, loaded, err := a.client()
	if err != nil {
		return nil, err
	}
	err = c.call(ctx, http.MethodGet, "/api/v1/"+string(kind)+"/"+url.PathEscape(id), &raw)
	if !errors.Is(err, errNoDaemon) || loaded == nil {
		return raw, otherKind(err, kind, id)
	}
	stored, err := a.openLedger(ctx, loaded, err, true)
	if err != nil {
		return nil, err
	}
	document, err := stored.Record(ctx, kind, id)
	return marshalPlain(document), errors.Join(otherKind(err, kind, id), stored.store.Close())
}

// otherKind adds to the error of an id that was not found what shows such an id.
func otherKind(err error, kind admin.Kind, id string) error {
	if err == nil || exitCode(err) != exitNotFound {
		return err
	}
	for prefix, command := range map[string]string{
		"evt_": "events get ", "dlv_": "deliveries get ", "job_": "jobs get ", "cs_": "events list --session ",
	} {
		if strings.HasPrefix(id, prefix) && !strings.HasPrefix(command, string(kind)+" get") {
			return fmt.Errorf("%w; for this id: notifier %s%s", err, command, id)
		}
	}
	return err
}
