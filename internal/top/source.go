package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode"

	"credrpc/client"
	"credrpc/control"
)

const (
	// askFor has every user that is counted.
	askFor = "stats 1000"

	// maxAnswer is far more than these take, in bytes, and metrics too.
	maxAnswer = 4 << 20

	// askPatience is how long an answer may take.
	askPatience = 5 * time.Second
)

// A source tells the totals of a server.
type source interface {
	// ask returns those of now.
	ask(ctx context.Context) (*totals, error)
}

// totals are what a server has counted since its start.
type totals struct {
	control.Stats

	asked   time.Time // set if no process is told: when the question was asked; Time is when it was answered
	missing []string  // what the source does not tell, by the names of [Interval.Missing]
}

// source returns what o says is to be asked.
func (o *Options) source() source {
	if o.Metrics != "" {
		return newScraper(o.Metrics)
	}
	return &controlSocket{client.Client{Path: o.Path, MaxResponse: maxAnswer}}
}

// place returns where that is, for people.
func (o *Options) place() string {
	if o.Metrics != "" {
		return o.Metrics
	}
	return o.Path
}

// A controlSocket is a source that tells everything.
type controlSocket struct {
	client client.Client
}

func (s *controlSocket) ask(ctx context.Context) (*totals, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answer, err := s.client.Call(ctx, []byte(askFor))
	var refused *client.RemoteError
	switch {
	case errors.As(err, &refused):
		return nil, fmt.Errorf("%s: the server answers %q", s.client.Path, refused.Text)
	case err != nil:
		return nil, err
	}
	t := new(totals)
	if err := json.Unmarshal(answer, &t.Stats); err != nil || t.PID == 0 || !t.printable() {
		return nil, fmt.Errorf("%s: the answer is no statistics; is it the control socket (credrpc serve --control)?", s.client.Path)
	}
	return t, nil
}

// printable reports whether the names in t can do nothing to a terminal: those of
// reasons and of sockets, which are the only text that is shown.
func (t *totals) printable() bool {
	for reason := range t.Calls.Refused {
		if strings.Trim(reason, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return false
		}
	}
	for _, s := range t.Sockets {
		if strings.ContainsFunc(s.Socket, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return false
		}
	}
	return true
}

// userNames are the names of users, as far as somebody has asked for them.
type userNames map[uint32]string

// of returns the name of a user, or "" if there is none.
func (n userNames) of(uid *uint32) string {
	if uid == nil {
		return ""
	}
	name, known := n[*uid]
	if !known {
		if u, err := user.LookupId(strconv.FormatUint(uint64(*uid), 10)); err == nil {
			name = u.Username
		}
		n[*uid] = name
	}
	return name
}
