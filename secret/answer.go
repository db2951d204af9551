package secret

import (
	"bytes"
	"cmp"
	"encoding/json"
	"unicode"
)

// ErrorMessage finds what an API says of an error, in any of the shapes in which one
// was seen to say it. Message must mask it.
func ErrorMessage(body []byte) string {
	var shapes struct {
		Error       json.RawMessage `json:"error"`
		Message     string          `json:"message"`
		Short       string          `json:"msg"`
		Description string          `json:"error_description"`
	}
	if json.Unmarshal(body, &shapes) != nil {
		return Beginning(body)
	}
	var nested struct {
		Message string `json:"message"`
		Code    string `json:"code"`
		Type    string `json:"type"`
	}
	var text string
	_, _ = json.Unmarshal(shapes.Error, &nested), json.Unmarshal(shapes.Error, &text) // it is one of them
	return cmp.Or(nested.Message, shapes.Message, shapes.Short, shapes.Description, text, nested.Code, nested.Type, "it does not say why")
}

// Beginning says what came instead of JSON, which is not quoted: it may hold a
// customer's data. It ends with a word, since half of one could not be masked, as
// Message must.
func Beginning(body []byte) string {
	const enough = 60
	body = bytes.TrimLeft(body, "\ufeff \t\r\n\v\f\x00")
	if len(body) == 0 {
		return "it is empty"
	}
	if at := bytes.IndexAny(body, `{["`); at >= 0 {
		body = body[:at]
	}
	if at := bytes.IndexFunc(body[min(len(body), enough):], unicode.IsSpace); at >= 0 {
		body = body[:enough+at]
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return "it is cut off or malformed"
	}
	return "it begins with " + string(body)
}
