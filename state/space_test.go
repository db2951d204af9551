package state_test

import (
	"errors"
	"testing"
)

func TestSpace(t *testing.T) {
	s := newStore(t)
	free, size, err := s.Space()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if want, _ := s.Size(); err != nil || free <= 0 || size != want || size <= 0 {
		t.Errorf("free %d, size %d of %d: %v", free, size, want, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Space(); err == nil {
		t.Error("a closed store tells of its space")
	}
}
