package checkout_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"checkout-notifier/checkout"
)

// checkScan holds Scan to what it promises for any bytes.
func checkScan(t interface {
	Helper()
	Fatalf(string, ...any)
}, data []byte) (checkout.Glance, bool) {
	t.Helper()
	g, n, ok := checkout.Scan(data)
	if !ok {
		return g, false
	}
	item := data[:n]
	s, err := checkout.Parse(item)
	if valid := json.Valid(item); valid != (err == nil) {
		t.Fatalf("scanned, valid JSON %t, Parse: %v\n%s", valid, err, item)
	} else if !valid {
		return g, true
	}
	if s.ID != string(g.ID) || s.Status != string(g.Status) || s.PaymentStatus != string(g.PaymentStatus) || s.Created.Unix() != g.Created {
		t.Fatalf("Scan: %s %q %q %d, Parse: %s %q %q %d\n%s", g.ID, g.Status, g.PaymentStatus, g.Created,
			s.ID, s.Status, s.PaymentStatus, s.Created.Unix(), item)
	}
	if g.Hash == 0 || s.ScanHash != g.Hash {
		t.Fatalf("hash %d, Parse has %d\n%s", g.Hash, s.ScanHash, item)
	}
	for _, cut := range []int{0, 1, n / 2, n - 1} {
		if _, _, ok := checkout.Scan(item[:cut]); ok {
			t.Fatalf("cut at %d it is still an item\n%s", cut, item)
		}
	}
	behind := append(append([]byte{}, item...), `,"}`...)
	if again, m, ok := checkout.Scan(behind); !ok || m != n || again.Hash != g.Hash {
		t.Fatalf("what stands behind the item matters: %t, %d instead of %d\n%s", ok, m, n, item)
	}
	return g, true
}

// scanned are items that Scan must take.
var scanned = map[string]string{
	"observed":           observed,
	"smallest":           `{"id":"a","created":1}`,
	"blanks":             "{ \"id\" :\t\"a\" , \"created\"\n:\r1 , \"metadata\" : { } }",
	"nulls":              `{"id":"a","created":1,"status":null,"payment_status":"","url":null}`,
	"other writing":      "{\"id\":\"ä\x7f\",\"created\":99999999999,\"status\":\"öffen\"}",
	"milliseconds":       `{"id":"a","created":100000000000}`,
	"last millisecond":   `{"id":"a","created":99999999999999}`,
	"escapes elsewhere":  `{"id":"a","created":1,"x":"\"}","y":"\\","z":"\\\"","k":{"\"":"]\\"}}`,
	"escapes in url":     `{"id":"a","created":1,"url":"https:\/\/\u0061\""}`,
	"names further in":   `{"id":"a","created":1,"x":{"id":"b","id":"c","created":"?","url":{}}}`,
	"names like them":    `{"id":"a","created":1,"ID":"b","Url":7,"status ":3}`,
	"brackets":           `{"id":"a","created":1,"x":[{"y":[[],{}]},"]",-1.5e+3,true]}`,
	"twice elsewhere":    `{"id":"a","created":1,"x":1,"x":2}`,
	"as deep as it may":  `{"id":"a","created":1,"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`,
	"no JSON further in": `{"id":"a","created":1,"x":[1 2],"y":nul,"z":"` + "\n" + `"}`,
}

