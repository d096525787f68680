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

	"credrpc/client"
	"credrpc/control"
)

const (
	// askFor has every user that is counted.
	askFor = "stats 1000"

	// maxAnswer is far more than these take, in bytes.
	maxAnswer = 4 << 20

	// askPatience is how long an answer may take.
	askPatience = 5 * time.Second
)

// A source is a control socket.
type source struct {
	client client.Client
	names  map[uint32]string // of users
}

func newSource(path string) *source {
	return &source{client.Client{Path: path, MaxResponse: maxAnswer}, make(map[uint32]string)}
}

// ask returns the statistics of now.
func (s *source) ask(ctx context.Context) (*control.Stats, error) {
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
	stats := new(control.Stats)
	if err := json.Unmarshal(answer, stats); err != nil || stats.PID == 0 || !printable(stats) {
		return nil, fmt.Errorf("%s: the answer is no statistics; is it the control socket (credrpc serve --control)?", s.client.Path)
	}
	return stats, nil
}

// printable reports whether the names in s can do nothing to a terminal: those of
// reasons, which are the only text that is shown.
func printable(s *control.Stats) bool {
	for reason := range s.Calls.Refused {
		if strings.Trim(reason, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return false
		}
	}
	return true
}

// name returns the name of a user, or "" if there is none.
func (s *source) name(uid *uint32) string {
	if uid == nil {
		return ""
	}
	name, known := s.names[*uid]
	if !known {
		if u, err := user.LookupId(strconv.FormatUint(uint64(*uid), 10)); err == nil {
			name = u.Username
		}
		s.names[*uid] = name
	}
	return name
}
