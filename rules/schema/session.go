package schema

import "time"

// Tags of the fields: expr and json are the name, doc is the text of the
// reference; kind is money (an integer in minor units), currency (a code in
// upper case), country or method (of payment, in lower case); words are all the values
// that the API documents; prefix is what each id begins with, before its digits.

// Event is what an expression sees of an event of a session.
type Event struct {
	ID         string       `expr:"id" json:"id" doc:"the event's id, the same after a repeat"`
	Type       string       `expr:"type" json:"type" doc:"the whole type, such as checkout.session.paid"`
	Time       time.Time    `expr:"time" json:"time" doc:"when the look was taken that showed the change"`
	Account    string       `expr:"account" json:"account" doc:"name of the account in the configuration"`
	Revision   int          `expr:"revision" json:"revision" doc:"how often the session has changed; 1 at first sight"`
	Inferred   bool         `expr:"inferred" json:"inferred" doc:"concluded from the state of a session first seen later on"`
	Unexpected bool         `expr:"unexpected" json:"unexpected" doc:"a transition that sessions do not make, or one after a step back"`
	Async      bool         `expr:"async" json:"async" doc:"paid after the session was complete"`
	Reason     string       `expr:"reason" json:"reason" doc:"of an expiry: manual, timer or unknown; else empty"`
	Change     changeFields `expr:"change" json:"change" doc:"the field that the event is about; its members are empty when several fields changed"`
}

// SystemEvent is what an expression sees of one of the program's own events.
type SystemEvent struct {
	ID      string    `expr:"id" json:"id" doc:"the event's id, the same after a repeat"`
	Type    string    `expr:"type" json:"type" doc:"the whole type, such as notifier.delivery.dead"`
	Time    time.Time `expr:"time" json:"time" doc:"when it was noticed"`
	Subject string    `expr:"subject" json:"subject" doc:"the destination, account or rule that it is about, or store"`
}

type changeFields struct {
	Field string `expr:"field" json:"field" doc:"name of the field"`
	From  string `expr:"from" json:"from" doc:"value before, as text"`
	To    string `expr:"to" json:"to" doc:"value now, as text"`
}

// Session is a session of the published schema.
type Session struct {
	ID                        string                    `expr:"id" json:"id" doc:"id of the session" prefix:"cs_"`
	Object                    string                    `expr:"object" json:"object" doc:"always checkout.session" words:"checkout.session"`
	AmountSubtotal            int64                     `expr:"amount_subtotal" json:"amount_subtotal" doc:"total before discounts and taxes, in minor units" kind:"money"`
	AmountTotal               int64                     `expr:"amount_total" json:"amount_total" doc:"total after discounts and taxes, in minor units" kind:"money"`
	BillingAddressCollection  string                    `expr:"billing_address_collection" json:"billing_address_collection" doc:"auto or required" words:"auto required"`
	CancelURL                 string                    `expr:"cancel_url" json:"cancel_url" doc:"where a customer goes who cancels"`
	ClientReferenceID         string                    `expr:"client_reference_id" json:"client_reference_id" doc:"your own reference, such as a cart or order"`
	Created                   time.Time                 `expr:"created" json:"created" doc:"when the session was created"`
	Currency                  string                    `expr:"currency" json:"currency" doc:"ISO code in upper case" kind:"currency"`
	Customer                  string                    `expr:"customer" json:"customer" doc:"id of the customer" prefix:"cus_"`
	CustomerEmail             string                    `expr:"customer_email" json:"customer_email" doc:"e-mail address given at creation"`
	ExpiresAt                 time.Time                 `expr:"expires_at" json:"expires_at" doc:"when an open session expires"`
	Livemode                  bool                      `expr:"livemode" json:"livemode" doc:"true for real money"`
	Metadata                  map[string]string         `expr:"metadata" json:"metadata" doc:"your own keys; numbers and booleans as text, a missing key is empty"`
	Mode                      string                    `expr:"mode" json:"mode" doc:"payment, setup or subscription" words:"payment setup subscription"`
	PaymentIntent             string                    `expr:"payment_intent" json:"payment_intent" doc:"id of the payment intent" prefix:"pi_"`
	PaymentLink               string                    `expr:"payment_link" json:"payment_link" doc:"id of the payment link that created the session"`
	PaymentMethodTypes        []string                  `expr:"payment_method_types" json:"payment_method_types" doc:"payment methods the session accepts" kind:"method"`
	PaymentStatus             string                    `expr:"payment_status" json:"payment_status" doc:"paid, unpaid or no_payment_required" words:"paid unpaid no_payment_required"`
	PhoneNumberCollection     phoneNumberCollection     `expr:"phone_number_collection" json:"phone_number_collection" doc:"whether the customer is asked for a phone number"`
	ShippingAddressCollection shippingAddressCollection `expr:"shipping_address_collection" json:"shipping_address_collection" doc:"how a shipping address is asked for"`
	Shipping                  shipping                  `expr:"shipping" json:"shipping" doc:"shipping information"`
	Status                    string                    `expr:"status" json:"status" doc:"open, complete or expired" words:"open complete expired"`
	SuccessURL                string                    `expr:"success_url" json:"success_url" doc:"where a customer goes after paying"`
	URL                       string                    `expr:"url" json:"url" doc:"the payment page; rotates, which is not a change"`
	LineItems                 lineItems                 `expr:"line_items" json:"line_items" doc:"what is bought"`
	CustomerCreation          string                    `expr:"customer_creation" json:"customer_creation" doc:"always or if_required" words:"always if_required"`
	CustomerDetails           customerDetails           `expr:"customer_details" json:"customer_details" doc:"what the customer entered"`
}

