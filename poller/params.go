package poller

import "checkout-notifier/poller/wooshpay"

// send moves the list parameters to another place, where the limit may be ignored.
func (a *account) send(params string) {
	a.client, a.limitHonoured = a.client.WithParams(params), false
}

// refusesBody sends the list parameters in the query, for some proxies refuse a GET with a
// body, whatever it asks for.
func (a *account) refusesBody(err error) {
	a.odd("body_refused", "the API refuses the list parameters in the body; they are sent in the query from now on", "error", err)
	a.send(wooshpay.ParamsQuery)
}

// everywhere sends the list parameters to both places.
func (a *account) everywhere() {
	a.odd("params_ignored", "the API ignores list parameters where list_params sends them; they are sent in the body and the query from now on", "list_params", a.client.Params())
	a.send(wooshpay.ParamsBoth)
}

// bodyRefused says whether the parameters travel elsewhere than configured
// because the API refused them in the body.
func (c *chain) bodyRefused() bool {
	return c.client.Params() == wooshpay.ParamsQuery && c.cfg.ListParams != wooshpay.ParamsQuery
}
