package publish_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// marked is a destination of which everything that is secret holds the mark,
// a word that is nowhere else.
const mark = "Mark7er"

var encodedMark = base64.StdEncoding.EncodeToString([]byte("user:" + mark + "-password"))

func marked(target string) publish.Destination {
	d := httpDestination(target + "/hooks/" + mark + "-path/x?key=" + mark + "-query&" + mark + "-bare")
	d.Secrets = []secret.String{secret.String("whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(mark, 5))))}
	d.Headers = map[string]secret.String{"X-Key": mark + `-header"/\`, "Cookie": "a=b; id=" + mark + "-cookie"}
	d.Auth.Basic = publish.BasicAuth{Username: "user", Password: mark + "-password"}
	d.Timeout = plenty
	return d
}

func markedMessage() publish.Message {
	m := message(event.Fulfillable)
	m.Event.Object = json.RawMessage(strings.NewReplacer("https://pay.example/cs_2031282752732528640", "https://pay.example/c/"+mark+"-link",
		"buyer@example.com", mark+"@example.com", "A. Buyer", mark+"-name").Replace(string(m.Event.Object)))
	return m
}

// read returns a request as it came, up to the end of its body.
func readAll(c net.Conn) []byte {
	var raw bytes.Buffer
	if !takeRequest(readerConn{c, io.TeeReader(c, &raw)}) {
		return nil
	}
	return raw.Bytes()
}

type readerConn struct {
	net.Conn
	r io.Reader
}

func (c readerConn) Read(b []byte) (int, error) { return c.r.Read(b) }

var signature = regexp.MustCompile(`v1,[A-Za-z0-9+/=]{40,}`)

// leaked returns what of a request can still be read in its result.
func leaked(request []byte, r publish.Result) string {
	text := fmt.Sprintf("%s\n%s\n%s\n%v", r.Error, r.Note, r.Answer, r.Headers)
	for _, s := range append([]string{mark[:5], "user:", encodedMark, encodedMark[8:20]}, signature.FindAllString(string(request), -1)...) {
		if strings.Contains(text, strings.TrimPrefix(s, "v1,")) {
			return fmt.Sprintf("%q in %s", s, text)
		}
	}
	return ""
}

// oneLine is a request as a header value or a status line may repeat it.
func oneLine(raw []byte) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ").Replace(string(raw))
}

// TestEchoesAreNotKept: a receiver may send our request back in every place of
// its answer, and what is no HTTP is quoted by errors.
func TestEchoesAreNotKept(t *testing.T) {
	sized := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	for name, answer := range map[string]func(raw []byte) string{
		"body":          func(raw []byte) string { return "HTTP/1.1 400 No\r\n" + sized(string(raw)) },
		"accepted body": func(raw []byte) string { return "HTTP/1.1 200 OK\r\n" + sized(string(raw)) },
		"cut body":      func(raw []byte) string { return "HTTP/1.1 400 No\r\nContent-Length: 99999\r\n\r\n" + string(raw[:400]) },
		"JSON": func(raw []byte) string {
			text, _ := json.Marshal(map[string]string{"request": string(raw)})
			return "HTTP/1.1 400 No\r\n" + sized(string(text))
		},
		"PHP": func(raw []byte) string {
			text, _ := json.Marshal(map[string]string{"request": string(raw)})
			return "HTTP/1.1 400 No\r\n" + sized(strings.ReplaceAll(string(text), "/", `\/`))
		},
		"HTML": func(raw []byte) string {
			return "HTTP/1.1 400 No\r\n" + sized("<pre>"+html.EscapeString(string(raw))+"</pre>")
		},
		"form":         func(raw []byte) string { return "HTTP/1.1 400 No\r\n" + sized("error="+url.QueryEscape(string(raw))) },
		"nothing else": func(raw []byte) string { return string(raw) },
		"status line":  func(raw []byte) string { return "HTTP/1.1 400 " + oneLine(raw) + "\r\nContent-Length: 0\r\n\r\n" },
		"status":       func(raw []byte) string { return "HTTP/1.1 " + oneLine(raw) + "\r\n\r\n" },
		"version": func(raw []byte) string {
			return "HTTP/" + strings.ReplaceAll(oneLine(raw), " ", "") + " 200 OK\r\n\r\n"
		},
		"no colon": func(raw []byte) string {
			return "HTTP/1.1 400 No\r\n" + strings.ReplaceAll(oneLine(raw), ":", "") + "\r\n\r\n"
		},
		"first line": func(raw []byte) string { return "HTTP/1.1 400 No\r\n " + oneLine(raw) + "\r\n\r\n" },
		"length":     func(raw []byte) string { return "HTTP/1.1 400 No\r\nContent-Length: " + oneLine(raw) + "\r\n\r\n" },
		"coding":     func(raw []byte) string { return "HTTP/1.1 400 No\r\nTransfer-Encoding: " + oneLine(raw) + "\r\n\r\n" },
		"chunk": func(raw []byte) string {
			return "HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n" + oneLine(raw) + "\r\n"
		},
		"trailer": func(raw []byte) string {
			return "HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\nTrailer: " + oneLine(raw) + "\r\n\r\n0\r\n\r\n"
		},
		"location": func(raw []byte) string {
			return "HTTP/1.1 302 No\r\nLocation: https://a.example/" + oneLine(raw) + "\r\n" + sized("")
		},
		"location's query": func(raw []byte) string {
			return "HTTP/1.1 302 No\r\nLocation: /?" + url.QueryEscape(oneLine(raw)) + "\r\n" + sized("")
		},
		"headers": func(raw []byte) string {
			line := oneLine(raw)
			return "HTTP/1.1 401 No\r\nWWW-Authenticate: " + line + "\r\nServer: " + line + "\r\nX-Request-Id: " + line + "\r\nRetry-After: " + line + "\r\n" + sized("")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var raw []byte
			address, gone := stranger(t, nil, func(c net.Conn) {
				raw = readAll(c)
				io.WriteString(c, answer(raw))
			})
			r := newHTTP(t, marked("http://"+address), publish.HTTPOptions{}).Publish(t.Context(), markedMessage())
			gone()
			if len(raw) < 2000 || !bytes.Contains(raw, []byte(mark+"-query")) || !bytes.Contains(raw, []byte(mark+"-link")) || !signature.Match(raw) {
				t.Fatalf("the receiver did not get the request: %s", raw)
			}
			if left := leaked(raw, r); left != "" {
				t.Error(left)
			}
			if name == "body" && (r.StatusCode != 400 || !bytes.Contains(r.Answer, []byte("POST /hooks/<redacted>/x?key=<redacted>&<redacted> HTTP/1.1")) ||
				!bytes.Contains(r.Answer, []byte(`"currency":"USD"`))) {
				t.Errorf("answer %s", r.Answer)
			}
		})
	}
}

// TestEchoesAreNotKeptAnywhere moves the echo over the border of what is kept
// and of what is read.
func TestEchoesAreNotKeptAnywhere(t *testing.T) {
	offset := 0
	var raw []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw = fmt.Appendf(nil, "%s %s\n%v\n", r.Method, r.RequestURI, r.Header)
		fmt.Fprintf(w, "%s%s%s", strings.Repeat(".", offset), raw, strings.Repeat(".", 9000))
	}))
	t.Cleanup(s.Close)
	d := marked(s.URL)
	d.Timeout = publish.DefaultHTTP().Timeout
	p := newHTTP(t, d, publish.HTTPOptions{})
	for _, border := range []int{0, 4096, 8192} {
		for offset = max(0, border-700); offset <= border; offset += 7 {
			r := p.Publish(t.Context(), markedMessage())
			if r.Outcome != event.OutcomeAccepted || len(r.Answer) > 4096 {
				t.Fatalf("%d: %d bytes of answer, %+v", offset, len(r.Answer), r)
			}
			if left := leaked(raw, r); left != "" {
				t.Fatalf("at %d: %s", offset, left)
			}
		}
	}
}

// TestNoEchoSurvives lets chance put answers together: pieces of HTTP, of what
// is none, and of our request.
func TestNoEchoSurvives(t *testing.T) {
	quiet(t)
	pieces := []string{"HTTP/1.1 ", "200 OK", "503 No", "\r\n", "\r\n\r\n", "X-Request-Id: ", "Location: https://a.example/?", "Server: ", "Content-Length: 50", "Transfer-Encoding: chunked",
		"Content-Encoding: gzip", "fff\r\n", "0\r\n", " ", ":", `"`, `\`, "%", "\x00", "\xff", "<p>", "Connection: close"}
	var mu sync.Mutex // guards what the receiver answers, and the last request it read
	var answer func(raw []byte) string
	var request []byte
	address, _ := stranger(t, nil, func(c net.Conn) {
		raw := readAll(c)
		mu.Lock()
		request = raw
		text := answer(raw)
		mu.Unlock()
		io.WriteString(c, text)
	})
	p := newHTTP(t, marked("http://"+address), publish.HTTPOptions{})
	part := rapid.Custom(func(t *rapid.T) func(raw []byte) string {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return oneLine
		case 1:
			line := rapid.IntRange(0, 12).Draw(t, "from line")
			return func(raw []byte) string {
				lines := strings.SplitAfter(string(raw), "\n")
				return strings.Join(lines[min(line, len(lines)):], "")
			}
		case 2:
			return func(raw []byte) string { return fmt.Sprintf("%q", raw) }
		}
		piece := rapid.SampledFrom(pieces).Draw(t, "piece")
		return func([]byte) string { return piece }
	})
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.SampledFrom([]string{"", "HTTP/1.1 ", "HTTP/1.1 400 No\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n"}).Draw(t, "begin")
		parts := rapid.SliceOfN(part, 0, 8).Draw(t, "parts")
		mu.Lock()
		request = nil
		answer = func(raw []byte) string {
			text := begin
			for _, part := range parts {
				text += part(raw)
			}
			return text
		}
		mu.Unlock()
		// A whole answer leaves a connection to use again, which the receiver
		// may close just as the next request is written: then it reads none.
		for heard := false; !heard; {
			r := p.Publish(t.Context(), markedMessage())
			mu.Lock()
			raw := request
			mu.Unlock()
			if left := leaked(raw, r); left != "" {
				t.Fatal(left)
			}
			heard = raw != nil
		}
	})
}

