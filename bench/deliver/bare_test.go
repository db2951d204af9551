package deliver_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/event"
)

// parcel is a delivery that is rendered already.
type parcel struct {
	id   string
	body []byte
}

func parcels(t *testing.T, n int) []parcel {
	t.Helper()
	list := make([]parcel, n)
	for i := range list {
		e := newEvent(i + 1)
		body, err := e.CloudEvent(event.Match{Rules: []string{"ship"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = parcel{event.DeliveryID(e.ID, "bare", ""), body}
	}
	return list
}

// transport has the settings of a destination's.
func transport(concurrency int) *http.Transport {
	return &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: true, WriteBufferSize: 16 << 10,
		MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency,
	}
}

// post sends parcels, signed, so many at once. before, which may be nil, comes
// before each.
func post(t *testing.T, url string, list []parcel, concurrency int, before func(i int) error) {
	t.Helper()
	client := http.Client{Transport: transport(concurrency)}
	defer client.CloseIdleConnections()
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingSecret, "whsec_"))
	var workers sync.WaitGroup
	var next atomic.Int64
	for range concurrency {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(list); i = int(next.Add(1)) - 1 {
				if before != nil {
					if err := before(i); err != nil {
						t.Error(err)
						return
					}
				}
				if err := send(t.Context(), &client, url, &list[i], key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

func send(ctx context.Context, client *http.Client, url string, p *parcel, key []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	seconds := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, p.id+"."+seconds+".")
	_, _ = mac.Write(p.body)
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("Webhook-Id", p.id)
	req.Header.Set("Webhook-Timestamp", seconds)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Body.Close()
}
