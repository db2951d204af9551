// Package sign makes the signatures of messages: that of Standard Webhooks and that of
// Stripe. It sends nothing.
package sign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
	"sync"

	"checkout-notifier/secret"
)

// Prefix begins a Standard Webhooks secret; the rest is Base64.
const Prefix = "whsec_"

// ErrSecret is returned for a signing secret that Standard Webhooks does not allow.
var ErrSecret = errors.New("a signing secret is whsec_ followed by the Base64 of 24 to 64 bytes")

// Signer signs bodies with every secret of a destination, so that a receiver
// that knows the old one and a receiver that knows the new one both accept.
type Signer struct {
	keys    []*hashing // decoded, for webhook-signature
	written []*hashing // as written, for Stripe-Signature
}

// New reads the secrets.
func New(secrets []secret.String) (Signer, error) {
	var s Signer
	for _, text := range secrets {
		encoded, ok := strings.CutPrefix(text.Reveal(), Prefix)
		if !ok {
			return Signer{}, ErrSecret
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) < 24 || len(key) > 64 {
			return Signer{}, ErrSecret // err would quote the secret
		}
		s.keys = append(s.keys, newHashing(key))
		s.written = append(s.written, newHashing([]byte(text.Reveal())))
	}
	return s, nil
}

// Standard returns the value of webhook-signature, "" without secrets.
func (s *Signer) Standard(id string, seconds int64, body []byte) string {
	signatures := make([]string, len(s.keys))
	for i, key := range s.keys {
		sum := key.sum(id+"."+strconv.FormatInt(seconds, 10)+".", body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(sum)
	}
	return strings.Join(signatures, " ")
}

// Stripe returns the value of Stripe-Signature, "" without secrets.
func (s *Signer) Stripe(seconds int64, body []byte) string {
	if len(s.written) == 0 {
		return ""
	}
	t := strconv.FormatInt(seconds, 10)
	value := "t=" + t
	for _, key := range s.written {
		value += ",v1=" + hex.EncodeToString(key.sum(t+".", body))
	}
	return value
}

// hashing keeps hashes that are keyed already: making one costs several
// allocations.
type hashing struct{ keyed sync.Pool }

func newHashing(key []byte) *hashing {
	return &hashing{keyed: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (h *hashing) sum(prefix string, body []byte) []byte {
	mac := h.keyed.Get().(hash.Hash)
	defer h.keyed.Put(mac)
	mac.Reset()
	_, _ = io.WriteString(mac, prefix)
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}
