package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"credrpc/accessdb"
	"credrpc/frame"
	"credrpc/internal/size"
	"credrpc/server"
)

// defaultMode is the permissions of a socket unless others are asked for.
const defaultMode = "0600"

type serveCommand struct {
	Listen         string        `required:"" placeholder:"PATH" help:"Socket to make. A name that begins with @ is abstract: any local user can connect to it. systemd: takes the sockets that systemd passes, systemd:NAME those of this name: see SYSTEMD in the manual."`
	Mode           string        `default:"0600" help:"Permissions of the socket, octal; connecting needs write permission."`
	Owner          string        `placeholder:"USER" help:"Owner of the socket, by name or number."`
	Group          string        `placeholder:"GROUP" help:"Group of the socket, by name or number."`
	AnyDirectory   bool          `name:"allow-untrusted-directory" help:"Make the socket also where others than root and the server's user could replace it."`
	Handler        string        `enum:"echo,whoami,exec" default:"echo" help:"What to serve: echo answers the request, whoami answers who the kernel says is calling, as JSON, exec runs a program."`
	Rules          *string       `placeholder:"PATH" help:"Who may call: a rules directory of s6, read at every call, or a file compiled from one, loaded when it is replaced and at SIGHUP. Without it whoever can connect may call."`
	Identity       bool          `help:"Allow callers with the server's own user and group without asking the rules."`
	Compatible     bool          `help:"Take damaged rules as s6 does: a rule that says neither allow nor deny is no match, instead of refusing its callers."`
	MaxPayload     size.Size     `default:"1M" placeholder:"SIZE" help:"Most bytes of a request, and of an answer (${default}): a number, or one with K, M or G, which are 1024, 1024K and 1024M."`
	Timeout        time.Duration `default:"30s" placeholder:"DURATION" help:"Time from the whole request until its answer is taken (${default}). A request must arrive within the same time, at most 5s."`
	MaxCalls       int           `default:"4096" placeholder:"N" help:"Most calls in flight (${default}), half of them at most of one user; some more are reserved for root."`
	MaxCallsPerUID int           `name:"max-calls-per-uid" placeholder:"N" help:"Most calls in flight for one user (1024, or max-calls if that is less)."`
	RatePerUID     float64       `name:"rate-per-uid" placeholder:"N" help:"Most calls a second of one user, such as 1000 or 0.5; without it there is no limit. A call over it waits for its turn, and is refused after a second if that is too short. Root and the server's own user are exempt."`
	BurstPerUID    int           `name:"burst-per-uid" placeholder:"N" help:"Most calls of one user at once after a pause (what rate-per-uid allows in a tenth of a second, and at least 1)."`
	Loops          int           `placeholder:"N" help:"Event loops (one for every eight processors, at least two). Those that are not needed rest."`
	OnLoop         bool          `help:"Run the handler on the event loop: for handlers that never block."`
	Takeover       bool          `help:"Take the socket over from a server of the same user that runs with --takeover, without refusing a caller; where none runs make it. See TAKEOVER in the manual."`
	logFlags
	metricsFlags
	auditFlags
	systemdFlags
	sandboxFlags
	controlFlags
	execFlags
	configFlags
}

// Run serves until a signal arrives, then answers what is in flight.
func (c *serveCommand) Run(s streams) error {
	// From here on SIGHUP is no end: a server that takes over may wait in open.
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	v, err := c.open(s)
	if err != nil {
		return err
	}
	defer v.close()
	if c.onlyCheck {
		return nil
	}
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	v.begin()
	looks, stopLooking := v.looks()
	defer stopLooking()
	for stopping := false; !stopping; {
		select {
		case err = <-v.ended:
			return v.told(v.failed(err))
		case <-hangUp:
			v.hangUp()
		case <-looks:
			stopping = v.look()
		case <-v.operator.drained():
			stopping = true
		case <-signals.Done():
			stopping = true
		}
	}
	stop() // a second signal ends the program at once
	v.log.Info("stopping")
	return v.told(v.shutdown())
}

