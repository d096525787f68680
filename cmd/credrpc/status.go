package main

import (
	"fmt"
	"strings"
	"time"

	"credrpc/server"
)

// statusEvery is how often systemd is told, at most, what "systemctl status" shows.
const statusEvery = 5 * time.Second

// A status is the line that "systemctl status" shows.
type status struct {
	handler string
	sockets []socket
	failed  error // of the last reload
	told    string
	at      time.Time // when it was told
}

// text returns the line.
func (s *status) text(servers []*server.Server) string {
	var paths []string
	for _, socket := range s.sockets {
		paths = append(paths, socket.path)
	}
	sum := total(servers)
	var refused uint64
	for _, n := range sum.Refused {
		refused += n
	}
	line := fmt.Sprintf("serving %s on %s, %d calls, %d refused", s.handler, strings.Join(paths, ", "), sum.Answered+sum.Failed, refused)
	if s.failed != nil {
		line += fmt.Sprintf("; the last reload failed and changed nothing: %v", s.failed)
	}
	s.told, s.at = line, time.Now()
	return line
}

// total adds up what the line and idleness need of the counters of servers.
func total(servers []*server.Server) (sum server.Stats) {
	sum.Refused = make(map[server.Reason]uint64)
	for _, srv := range servers {
		stats := srv.Stats()
		sum.Accepted += stats.Accepted
		sum.Answered += stats.Answered
		sum.Failed += stats.Failed
		sum.InFlight += stats.InFlight
		for reason, n := range stats.Refused {
			sum.Refused[reason] += n
		}
	}
	return sum
}

// An idleness finds out for how long nothing has been called.
type idleness struct {
	limit    time.Duration // 0: it does not matter
	accepted uint64        // at the last look
	since    time.Time     // when that was first so and nothing in flight
}

// reached reports whether it has lasted for the limit.
func (i *idleness) reached(now time.Time, stats server.Stats) bool {
	if i.since.IsZero() || stats.Accepted != i.accepted || stats.InFlight > 0 {
		i.accepted, i.since = stats.Accepted, now
		return false
	}
	return now.Sub(i.since) >= i.limit
}

// looks returns a channel that says when to look, and what stops it.
func (v *service) looks() (<-chan time.Time, func()) {
	every := time.Duration(0)
	if v.notifier.Listens() {
		every = statusEvery
	}
	if limit := v.idleness.limit; limit > 0 && (every == 0 || limit/8 < every) {
		every = max(limit/8, time.Millisecond)
	}
	if every == 0 {
		return nil, func() {}
	}
	ticks := time.NewTicker(every)
	return ticks.C, ticks.Stop
}

// look tells systemd what has changed, and reports whether the service is to end since
// nobody needs it.
func (v *service) look() (idle bool) {
	now := time.Now()
	v.tellStatus(now)
	if v.idleness.limit == 0 || !v.idleness.reached(now, total(v.servers)) {
		return false
	}
	v.log.Info("nothing was called, the service ends until it is", "exit_when_idle", v.idleness.limit)
	return true
}

// tellStatus tells systemd the status if it has changed and was not told just now.
func (v *service) tellStatus(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.notifier.Listens() || v.ready < len(v.servers) || now.Sub(v.status.at) < statusEvery {
		return
	}
	if before := v.status.told; v.status.text(v.servers) != before {
		v.tell(v.notifier.Status(v.status.told))
	}
}
