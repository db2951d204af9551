package publish

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of headers; NATS tells lower from upper case.
const (
	headerContentType       = "Content-Type"
	headerBinaryContentType = "content-type"
	headerAttribute         = "ce-"
	headerLivemode          = headerAttribute + "livemode"
	contentStructured       = "application/cloudevents+json"
)

// message renders a delivery into what goes over the wire.
func (p *NATSPublisher) message(m *Message) (*nats.Msg, error) {
	subject, err := p.renderer.Subject(*m)
	if err != nil {
		return nil, err
	}
	if way, _ := p.renderer.choose(m); way.format == FormatCloudEvents && p.dest.Mode != ModeStructured {
		body, err := p.renderer.RenderData(*m)
		if err != nil {
			return nil, err
		}
		return p.binary(m, subject, body), nil
	}
	body, err := p.renderer.Render(*m)
	if err != nil {
		return nil, err
	}
	contentType := body.ContentType
	if body.Format == FormatCloudEvents {
		contentType = contentStructured
	}
	headers := p.headers(m, 1)
	headers.set(headerContentType, contentType)
	return &nats.Msg{Subject: subject, Header: headers.header, Data: body.Content}, nil
}

// binary puts a rendered event's attributes beside its data.
func (p *NATSPublisher) binary(m *Message, subject string, body Body) *nats.Msg {
	attributes := m.Event.Attributes()
	headers := p.headers(m, len(attributes)+2)
	headers.set(headerBinaryContentType, body.ContentType)
	for _, a := range attributes {
		headers.set(attributeHeader(a.Name), headerText(a.Value))
	}
	if !m.Event.IsSystem() {
		headers.set(headerLivemode, strconv.FormatBool(m.Event.Livemode))
	}
	return &nats.Msg{Subject: subject, Header: headers.header, Data: body.Content}
}

// headers starts the headers of a message, with room for more.
func (p *NATSPublisher) headers(m *Message, more int) *headerSet {
	h := &headerSet{header: make(nats.Header, more+2), values: make([]string, 0, more+2)}
	h.set(nats.MsgIdHdr, m.Delivery.ID)
	if p.dest.Stream.Name != "" {
		h.set(jetstream.ExpectedStreamHeader, p.dest.Stream.Name)
	}
	return h
}

// headerSet holds headers of one value each, all values in one piece of memory.
type headerSet struct {
	header nats.Header
	values []string
}

func (h *headerSet) set(name, value string) {
	n := len(h.values)
	h.values = append(h.values, value)
	h.header[name] = h.values[n : n+1 : n+1]
}

// attributeHeader is the name of an attribute's header; those that we have are
// not put together anew for each message.
func attributeHeader(name string) string {
	switch name {
	case "specversion":
		return headerAttribute + "specversion"
	case "id":
		return headerAttribute + "id"
	case "source":
		return headerAttribute + "source"
	case "type":
		return headerAttribute + "type"
	case "subject":
		return headerAttribute + "subject"
	case "time":
		return headerAttribute + "time"
	case "datacontenttype":
		return headerAttribute + "datacontenttype"
	case "dataschema":
		return headerAttribute + "dataschema"
	case "account":
		return headerAttribute + "account"
	case "sequence":
		return headerAttribute + "sequence"
	}
	return headerAttribute + name
}

// headerText writes an attribute's value as a CloudEvents header: what is not
// printable ASCII, and the space, quote and percent sign, as %XX.
func headerText(value string) string {
	if !slices.ContainsFunc([]byte(value), escaped) {
		return value
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; escaped(c) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escaped(c byte) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '%' }
