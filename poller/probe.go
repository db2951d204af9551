package poller

import (
	"context"
	"time"

	"checkout-notifier/poller/internal/probe"
)

// Finding is one thing that Probe learned about an account's API.
type Finding = probe.Finding

// Probe asks the API a few questions and says which list parameters it honours
// in which place. shown are the ids of the newest sessions. It changes nothing and
// stores nothing. An error means that the API could not be asked.
func Probe(ctx context.Context, a Account, version string) (findings []Finding, shown []string, err error) {
	client, err := a.client(version, nil, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return probe.Run(ctx, client, a.Poll.Tuning.PageSize)
}
