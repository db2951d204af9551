package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"checkout-notifier/backup"
	"checkout-notifier/config"
	"checkout-notifier/state"
)

// copySource is where a copy comes from: a daemon, or the file without one. It is
// used once, and closed.
type copySource struct {
	name   string         // that the copy should have
	loaded *config.Loaded // nil: no configuration was found
	copyTo func(ctx context.Context, path string) (state.Contents, error)
	pipe   func(ctx context.Context, w io.Writer) (int64, error)
	close  func()
}

func (a *app) copySource(ctx context.Context) (*copySource, error) {
	c, loaded, err := a.client()
	if err != nil {
		return nil, err
	}
	resp, err := c.stream(ctx, "/api/v1/state/backup")
	if err == nil {
		return servedCopy(resp, loaded)
	}
	if !errors.Is(err, errNoDaemon) || loaded == nil {
		return nil, err
	}
	store, err := openInstead(ctx, loaded, err)
	if err != nil {
		return nil, err
	}
	return storedCopy(ctx, store, loaded)
}

// servedCopy is one that a daemon has made and verified.
func servedCopy(resp *http.Response, loaded *config.Loaded) (*copySource, error) {
	_, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	name := filepath.Base(parameters["filename"])
	if err != nil || resp.ContentLength <= 0 || name == "." || name == string(filepath.Separator) {
		return nil, errors.Join(exit(exitUnreachable, fmt.Errorf("%w: what answers there is not a notifier", errNoDaemon)), resp.Body.Close())
	}
	pipe := func(_ context.Context, w io.Writer) (int64, error) { return io.Copy(w, resp.Body) } // the request has the context
	return &copySource{
		name: name, loaded: loaded, pipe: pipe,
		copyTo: func(ctx context.Context, path string) (state.Contents, error) {
			return state.WriteCopy(ctx, path, resp.ContentLength, func(w io.Writer) error {
				_, err := pipe(ctx, w)
				if errors.Is(err, io.ErrUnexpectedEOF) {
					err = exit(exitUnreachable, errors.New("the daemon ended before the copy was whole"))
				}
				return err
			})
		},
		close: func() { _ = resp.Body.Close() }, // only read
	}, nil
}

// storedCopy is one of a file that no daemon has.
func storedCopy(ctx context.Context, store *state.Store, loaded *config.Loaded) (*copySource, error) {
	id, err := store.ID(ctx)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if id == "" {
		id = "0" // no daemon has named it yet
	}
	return &copySource{
		name: backup.Name(id, time.Now()), loaded: loaded, copyTo: store.Backup,
		pipe: func(ctx context.Context, w io.Writer) (int64, error) {
			dir, err := placeForCopy(loaded, "notifier-backup-")
			if err != nil {
				return 0, err
			}
			n, err := pipeCopy(ctx, store, filepath.Join(dir, "notifier.db"), w)
			return n, errors.Join(err, os.RemoveAll(dir))
		},
		close: func() { _ = store.Close() }, // only read
	}, nil
}

// placeForCopy makes a directory for a copy that is of use for the moment only: among
// the temporary files, or, where none can be made, as in a container, beside the state
// file.
func placeForCopy(loaded *config.Loaded, pattern string) (string, error) {
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		var failed error
		if dir, failed = os.MkdirTemp(filepath.Dir(loaded.Config.State.Path), pattern); failed != nil {
			return "", fmt.Errorf("making a place for a copy: %w", errors.Join(err, failed))
		}
	}
	return dir, nil
}

// pipeCopy verifies a copy before any of it is written.
func pipeCopy(ctx context.Context, store *state.Store, path string, w io.Writer) (int64, error) {
	if _, err := store.Backup(ctx, path); err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close() // only read
	return io.Copy(w, file)
}

// stream asks for what is too large to be held in memory. The caller closes the
// body.
func (c *client) stream(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the daemon: %w", err)
	}
	return c.patient().ask(ctx, req)
}