// refused are items that Scan leaves to Parse, whatever Parse makes of them.
var refused = map[string]string{
	"nothing":               ``,
	"empty":                 `{}`,
	"array":                 `[]`,
	"blank before":          ` {"id":"a","created":1}`,
	"no id":                 `{"created":1}`,
	"empty id":              `{"id":"","created":1}`,
	"number as id":          `{"id":1,"created":1}`,
	"object as id":          `{"id":{"id":"a"},"created":1}`,
	"escape in id":          `{"id":"\u0061","created":1}`,
	"control in id":         "{\"id\":\"a\tb\",\"created\":1}",
	"id in no encoding":     "{\"id\":\"a\xff\",\"created\":1}",
	"control behind others": "{\"id\":\"ä\t\",\"created\":1}",
	"escape behind others":  `{"id":"ä\n","created":1}`,
	"longest id":            `{"id":"` + strings.Repeat("a", 256) + `","created":1}`,
	"escape in key":         `{"id":"a","created":1,"\u0069d":"b"}`,
	"id twice":              `{"id":"a","created":1,"id":"a"}`,
	"status twice":          `{"id":"a","created":1,"status":null,"status":"open"}`,
	"url twice":             `{"id":"a","created":1,"url":"x","url":"y"}`,
	"expires_at twice":      `{"id":"a","created":1,"expires_at":1,"expires_at":2}`,
	"boolean status":        `{"id":"a","created":1,"status":true}`,
	"escape in status":      `{"id":"a","created":1,"status":"o\u0070en"}`,
	"payment_status list":   `{"id":"a","created":1,"payment_status":[]}`,
	"url is a number":       `{"id":"a","created":1,"url":1}`,
	"url is no string":      `{"id":"a","created":1,"url":"\x"}`,
	"control in url":        "{\"id\":\"a\",\"created\":1,\"url\":\"\n\"}",
	"no created":            `{"id":"cs_1766032392423735296"}`,
	"created is null":       `{"id":"cs_1766032392423735296","created":null}`,
	"created is text":       `{"id":"a","created":"1"}`,
	"created is 0":          `{"id":"a","created":0}`,
	"created is negative":   `{"id":"a","created":-1}`,
	"created in 5138":       `{"id":"a","created":100000000000000}`,
	"created has a point":   `{"id":"a","created":1.0}`,
	"created is power":      `{"id":"a","created":1e3}`,
	"created has zeros":     `{"id":"a","created":01}`,
	"comma at the end":      `{"id":"a","created":1,}`,
	"no comma":              `{"id":"a" "created":1}`,
	"no colon":              `{"id" "a","created":1}`,
	"no value":              `{"id":"a","created":1,"x":}`,
	"no key":                `{"id":"a","created":1,7:8}`,
	"closed by another":     `{"id":"a","created":1,"x":[}]}`,
	"closed crosswise":      `{"id":"a","created":1,"x":[{]}}`,
	"object too deep":       `{"id":"a","created":1,"x":{"y":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}}`,
	"not closed":            `{"id":"a","created":1,"x":[}`,
	"string without end":    `{"id":"a","created":1,"x":"\"}`,
	"too deep":              `{"id":"a","created":1,"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
}

func TestScan(t *testing.T) {
	for name, item := range scanned {
		if _, ok := checkScan(t, []byte(item)); !ok {
			t.Errorf("%s: refused\n%s", name, item)
		}
	}
	for name, item := range refused {
		if _, _, ok := checkout.Scan([]byte(item)); ok {
			t.Errorf("%s: taken\n%s", name, item)
		}
		if s, err := checkout.Parse([]byte(item)); err == nil && s.ScanHash != 0 && name != "blank before" {
			t.Errorf("%s: Parse gives it a hash\n%s", name, item)
		}
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	item := []byte(observed)
	if n := testing.AllocsPerRun(100, func() { checkout.Scan(item) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Items have the same hash exactly if they are the same but for the value of
// url. They are drawn so that parts of one often stand in the other.
func TestScanHashLeavesOutTheURL(t *testing.T) {
	member := rapid.SampledFrom([]string{`"x":"\"url\":"`, `"x":{"url":"a"}`, `"x":1`, `"x":"a"`, `"status":"open"`})
	link := rapid.SampledFrom([]string{`"a"`, `"b"`, `""`, `null`, `"a\",\"x\":1"`})
	draw := func(t *rapid.T, label string) (item, rest string) {
		first, last := member.Draw(t, label+" first"), member.Draw(t, label+" last")
		before := `{"id":"a","created":1,` + first + `,`
		if !rapid.Bool().Draw(t, label+" has url") {
			item = before + `"y":` + link.Draw(t, label+" y") + `}`
			return item, item
		}
		before += `"url":`
		behind := `}`
		if first != last && (first[1] != 'x' || last[1] != 'x') {
			behind = `,` + last + `}`
		}
		return before + link.Draw(t, label+" url") + behind, before + "\x00" + behind
	}
	rapid.Check(t, func(t *rapid.T) {
		a, restA := draw(t, "a")
		b, restB := draw(t, "b")
		glanceA, okA := checkScan(t, []byte(a))
		glanceB, okB := checkScan(t, []byte(b))
		if !okA || !okB {
			t.Fatalf("refused:\n%s\n%s", a, b)
		}
		if (glanceA.Hash == glanceB.Hash) != (restA == restB) {
			t.Fatalf("hashes equal: %t\n%s\n%s", glanceA.Hash == glanceB.Hash, a, b)
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, items := range []map[string]string{scanned, refused} {
		for _, item := range items {
			f.Add([]byte(item))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkScan(t, data) })
}
