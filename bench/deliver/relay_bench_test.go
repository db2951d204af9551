package deliver_test

import (
	"context"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// instant accepts everything at once, rendered as it would be for an HTTP callback.
type instant struct{ renderer *publish.Renderer }

func (p instant) Publish(_ context.Context, m publish.Message) publish.Result {
	if _, err := p.renderer.Render(m); err != nil {
		return publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassRender, Error: err.Error(), Final: true}
	}
	return publish.Result{Outcome: event.OutcomeAccepted, Contact: publish.ContactMade, StatusCode: 204}
}

// BenchmarkRelay is what a delivery costs besides its request: read, rendered,
// begun, and its result written.
func BenchmarkRelay(b *testing.B) {
	d := callback("shop", "https://shop.example/hooks", 64)
	renderer, err := publish.NewRenderer(d, nil, "")
	if err != nil {
		b.Fatal(err)
	}
	deliver(b, publish.Lane{Destination: d, Publisher: instant{renderer}})
}

// BenchmarkHTTP is what a delivery costs this process with its request.
func BenchmarkHTTP(b *testing.B) {
	deliver(b, lane(b, callback("shop", newOutside(b).url(pathAccept), 64)))
}

// deliver delivers b.N events to a destination, and measures it.
func deliver(b *testing.B, to publish.Lane) {
	n := newNotifier(b)
	n.fill(b, b.N, "shop", time.Time{})
	r, err := publish.NewRelay(n.store, []publish.Lane{to}, publish.Options{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	if accepted, failed, err := r.Drain(b.Context()); err != nil || failed > 0 || accepted != b.N {
		b.Fatalf("%d accepted, %d failed: %v", accepted, failed, err)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/op")
}
