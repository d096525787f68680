package top

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"credrpc/control"
	"credrpc/server"
)

// An Interval is what happened between two looks at a server, and what --json prints.
// Names and meanings of the fields are stable; more may come.
type Interval struct {
	Time      time.Time     `json:"time"` // of its end
	Length    time.Duration `json:"interval_ns"`
	PID       int           `json:"pid"`
	Version   string        `json:"version"`
	Uptime    time.Duration `json:"uptime_ns"`
	Restarted bool          `json:"restarted,omitempty"` // it began with the server

	Calls    uint64            `json:"calls"` // accepted; these are counts, not rates
	Answered uint64            `json:"answered"`
	Failed   uint64            `json:"failed"`
	Dropped  uint64            `json:"dropped"`
	Refused  map[string]uint64 `json:"refused"` // by reason
	Empty    uint64            `json:"empty"`
	Panics   uint64            `json:"panics"`
	Timeouts uint64            `json:"timeouts"`
	Delayed  uint64            `json:"delayed"`
	BytesIn  uint64            `json:"bytes_in"`
	BytesOut uint64            `json:"bytes_out"`
	CPU      time.Duration     `json:"cpu_ns"` // of the process

	CallsPerSecond float64 `json:"calls_per_second"`
	InFlight       int64   `json:"in_flight"` // at its end

	Latency control.Latency `json:"latency"`
	Loops   []Loop          `json:"loops"`
	Sockets []Socket        `json:"sockets,omitempty"` // absent if there is one
	Users   []User          `json:"users"`

	Totals  control.Calls   `json:"totals"` // since the start
	Rules   *control.Rules  `json:"rules,omitempty"`
	Process control.Process `json:"process"`

	// Missing are the fields above that the server's metrics do not tell, such as users
	// and process.cpu_ns. They mean nothing, and are not in the JSON.
	Missing []string `json:"missing,omitempty"`
}

// A Loop is what an event loop did.
type Loop struct {
	Calls   uint64 `json:"calls"`
	Resting bool   `json:"resting"`
	Socket  string `json:"socket,omitempty"` // absent if there is one
}

// A Socket is what callers did at one of several sockets.
type Socket struct {
	Socket   string `json:"socket"`
	Calls    uint64 `json:"calls"`
	Refused  uint64 `json:"refused"`
	InFlight int64  `json:"in_flight"`
}

// A User is what a connecting user did.
type User struct {
	UID      *uint32       `json:"uid"`
	Name     string        `json:"name,omitempty"`
	Calls    uint64        `json:"calls"` // that ended, refused ones included
	Refused  uint64        `json:"refused"`
	Mean     time.Duration `json:"mean_ns"` // of those that were not refused
	InFlight int           `json:"in_flight"`
	Bytes    int64         `json:"bytes"`
	Total    uint64        `json:"total"` // that ended and were counted
}

// between returns what happened from earlier to now.
func between(earlier, now *totals) *Interval {
	missing := slices.Concat(earlier.missing, now.missing)
	slices.Sort(missing)
	restarted := now.begunAfter(earlier)
	if restarted {
		earlier = new(totals)
	}
	i := &Interval{
		Time: now.Time, Length: now.Uptime - earlier.Uptime, PID: now.PID, Version: now.Version, Uptime: now.Uptime, Restarted: restarted,
		Latency: now.Latency.Sub(&earlier.Latency),
		Totals:  now.Calls, Rules: now.Rules, Process: now.Process, InFlight: now.Calls.InFlight,
		CPU: now.Process.CPU - earlier.Process.CPU, Missing: slices.Compact(missing),
	}
	i.count(&earlier.Calls, &now.Calls)
	i.CallsPerSecond = i.rate(i.Calls)
	i.loops(earlier.Loops, now.Loops)
	i.sockets(earlier.Sockets, now.Sockets)
	i.users(earlier.Users, now.Users)
	return i
}

// begunAfter reports whether the server has begun after it told earlier. That of which no
// process is known has if it is younger than the time since then.
func (t *totals) begunAfter(earlier *totals) bool {
	if t.PID != earlier.PID || t.Uptime < earlier.Uptime {
		return true
	}
	return t.PID == 0 && t.Uptime < earlier.Uptime+t.asked.Sub(earlier.Time)
}