type phoneNumberCollection struct {
	Enabled bool `expr:"enabled" json:"enabled" doc:"whether it is asked for"`
}

type shippingAddressCollection struct {
	AllowedCountries []string `expr:"allowed_countries" json:"allowed_countries" doc:"two-letter country codes" kind:"country"`
}

type shipping struct {
	Address        address `expr:"address" json:"address" doc:"where to"`
	Carrier        string  `expr:"carrier" json:"carrier" doc:"who delivers"`
	Name           string  `expr:"name" json:"name" doc:"recipient"`
	Phone          string  `expr:"phone" json:"phone" doc:"the recipient's phone number"`
	TrackingNumber string  `expr:"tracking_number" json:"tracking_number" doc:"one or several, comma separated"`
}

type address struct {
	City       string `expr:"city" json:"city" doc:"city or town"`
	Country    string `expr:"country" json:"country" doc:"two-letter country code" kind:"country"`
	Line1      string `expr:"line1" json:"line1" doc:"street or post box"`
	Line2      string `expr:"line2" json:"line2" doc:"apartment or building"`
	PostalCode string `expr:"postal_code" json:"postal_code" doc:"ZIP or postal code"`
	State      string `expr:"state" json:"state" doc:"state, county or region"`
}

type customerDetails struct {
	Address address `expr:"address" json:"address" doc:"the customer's address"`
	Email   string  `expr:"email" json:"email" doc:"e-mail address"`
	Name    string  `expr:"name" json:"name" doc:"the customer's name"`
	Phone   string  `expr:"phone" json:"phone" doc:"phone number"`
}

type lineItems struct {
	Object  string      `expr:"object" json:"object" doc:"always list"`
	URL     string      `expr:"url" json:"url" doc:"address of the list"`
	HasMore bool        `expr:"has_more" json:"has_more" doc:"the session has more items than these"`
	Data    []*lineItem `expr:"data" json:"data" doc:"the items"`
}

// lineItem has its amounts as integers although the API documents strings:
// money is an integer everywhere in an expression.
type lineItem struct {
	ID             string      `expr:"id" json:"id" doc:"id of the item"`
	Object         string      `expr:"object" json:"object" doc:"always item"`
	AmountSubtotal int64       `expr:"amount_subtotal" json:"amount_subtotal" doc:"before discounts and taxes, in minor units" kind:"money"`
	AmountTotal    int64       `expr:"amount_total" json:"amount_total" doc:"after discounts and taxes, in minor units" kind:"money"`
	Currency       string      `expr:"currency" json:"currency" doc:"ISO code" kind:"currency"`
	Description    string      `expr:"description" json:"description" doc:"what the customer reads"`
	Price          price       `expr:"price" json:"price" doc:"the price behind the item"`
	Quantity       string      `expr:"quantity" json:"quantity" doc:"how many, as text: int(#.quantity)"`
	Discounts      []*discount `expr:"discounts" json:"discounts" doc:"discounts applied to the item"`
	AmountDiscount int64       `expr:"amount_discount" json:"amount_discount" doc:"total discount, in minor units" kind:"money"`
}

