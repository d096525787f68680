package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"credrpc/server"
)

// Events of a [Record].
const (
	EventCall    = "call"    // a connection has ended
	EventDropped = "dropped" // for a second there was nothing else to say than Dropped
	EventEnd     = "end"     // the last record; Dropped is of all the time
)

// A Record is a line of the log. What is absent in JSON is zero here.
type Record struct {
	Time  time.Time `json:"time"`  // when the connection ended
	Event string    `json:"event"` // see EventCall

	// Outcome is what [server.Outcome] prints: "answered", "failed", "dropped",
	// "refused" or "empty". Reason is why a call was refused, as [server.Reason] prints
	// it: "access" for one that the rules do not allow.
	Outcome string `json:"outcome,omitempty"`
	Reason  string `json:"reason,omitempty"`

	// TimedOut says that the handler took longer than [server.Server.CallTimeout].
	TimedOut bool `json:"timed_out,omitempty"`

	// Rule is the rule that decided, such as "uid/1000"; absent if none did, or if the
	// call was refused before rules were asked.
	Rule string `json:"rule,omitempty"`

	// Peer is who connected, Sender who sent the request; absent if the kernel did not
	// say, or nothing was received.
	Peer   *Process `json:"peer,omitempty"`
	Sender *Process `json:"sender,omitempty"`

	BytesIn  int     `json:"bytes_in"`  // received, headers included
	BytesOut int     `json:"bytes_out"` // written, headers included
	Seconds  float64 `json:"seconds"`   // from accepting the connection to its end

	// Hint is about the process of Sender, or of Peer if that is absent.
	Hint *Hint `json:"hint,omitempty"`

	// Sample is the share of such calls that are written, if not all are.
	Sample float64 `json:"sample,omitempty"`

	// Dropped is how many records should stand before this one and do not.
	Dropped uint64 `json:"dropped,omitempty"`
}

// A Process is what the kernel said about one.
type Process struct {
	PID int    `json:"pid"`
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// A Hint is what /proc said about a process when the call was over: it may be wrong.
type Hint struct {
	Executable string `json:"exe,omitempty"`  // path of the program, as the process sees it
	Unit       string `json:"unit,omitempty"` // unit of systemd, the outermost service or scope
}

// process returns c for a record.
func process(c server.Credentials) *Process {
	if !c.Valid() {
		return nil
	}
	return &Process{c.PID(), c.UID(), c.GID()}
}

// record makes the record of an entry, without hint and the rest.
func (e *entry) record() *Record {
	r := &Record{
		Time:     e.ended.UTC(),
		Event:    EventCall,
		Outcome:  e.outcome.String(),
		TimedOut: e.timedOut,
		Rule:     e.rule.String(),
		Peer:     process(e.peer),
		Sender:   process(e.sender),
		BytesIn:  e.bytesIn,
		BytesOut: e.bytesOut,
		Seconds:  e.took.Seconds(),
	}
	if e.outcome == server.OutcomeRefused {
		r.Reason = e.reason.String()
	}
	return r
}

// line returns r as a line of JSON. A record has nothing that cannot be encoded.
func (r *Record) line() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		panic(err)
	}
	return append(escape(nil, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})), '\n')
}

// escape appends text, which is JSON, to dst with what cannot be printed in the form of
// JSON. It stands in strings only. Package json leaves the control characters beyond
// ASCII, which terminals obey, and those that turn the direction of what follows.
func escape(dst, text []byte) []byte {
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case high == unicode.ReplacementChar:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		}
	}
	return dst
}
