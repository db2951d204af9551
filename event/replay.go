package event

// CopyID is the id of the copy of an event that one replay makes: the same
// whenever that replay comes to it again.
func CopyID(original, job string) string { return "evt_" + digest("copy", original, job) }