// lacks reports whether a field is missing.
func (i *Interval) lacks(name string) bool { return slices.Contains(i.Missing, name) }

// MarshalJSON leaves out what is missing.
func (i *Interval) MarshalJSON() ([]byte, error) {
	type fields Interval
	text, err := json.Marshal((*fields)(i))
	for _, name := range i.Missing {
		if err == nil {
			text, err = without(text, name)
		}
	}
	return text, err
}

// without returns an object without a field, OBJECT.FIELD for one of an object in it.
func without(object []byte, name string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		delete(fields, name)
	} else if fields[outer] != nil {
		var err error
		if fields[outer], err = without(fields[outer], inner); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

func (i *Interval) count(a, b *control.Calls) {
	i.Calls = grown(a.Accepted, b.Accepted)
	i.Answered = grown(a.Answered, b.Answered)
	i.Failed = grown(a.Failed, b.Failed)
	i.Dropped = grown(a.Dropped, b.Dropped)
	i.Empty = grown(a.Empty, b.Empty)
	i.Panics = grown(a.Panics, b.Panics)
	i.Timeouts = grown(a.Timeouts, b.Timeouts)
	i.Delayed = grown(a.Delayed, b.Delayed)
	i.BytesIn = grown(a.BytesIn, b.BytesIn)
	i.BytesOut = grown(a.BytesOut, b.BytesOut)
	i.Refused = make(map[string]uint64)
	for reason, n := range b.Refused {
		if n = grown(a.Refused[reason], n); n > 0 {
			i.Refused[reason] = n
		}
	}
}

// grown returns by how much a counter grew.
func grown(from, to uint64) uint64 { return to - min(from, to) }

// refused returns how many were refused, for whatever reason.
func (i *Interval) refused() (n uint64) {
	for _, refused := range i.Refused {
		n += refused
	}
	return n
}

// rate returns n in a second.
func (i *Interval) rate(n uint64) float64 {
	if i.Length <= 0 {
		return 0
	}
	return float64(n) / i.Length.Seconds()
}

func (i *Interval) loops(before, now []control.Loop) {
	i.Loops = make([]Loop, len(now))
	for k, l := range now {
		i.Loops[k] = Loop{Calls: l.Accepted, Resting: l.Resting, Socket: l.Socket}
		if k < len(before) {
			i.Loops[k].Calls = grown(before[k].Accepted, l.Accepted)
		}
	}
}

func (i *Interval) sockets(before, now []control.Socket) {
	earlier := make(map[string]*control.Calls, len(before))
	for k := range before {
		earlier[before[k].Socket] = &before[k].Calls
	}
	for k := range now {
		c, from := &now[k].Calls, earlier[now[k].Socket]
		if from == nil {
			from = new(control.Calls)
		}
		i.Sockets = append(i.Sockets, Socket{
			Socket: now[k].Socket, Calls: grown(from.Accepted, c.Accepted),
			Refused: grown(from.RefusedTotal(), c.RefusedTotal()), InFlight: c.InFlight,
		})
	}
}

// users notes those who called or have calls in flight. The counters of a user who
// was out of the server's table in between have begun anew.
func (i *Interval) users(before, now []control.User) {
	earlier := make(map[uint32]*control.User, len(before))
	for k := range before {
		earlier[uidOf(before[k].UID)] = &before[k]
	}
	i.Users = []User{}
	for k := range now {
		u := &now[k]
		from := earlier[uidOf(u.UID)]
		if from == nil || !from.Since.Equal(u.Since) {
			from = &control.User{}
		}
		calls := grown(from.Ended(), u.Ended())
		if calls == 0 && u.InFlight == 0 {
			continue
		}
		served := grown(from.Answered+from.Failed+from.Dropped, u.Answered+u.Failed+u.Dropped)
		i.Users = append(i.Users, User{
			UID: u.UID, Calls: calls, Refused: grown(from.Refused, u.Refused),
			Mean:     (u.Duration - from.Duration) / time.Duration(max(served, 1)),
			InFlight: u.InFlight, Bytes: u.Bytes, Total: u.Ended(),
		})
	}
}

// uidOf returns NoID for a user whom the kernel did not name.
func uidOf(uid *uint32) uint32 {
	if uid == nil {
		return server.NoID
	}
	return *uid
}