// openRules opens the access rules, or returns nil if there are to be none.
func (c *serveCommand) openRules(log *slog.Logger) (*accessdb.DB, error) {
	if c.Rules == nil {
		if c.Identity || c.Compatible {
			return nil, usageError("--identity, --compatible: say something about rules; name them with --rules")
		}
		return nil, nil
	}
	if *c.Rules == "" {
		return nil, usageError("--rules: is empty; leave it out to let everybody call who can connect")
	}
	rules, err := accessdb.Open(*c.Rules, accessdb.Options{Identity: c.Identity, Compatible: c.Compatible, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	return rules, nil
}

// server makes the server for a socket that the flags describe.
func (c *serveCommand) server(s streams) (*server.Server, error) {
	mode, err := socketMode("--mode", c.Mode)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(c.Listen, "@") {
		if c.Mode != defaultMode || c.Owner != "" || c.Group != "" {
			return nil, usageError("--mode, --owner, --group: %q is abstract, no permissions protect it", c.Listen)
		}
		if c.Takeover {
			return nil, usageError("--takeover: %q is abstract, no lock protects it", c.Listen)
		}
		mode = 0
	}
	if err := c.checkSystemd(); err != nil {
		return nil, err
	}
	owner, err := userID("--owner", c.Owner)
	if err != nil {
		return nil, err
	}
	group, err := groupID("--group", c.Group)
	if err != nil {
		return nil, err
	}
	switch {
	case c.MaxPayload < 1 || c.MaxPayload > frame.MaxPayload:
		return nil, usageError("--max-payload: want 1 to %d", frame.MaxPayload)
	case c.Timeout <= 0:
		return nil, usageError("--timeout: want more than 0")
	case c.MaxCalls < 1:
		return nil, usageError("--max-calls: want at least 1")
	case c.MaxCallsPerUID < 0:
		return nil, usageError("--max-calls-per-uid: want at least 1")
	case c.RatePerUID != 0 && !(c.RatePerUID >= server.MinRatePerUID && c.RatePerUID <= server.MaxRatePerUID): // or NaN
		return nil, usageError("--rate-per-uid: want %.6f, one call an hour, to %d", server.MinRatePerUID, int(server.MaxRatePerUID))
	case c.BurstPerUID < 0 || c.BurstPerUID > server.MaxBurstPerUID:
		return nil, usageError("--burst-per-uid: want 1 to %d", server.MaxBurstPerUID)
	case c.BurstPerUID != 0 && c.RatePerUID == 0:
		return nil, usageError("--burst-per-uid: says something about a rate; set it with --rate-per-uid")
	case c.Loops < 0:
		return nil, usageError("--loops: want at least 1")
	}
	handler := server.HandlerFunc(echo)
	if c.Handler == "whoami" {
		handler = whoami
	}
	return &server.Server{
		AllowUntrustedDirectory: c.AnyDirectory,

		Handler:        handler,
		HandlerOnLoop:  c.OnLoop,
		Loops:          c.Loops,
		Mode:           mode,
		Owner:          owner,
		Group:          group,
		MaxRequest:     uint32(c.MaxPayload),
		MaxResponse:    uint32(c.MaxPayload),
		MaxCalls:       c.MaxCalls,
		MaxCallsPerUID: c.MaxCallsPerUID,
		RatePerUID:     c.RatePerUID,
		BurstPerUID:    c.BurstPerUID,
		RequestTimeout: min(c.Timeout, server.DefaultRequestTimeout),
		CallTimeout:    c.Timeout,
		Takeover:       c.Takeover,
		Logger:         c.logger(s.err),
	}, nil
}

// socketMode returns the permissions that text says.
func socketMode(flag, text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode == 0 || mode > uint64(fs.ModePerm) {
		return 0, usageError("%s %q: want an octal number from 0001 to 0777, such as 0660", flag, text)
	}
	return fs.FileMode(mode), nil
}

// echo answers the request.
func echo(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	return append(dst, call.Payload...), nil
}

// whoami answers the caller's credentials, and which rule let it call.
func whoami(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	text, err := json.Marshal(struct {
		Sender server.Credentials `json:"sender"`
		Peer   server.Credentials `json:"peer"`
		Rule   string             `json:"rule,omitempty"`
		Env    []string           `json:"env,omitempty"`
	}{call.Sender, call.Peer, call.Access.Key.String(), call.Access.Env.Apply(nil)})
	if err != nil {
		return nil, err
	}
	return append(append(dst, text...), '\n'), nil
}
