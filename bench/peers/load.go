package peers

import (
	"context"
	"fmt"
	"time"

	"credrpc/bench/callers"
	"credrpc/bench/load"
)

// firstTimeout is how long the call may take that is made over each connection before
// a run.
const firstTimeout = 10 * time.Second

// A Config says what [Run] does. Callers share connections.
type Config struct {
	callers.Config
	System      string // a name; required
	Path        string // of the socket; required
	Connections int    // at most one a caller; 0 is one each
}

// A Result is what a run found, in the terms of package load.
type Result struct {
	System      string `json:"system"`
	Connections int    `json:"connections"` // 0: one a call
	load.Result
}

// Run makes the load and says what became of it, as [callers.Run] does. Calls that are
// made before it, one for each connection, must not fail. It returns [ErrSystem] for a
// name that is none, and errors about the numbers in config.
func Run(ctx context.Context, config Config) (*Result, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	conns, err := config.connect(ctx)
	defer func() {
		for _, c := range conns {
			c.Close() // an error says that it has been closed already
		}
	}()
	if err != nil {
		return nil, err
	}
	found, err := callers.Run(ctx, config.Config, conns...)
	if err != nil {
		return nil, err
	}
	r := &Result{System: config.System, Connections: len(conns), Result: *found}
	if config.System == Credrpc {
		r.Connections = 0
	}
	return r, nil
}

// validate reports what cannot be, and sets what was left out.
func (config *Config) validate() error {
	if err := config.Config.Validate(); err != nil {
		return err
	}
	if config.Connections == 0 {
		config.Connections = config.Callers
	}
	if config.System == Credrpc {
		config.Connections = 1 // a client for all callers; every call connects
	}
	if config.Connections < 1 || config.Connections > config.Callers {
		return fmt.Errorf("peers: %d connections are not in 1 to %d, the number of callers", config.Connections, config.Callers)
	}
	if config.System == TTRPC && config.Payload > ttrpcPayload {
		return fmt.Errorf("peers: a payload of %d bytes is not in 0 to %d, which %s takes", config.Payload, ttrpcPayload, config.System)
	}
	return nil
}

// connect makes the connections and a call over each. What it returns must be
// closed, also if there is an error.
func (config *Config) connect(ctx context.Context) (conns []callers.Conn, err error) {
	for i := range config.Connections {
		c, err := dial(config.System, config.Path)
		if err != nil {
			return conns, fmt.Errorf("peers: connection %d of %d: %w", i+1, config.Connections, err)
		}
		conns = append(conns, c)
		first, cancel := context.WithTimeout(ctx, firstTimeout)
		stop := context.AfterFunc(first, func() { c.Close() })
		_, err = c.Echo(first, []byte("ready?"))
		stop()
		cancel()
		if err != nil {
			return conns, fmt.Errorf("peers: first call over connection %d of %d: %w", i+1, config.Connections, err)
		}
	}
	return conns, nil
}
