package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Names of the signature schemes in Received.Schemes.
const (
	// SchemeStandard is Standard Webhooks: webhook-id, webhook-timestamp and
	// webhook-signature.
	SchemeStandard = "standard-webhooks"
	// SchemeStripe is the header Stripe-Signature.
	SchemeStripe = "stripe"
)

const secretPrefix = "whsec_"

// signingKey is one secret in the two forms that the schemes need.
type signingKey struct {
	decoded []byte // for Standard Webhooks
	written []byte // for Stripe-Signature, the prefix included
}

func newSigningKey(secret string) (signingKey, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return signingKey{}, fmt.Errorf("%w secret: it must begin with %s", ErrInvalid, secretPrefix)
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(decoded) == 0 {
		return signingKey{}, fmt.Errorf("%w secret: what follows %s must be Base64", ErrInvalid, secretPrefix)
	}
	return signingKey{decoded: decoded, written: []byte(secret)}, nil
}

// verify checks every scheme that the request has. All of them must be right,
// and there must be one; it returns those that are.
func (rc *Receiver) verify(got Received) ([]string, error) {
	var schemes []string
	var errs []error
	for _, s := range []struct {
		name, header string
		check        func(Received) error
	}{
		{SchemeStandard, "webhook-signature", rc.verifyStandard},
		{SchemeStripe, "Stripe-Signature", rc.verifyStripe},
	} {
		if len(got.Header.Values(s.header)) == 0 {
			continue
		}
		if err := s.check(got); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			continue
		}
		schemes = append(schemes, s.name)
	}
	if len(schemes)+len(errs) == 0 {
		return nil, errors.New("no signature")
	}
	return schemes, errors.Join(errs...)
}

// verifyStandard checks "id.timestamp.body" against every v1 signature.
func (rc *Receiver) verifyStandard(got Received) error {
	id, stamp := got.Header.Get("webhook-id"), got.Header.Get("webhook-timestamp")
	switch {
	case id == "":
		return errors.New("webhook-id is missing")
	case strings.Contains(id, "."):
		return errors.New("webhook-id has a dot, which makes the signed text ambiguous")
	}
	if err := rc.checkTime("webhook-timestamp", stamp); err != nil {
		return err
	}
	signed := append([]byte(id+"."+stamp+"."), got.Body...)
	for _, word := range strings.Fields(strings.Join(got.Header.Values("webhook-signature"), " ")) {
		encoded, ok := strings.CutPrefix(word, "v1,")
		if !ok {
			continue // another version
		}
		mac, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, key := range rc.keys {
			if hmac.Equal(mac, sum(key.decoded, signed)) {
				return nil
			}
		}
	}
	return errors.New("no v1 signature matches")
}

// verifyStripe checks "t.body" against every v1 element.
func (rc *Receiver) verifyStripe(got Received) error {
	stamp, macs := parseStripe(got.Header)
	if err := rc.checkTime("t", stamp); err != nil {
		return err
	}
	signed := append([]byte(stamp+"."), got.Body...)
	for _, mac := range macs {
		for _, key := range rc.keys {
			if hmac.Equal(mac, sum(key.written, signed)) {
				return nil
			}
		}
	}
	return errors.New("no v1 signature matches")
}

// parseStripe splits "t=…,v1=…,v1=…"; unknown elements are skipped.
func parseStripe(h http.Header) (stamp string, macs [][]byte) {
	for element := range strings.SplitSeq(h.Get("Stripe-Signature"), ",") {
		name, value, _ := strings.Cut(element, "=")
		switch strings.TrimSpace(name) {
		case "t":
			stamp = value
		case "v1":
			if mac, err := hex.DecodeString(value); err == nil {
				macs = append(macs, mac)
			}
		}
	}
	return stamp, macs
}

// checkTime refuses a Unix time in seconds that is too far from now.
func (rc *Receiver) checkTime(name, stamp string) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%s %q is no Unix time in seconds", name, stamp)
	}
	off := rc.cfg.Now().Sub(time.Unix(seconds, 0))
	if off.Abs() > rc.cfg.Tolerance {
		return fmt.Errorf("%s is %v away from the receiver's clock", name, off.Abs().Round(time.Second))
	}
	return nil
}

func sum(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(message)
	return mac.Sum(nil)
}
