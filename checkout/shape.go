package checkout

// kind is the documented JSON type of a field.
type kind uint8

const (
	kindAny kind = iota // documented without a type: passes through
	kindString
	kindInteger
	kindBoolean
	kindTime // integer seconds since the epoch
	// Those with members or elements come last.
	kindMap // free-form object, such as metadata
	kindObject
	kindArray
)

// shape is the documented type of a value, with its members or elements.
type shape struct {
	kind   kind
	fields []field
	elem   *shape
}

// anything is the shape of what the schema does not describe.
var anything shape

// member is the shape of an object's member.
func (s *shape) member(name string) *shape {
	for i := range s.fields {
		if s.fields[i].name == name {
			return &s.fields[i].shape
		}
	}
	return &anything
}

type field struct {
	name  string
	shape shape
}

var address = field{"address", shape{kind: kindObject, fields: []field{
	{"city", shape{kind: kindString}},
	{"country", shape{kind: kindString}},
	{"line1", shape{kind: kindString}},
	{"line2", shape{kind: kindString}},
	{"postal_code", shape{kind: kindString}},
	{"state", shape{kind: kindString}},
}}}

// sessionShape is the schema that the API publishes for a session in the
// answer of its list endpoint, in the order of that schema.
var sessionShape = shape{kind: kindObject, fields: []field{
	{"id", shape{kind: kindString}},
	{"object", shape{kind: kindString}},
	{"amount_subtotal", shape{kind: kindInteger}},
	{"amount_total", shape{kind: kindInteger}},
	{"billing_address_collection", shape{kind: kindString}},
	{"cancel_url", shape{kind: kindString}},
	{"client_reference_id", shape{kind: kindString}},
	{"created", shape{kind: kindTime}},
	{"currency", shape{kind: kindString}},
	{"customer", shape{kind: kindString}},
	{"customer_email", shape{kind: kindString}},
	{"expires_at", shape{kind: kindTime}},
	{"livemode", shape{kind: kindBoolean}},
	{"metadata", shape{kind: kindMap}},
	{"mode", shape{kind: kindString}},
	{"payment_intent", shape{kind: kindString}},
	{"payment_link", shape{kind: kindString}},
	{"payment_method_options", shape{kind: kindAny}},
	{"payment_method_types", shape{kind: kindArray, elem: &shape{kind: kindString}}},
	{"payment_status", shape{kind: kindString}},
	{"phone_number_collection", shape{kind: kindObject, fields: []field{
		{"enabled", shape{kind: kindBoolean}},
	}}},
	{"shipping_address_collection", shape{kind: kindObject, fields: []field{
		{"allowed_countries", shape{kind: kindArray, elem: &shape{kind: kindString}}},
	}}},
	{"shipping", shape{kind: kindObject, fields: []field{
		address,
		{"carrier", shape{kind: kindString}},
		{"name", shape{kind: kindString}},
		{"phone", shape{kind: kindString}},
		{"tracking_number", shape{kind: kindString}},
	}}},
	{"status", shape{kind: kindString}},
	{"success_url", shape{kind: kindString}},
	{"url", shape{kind: kindString}},
	{"line_items", shape{kind: kindObject, fields: []field{
		{"object", shape{kind: kindString}},
		{"url", shape{kind: kindString}},
		{"has_more", shape{kind: kindBoolean}},
		{"data", shape{kind: kindArray, elem: &shape{kind: kindObject, fields: []field{
			{"id", shape{kind: kindString}},
			{"object", shape{kind: kindString}},
			{"amount_subtotal", shape{kind: kindString}},
			{"amount_total", shape{kind: kindString}},
			{"currency", shape{kind: kindString}},
			{"description", shape{kind: kindString}},
			{"price", shape{kind: kindObject, fields: []field{
				{"id", shape{kind: kindString}},
				{"object", shape{kind: kindString}},
				{"active", shape{kind: kindBoolean}},
				{"billing_scheme", shape{kind: kindString}},
				{"created", shape{kind: kindTime}},
				{"currency", shape{kind: kindString}},
				{"livemode", shape{kind: kindBoolean}},
				{"lookup_key", shape{kind: kindString}},
				{"metadata", shape{kind: kindMap}},
				{"nickname", shape{kind: kindString}},
				{"product", shape{kind: kindString}},
				{"type", shape{kind: kindString}},
				{"unit_amount", shape{kind: kindInteger}},
				{"recurring", shape{kind: kindObject, fields: []field{
					{"interval", shape{kind: kindString}},
					{"interval_count", shape{kind: kindInteger}},
					{"usage_type", shape{kind: kindString}},
				}}},
				{"tiers", shape{kind: kindArray, elem: &shape{kind: kindObject, fields: []field{
					{"up_to", shape{kind: kindString}},
					{"flat_amount", shape{kind: kindString}},
					{"unit_amount", shape{kind: kindString}},
				}}}},
			}}},
			{"quantity", shape{kind: kindString}},
			{"discounts", shape{kind: kindArray, elem: &shape{kind: kindObject, fields: []field{
				{"id", shape{kind: kindString}},
				{"object", shape{kind: kindString}},
				{"checkout_session", shape{kind: kindString}},
				{"coupon", shape{kind: kindObject, fields: []field{
					{"id", shape{kind: kindString}},
					{"amount_off", shape{kind: kindInteger}},
					{"currency", shape{kind: kindString}},
					{"duration_in_days", shape{kind: kindString}},
					{"object", shape{kind: kindString}},
					{"created", shape{kind: kindTime}},
					{"livemode", shape{kind: kindBoolean}},
					{"metadata", shape{kind: kindMap}},
					{"name", shape{kind: kindString}},
					{"percent_off", shape{kind: kindAny}},
					{"max_redemptions", shape{kind: kindInteger}},
					{"redeem_by", shape{kind: kindInteger}},
					{"times_redeemed", shape{kind: kindInteger}},
					{"valid", shape{kind: kindBoolean}},
					{"currency_options", shape{kind: kindMap}},
				}}},
				{"customer", shape{kind: kindString}},
				{"start", shape{kind: kindInteger}},
				{"end", shape{kind: kindAny}},
				{"promotion_code", shape{kind: kindAny}},
				{"subscription", shape{kind: kindAny}},
			}}}},
			{"amount_discount", shape{kind: kindInteger}},
		}}}},
	}}},
	{"customer_creation", shape{kind: kindString}},
	{"customer_details", shape{kind: kindObject, fields: []field{
		address,
		{"email", shape{kind: kindString}},
		{"name", shape{kind: kindString}},
		{"phone", shape{kind: kindString}},
	}}},
}}