type price struct {
	ID            string            `expr:"id" json:"id" doc:"id of the price"`
	Object        string            `expr:"object" json:"object" doc:"always price"`
	Active        bool              `expr:"active" json:"active" doc:"usable for new purchases"`
	BillingScheme string            `expr:"billing_scheme" json:"billing_scheme" doc:"per_unit or tiered" words:"per_unit tiered"`
	Created       time.Time         `expr:"created" json:"created" doc:"when the price was created"`
	Currency      string            `expr:"currency" json:"currency" doc:"ISO code in upper case" kind:"currency"`
	Livemode      bool              `expr:"livemode" json:"livemode" doc:"true for real money"`
	LookupKey     string            `expr:"lookup_key" json:"lookup_key" doc:"your own key of the price"`
	Metadata      map[string]string `expr:"metadata" json:"metadata" doc:"your own keys, as text"`
	Nickname      string            `expr:"nickname" json:"nickname" doc:"name that customers do not see"`
	Product       string            `expr:"product" json:"product" doc:"id of the product"`
	Type          string            `expr:"type" json:"type" doc:"one_time or recurring" words:"one_time recurring"`
	UnitAmount    int64             `expr:"unit_amount" json:"unit_amount" doc:"per unit, in minor units" kind:"money"`
	Recurring     recurring         `expr:"recurring" json:"recurring" doc:"of a subscription"`
	Tiers         []*tier           `expr:"tiers" json:"tiers" doc:"of a tiered price"`
}

type recurring struct {
	Interval      string `expr:"interval" json:"interval" doc:"day, week, month or year" words:"day week month year"`
	IntervalCount int64  `expr:"interval_count" json:"interval_count" doc:"intervals between billings"`
	UsageType     string `expr:"usage_type" json:"usage_type" doc:"licensed" words:"licensed"`
}

type tier struct {
	UpTo       string `expr:"up_to" json:"up_to" doc:"upper bound, or inf"`
	FlatAmount int64  `expr:"flat_amount" json:"flat_amount" doc:"for the whole tier, in minor units" kind:"money"`
	UnitAmount int64  `expr:"unit_amount" json:"unit_amount" doc:"per unit, in minor units" kind:"money"`
}

type discount struct {
	ID              string    `expr:"id" json:"id" doc:"id of the discount"`
	Object          string    `expr:"object" json:"object" doc:"type of the object"`
	CheckoutSession string    `expr:"checkout_session" json:"checkout_session" doc:"session that it is applied to"`
	Coupon          coupon    `expr:"coupon" json:"coupon" doc:"coupon behind the discount"`
	Customer        string    `expr:"customer" json:"customer" doc:"id of the customer"`
	Start           time.Time `expr:"start" json:"start" doc:"when it was applied"`
	End             time.Time `expr:"end" json:"end" doc:"when it ends"`
	PromotionCode   string    `expr:"promotion_code" json:"promotion_code" doc:"code that the customer entered"`
	Subscription    string    `expr:"subscription" json:"subscription" doc:"subscription that it is applied to"`
}

type coupon struct {
	ID             string            `expr:"id" json:"id" doc:"id of the coupon"`
	AmountOff      int64             `expr:"amount_off" json:"amount_off" doc:"amount taken off, in minor units" kind:"money"`
	Currency       string            `expr:"currency" json:"currency" doc:"ISO code of amount_off" kind:"currency"`
	DurationInDays string            `expr:"duration_in_days" json:"duration_in_days" doc:"how long it holds, as text"`
	Object         string            `expr:"object" json:"object" doc:"type of the object"`
	Created        time.Time         `expr:"created" json:"created" doc:"when the coupon was created"`
	Livemode       bool              `expr:"livemode" json:"livemode" doc:"true for real money"`
	Metadata       map[string]string `expr:"metadata" json:"metadata" doc:"your own keys, as text"`
	Name           string            `expr:"name" json:"name" doc:"what customers read"`
	PercentOff     float64           `expr:"percent_off" json:"percent_off" doc:"percent taken off"`
	MaxRedemptions int64             `expr:"max_redemptions" json:"max_redemptions" doc:"how often it can be used"`
	RedeemBy       time.Time         `expr:"redeem_by" json:"redeem_by" doc:"until when it can be used"`
	TimesRedeemed  int64             `expr:"times_redeemed" json:"times_redeemed" doc:"how often it was used"`
	Valid          bool              `expr:"valid" json:"valid" doc:"whether it can still be used"`
}
