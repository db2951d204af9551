package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Backups is how an operator gets a copy of the store.
type Backups interface {
	// Backup makes a verified copy and returns it with its size and the name that
	// it should have. The copy is gone once it is closed. ErrConflict: another one
	// is being made.
	Backup(ctx context.Context, actor string) (content io.ReadCloser, name string, size int64, err error)
}

// backup answers with a file. Whoever is sent less than Content-Length says has
// no backup.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	content, name, size, err := s.daemon.Backup(r.Context(), actor(r.Context()))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer content.Close() // only read
	headers(w, "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	if _, err := io.Copy(w, content); err != nil && r.Context().Err() == nil {
		s.log.Warn("a backup was not sent whole: who asked for it has no copy", "error", err)
	}
}
