// Package oddity counts what in an API's answers is not as documented.
package oddity

import "time"

// Oddity is something in the API's answers that is not as documented, said in
// the log when it is first met and counted since.
type Oddity struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Detail  string    `json:"detail,omitempty"` // the error of the last time
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Count counts an oddity, and says whether it is the first of its code.
func Count(list *[]Oddity, code, message, detail string, now time.Time) (first bool) {
	for i := range *list {
		if o := &(*list)[i]; o.Code == code {
			o.Count++
			o.Last, o.Message, o.Detail = now, message, detail
			return false
		}
	}
	*list = append(*list, Oddity{Code: code, Message: message, Detail: detail, Count: 1, First: now, Last: now})
	return true
}
