package checkout

// Glance is what one pass over a list item's bytes tells, without decoding it.
type Glance struct {
	ID, Status, PaymentStatus []byte
	Created                   int64
	Hash                      uint64
}