// TestNoErrorTellsASecret goes through whatever ends without an answer.
func TestNoErrorTellsASecret(t *testing.T) {
	dead := strings.TrimPrefix(nobody, "http://")
	for name, change := range map[string]func(d *publish.Destination){
		"refused": func(d *publish.Destination) {},
		"unknown host": func(d *publish.Destination) {
			d.URL = secret.String("http://host.invalid/" + mark + "-path?x=" + mark + "-query")
		},
		"TLS":         overTLS,
		"http proxy":  func(d *publish.Destination) { d.Proxy = secret.String("http://user:" + mark + "-password@" + dead) },
		"https proxy": func(d *publish.Destination) { d.Proxy = secret.String("https://user:" + mark + "-password@" + dead) },
		"socks proxy": func(d *publish.Destination) { d.Proxy = secret.String("socks5://user:" + mark + "-password@" + dead) },
		"lost proxy": func(d *publish.Destination) {
			d.Proxy = secret.String("http://user:" + mark + "-password@host.invalid")
		},
		"long user": func(d *publish.Destination) {
			d.Proxy = secret.String("socks5://" + strings.Repeat(mark, 50) + ":" + mark + "@" + dead)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := marked(nobody)
			change(&d)
			p := newHTTP(t, d, publish.HTTPOptions{})
			r := p.Publish(t.Context(), markedMessage())
			if r.Outcome != event.OutcomeRefused || r.Error == "" || r.Class == publish.ClassStatus {
				t.Errorf("result %+v", r)
			}
			if left := leaked(nil, r); left != "" {
				t.Error(left)
			}
			if err := p.Reach(t.Context()); err == nil || strings.Contains(err.Error(), mark) {
				t.Errorf("Reach: %v", err)
			}
		})
	}
}

// A template's error may quote what the session holds.
func TestNoErrorOfATemplateTellsASecret(t *testing.T) {
	for _, text := range []string{`{{ money .Session.customer_email "USD" }}`, `{{ time .Session.url }}`, `{{ index .Session.url 5000 }}`, `{{ slice .Session.url 5000 }}`,
		`{{ if ne .Event.ID "" }}{{ printf "%d" .Session.customer_details | money "USD" }}{{ end }}`} {
		d := marked(nobody)
		d.Format, d.Template = publish.FormatTemplate, `{{ if eq .Account "other" }}`+text+`{{ end }}`
		renderer, err := publish.NewRenderer(d, nil, "")
		if err != nil {
			t.Logf("%s: refused at load", text)
			continue
		}
		p, err := publish.NewHTTP(d, renderer, publish.HTTPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close(t.Context()) })
		m := markedMessage()
		m.Event.Account = "other"
		r := p.Publish(t.Context(), m)
		if r.Class != publish.ClassRender || !r.Final || r.Error == "" {
			t.Errorf("%s: %+v", text, r)
		}
		if left := leaked(nil, r); left != "" {
			t.Errorf("%s: %s", text, left)
		}
	}
}
