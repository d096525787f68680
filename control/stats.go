package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"

	"credrpc/accessdb"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

const (
	defaultUsers = 20
	maxUsers     = 5000 // those that are counted, and those with calls in flight
)

// Stats is the answer to "stats". Names and meanings of the fields are stable; more
// may come. Durations are in nanoseconds, sizes in bytes. Counters begin with the
// process.
type Stats struct {
	Version string        `json:"version"` // of the program
	PID     int           `json:"pid"`
	Time    time.Time     `json:"time"`      // of these statistics
	Uptime  time.Duration `json:"uptime_ns"` // of the control server
	Calls   Calls         `json:"calls"`
	Loops   []Loop        `json:"loops"`
	Rules   *Rules        `json:"rules,omitempty"` // absent without rules
	Users   []User        `json:"users"`           // those with the most calls first
	Process Process       `json:"process"`
	Latency Latency       `json:"latency"`
	Sockets []Socket      `json:"sockets,omitempty"` // each one's part of Calls and Latency; absent if there is one
}

// A Socket is one of several main servers.
type Socket struct {
	Socket  string  `json:"socket"` // its name, usually the path
	Calls   Calls   `json:"calls"`
	Latency Latency `json:"latency"`
}

// Calls are the counters of [server.Stats].
type Calls struct {
	Accepted uint64            `json:"accepted"`
	Answered uint64            `json:"answered"`
	Failed   uint64            `json:"failed"`
	Dropped  uint64            `json:"dropped"`
	Refused  map[string]uint64 `json:"refused"` // by the name of the reason; those that are 0 are absent
	Empty    uint64            `json:"empty"`
	Panics   uint64            `json:"panics"`
	Timeouts uint64            `json:"timeouts"`
	Delayed  uint64            `json:"delayed"`
	Deposed  uint64            `json:"deposed"`
	Paused   uint64            `json:"paused"`
	InFlight int64             `json:"in_flight"`
	BytesIn  uint64            `json:"bytes_in"`
	BytesOut uint64            `json:"bytes_out"`
}

// RefusedTotal returns the sum over all reasons.
func (c *Calls) RefusedTotal() (n uint64) {
	for _, refused := range c.Refused {
		n += refused
	}
	return n
}

// A Loop is one event loop, as [server.LoopStats].
type Loop struct {
	Accepted uint64 `json:"accepted"`
	Answered uint64 `json:"answered"`
	Failed   uint64 `json:"failed"`
	Dropped  uint64 `json:"dropped"`
	Refused  uint64 `json:"refused"`
	Empty    uint64 `json:"empty"`
	Resting  bool   `json:"resting"`          // is not needed now
	Socket   string `json:"socket,omitempty"` // whose it is; absent if there is one
}

// Rules are the access rules of the main server.
type Rules struct {
	Records     int           `json:"records"`          // in the file in force; 0 for a directory
	Unknown     int           `json:"unknown"`          // of these, those that say neither allow nor deny
	Generation  uint64        `json:"generation"`       // 1 for the file that was there at the start, 2 for the next; 0 for a directory
	Age         time.Duration `json:"age_ns,omitempty"` // since the file was loaded; absent for a directory
	Failures    uint64        `json:"failures"`         // attempts to load a file that failed
	CheckErrors uint64        `json:"check_errors"`     // checks that ended with an error
	MappedBytes int64         `json:"mapped_bytes"`
}

// A User is one connecting user: calls that have ended, counted from Since, and what
// is in flight now.
type User struct {
	UID       *uint32       `json:"uid"`   // null: the kernel did not say
	Since     time.Time     `json:"since"` // counted from here on
	Answered  uint64        `json:"answered"`
	Failed    uint64        `json:"failed"`
	Dropped   uint64        `json:"dropped"`
	Refused   uint64        `json:"refused"`
	Empty     uint64        `json:"empty"`
	MissedMax uint64        `json:"missed_max"`  // the most calls that may have ended before Since
	Duration  time.Duration `json:"duration_ns"` // sum over calls that were answered, failed or dropped
	Mean      time.Duration `json:"mean_ns"`
	InFlight  int           `json:"in_flight"`
	Bytes     int64         `json:"bytes"` // that buffers take for those
}

// Ended returns how many calls of u were counted.
func (u *User) Ended() uint64 { return u.Answered + u.Failed + u.Dropped + u.Refused + u.Empty }

// Process is the process of both servers.
type Process struct {
	CPU        time.Duration `json:"cpu_ns"` // user and system time
	Goroutines uint64        `json:"goroutines"`
	Processors int           `json:"gomaxprocs"`
	Heap       uint64        `json:"heap_bytes"`   // objects, dead ones that are not yet collected included
	Memory     uint64        `json:"memory_bytes"` // of the Go runtime, mapped and not given back
	GCCycles   uint64        `json:"gc_cycles"`
}

// answerStats answers the statistics as one line of JSON.
func (h *Handler) answerStats(_ context.Context, dst []byte, arguments []string) ([]byte, error) {
	users := defaultUsers
	if len(arguments) > 0 {
		var err error
		users, err = strconv.Atoi(arguments[0])
		if err != nil || users < 0 || users > maxUsers {
			return nil, fmt.Errorf("stats %q: want the number of users to list, 0 to %d", arguments[0], maxUsers)
		}
	}
	text, err := json.Marshal(h.Stats(users))
	if err != nil {
		return nil, err
	}
	return append(append(dst, text...), '\n'), nil
}

