package logic

import (
	"strings"
	"time"
)

// oneDigit makes of a layout one that also reads what lacks leading zeros.
var oneDigit = strings.NewReplacer("2006", "2006", "01", "1", "02", "2", "03", "3", "04", "4", "05", "5")

// AsFormatted is a text as a layout writes that time, with the zeros that it lacks: "09:00"
// for "9:00" and 15:04. It is "" for a text that lacks none, or is no such time.
func AsFormatted(layout, text string) string {
	t, err := time.Parse(oneDigit.Replace(layout), text)
	if err != nil {
		return ""
	}
	written := t.Format(layout)
	if len(written) <= len(text) || strings.ReplaceAll(written, "0", "") != strings.ReplaceAll(text, "0", "") {
		return ""
	}
	return written
}