// Stats returns what "stats" answers, with at most so many users.
func (h *Handler) Stats(users int) *Stats {
	now := time.Now() // the counters come first, since rates are made of them
	stats := &Stats{
		Version: h.version(),
		PID:     os.Getpid(),
		Time:    now,
		Uptime:  now.Sub(h.begin),
		Calls:   Calls{Refused: make(map[string]uint64)},
		Loops:   []Loop{},
	}
	if h.Server != nil {
		s := h.Server.Stats()
		stats.Calls, stats.Loops, stats.Latency = callsOf(&s), loopsOf(s.Loops, ""), latencyOf(s.Latency)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Sockets)) {
		s := h.Sockets[name].Stats()
		socket := Socket{name, callsOf(&s), latencyOf(s.Latency)}
		stats.Calls.add(&socket.Calls)
		stats.Latency.add(socket.Latency)
		stats.Loops = append(stats.Loops, loopsOf(s.Loops, name)...)
		stats.Sockets = append(stats.Sockets, socket)
	}
	stats.Rules, stats.Users, stats.Process = rulesOf(h.Rules, now), h.users(users, now), process()
	return stats
}

// servers returns the main ones.
func (h *Handler) servers() []*server.Server {
	if h.Server != nil {
		return []*server.Server{h.Server}
	}
	return slices.Collect(maps.Values(h.Sockets))
}

// version returns the program's version.
func (h *Handler) version() string {
	if h.Version != "" {
		return h.Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func callsOf(s *server.Stats) Calls {
	c := Calls{
		Accepted: s.Accepted, Answered: s.Answered, Failed: s.Failed, Dropped: s.Dropped, Empty: s.Empty,
		Panics: s.Panics, Timeouts: s.Timeouts, Delayed: s.Delayed, Deposed: s.Deposed, Paused: s.Paused,
		InFlight: s.InFlight, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		Refused: make(map[string]uint64, len(s.Refused)),
	}
	for reason, n := range s.Refused {
		c.Refused[reason.String()] = n
	}
	return c
}

// add adds the counters of other.
func (c *Calls) add(other *Calls) {
	c.Accepted += other.Accepted
	c.Answered += other.Answered
	c.Failed += other.Failed
	c.Dropped += other.Dropped
	c.Empty += other.Empty
	c.Panics += other.Panics
	c.Timeouts += other.Timeouts
	c.Delayed += other.Delayed
	c.Deposed += other.Deposed
	c.Paused += other.Paused
	c.InFlight += other.InFlight
	c.BytesIn += other.BytesIn
	c.BytesOut += other.BytesOut
	for reason, n := range other.Refused {
		c.Refused[reason] += n
	}
}

func loopsOf(loops []server.LoopStats, socket string) []Loop {
	list := make([]Loop, len(loops))
	for i, l := range loops {
		list[i] = Loop{l.Accepted, l.Answered, l.Failed, l.Dropped, l.Refused, l.Empty, l.Resting, socket}
	}
	return list
}

// rulesOf returns what is known of rules, or nil if there are none.
func rulesOf(db *accessdb.DB, now time.Time) *Rules {
	if db == nil {
		return nil
	}
	s := db.Stats()
	rules := &Rules{
		Records: s.Rules, Unknown: s.Unknown, Generation: s.Generation,
		Failures: s.Failures, CheckErrors: s.CheckErrors, MappedBytes: s.MappedBytes,
	}
	if !s.Loaded.IsZero() {
		rules.Age = now.Sub(s.Loaded)
	}
	return rules
}

// users returns the n users with the most calls, those in flight included.
func (h *Handler) users(n int, now time.Time) []User {
	list, place := []User{}, make(map[uint32]int)
	row := func(uid uint32, since time.Time) *User {
		i, known := place[uid]
		if !known {
			i = len(list)
			place[uid] = i
			list = append(list, User{UID: &uid, Since: since})
		}
		return &list[i]
	}
	if h.Users != nil {
		for _, c := range h.Users.All() {
			u := row(c.UID, c.Since)
			u.Answered, u.Failed, u.Dropped, u.Refused, u.Empty = c.Answered, c.Failed, c.Dropped, c.Refused, c.Empty
			u.MissedMax, u.Duration, u.Mean = c.MissedMax, c.Duration, c.Mean()
			if c.UID == server.NoID {
				u.UID = nil
			}
		}
	}
	for _, srv := range h.servers() {
		for _, load := range srv.Users() {
			u := row(load.UID, now)
			u.InFlight += load.Calls
			u.Bytes += load.Bytes
		}
	}
	slices.SortStableFunc(list, func(a, b User) int {
		return cmp.Compare(b.Ended()+b.MissedMax+uint64(b.InFlight), a.Ended()+a.MissedMax+uint64(a.InFlight))
	})
	return list[:min(n, len(list))]
}

func process() Process {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return Process{
		CPU:        clock(unix.CLOCK_PROCESS_CPUTIME_ID),
		Goroutines: value(0),
		Processors: runtime.GOMAXPROCS(0),
		Heap:       value(1),
		Memory:     value(2) - value(3),
		GCCycles:   value(4),
	}
}

// clock reads a clock. See clock_gettime(2): these always exist.
func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
