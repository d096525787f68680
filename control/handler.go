package control

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"credrpc/accessdb"
	"credrpc/server"
)

// Limits of the control server. Operators are few and ask for little.
const (
	maxRequest  = 256      // bytes: a line
	maxResponse = 32 << 20 // bytes: a trace of some seconds under load
	maxCalls    = 16       // half of them at most for one user
	maxBytes    = 128 << 20
	callTimeout = MaxProfile + 15*time.Second
)

// A Handler answers the commands of operators. Its fields are set before the first
// call and not changed after.
type Handler struct {
	// Server is the main server, whose statistics "stats" answers. Required, unless
	// there are Sockets.
	Server *server.Server

	// Sockets are several main servers, in place of Server, by the names that "stats"
	// shows. It adds them up, and tells of each.
	Sockets map[string]*server.Server

	// Users is what counts users for "stats", and stands in the Ended of all main
	// servers. nil leaves them out.
	Users *Users

	// Rules are the access rules of the main servers for "stats". nil leaves them out.
	Rules *accessdb.DB

	// Version is the program's own for "stats". "" is what the build has noted.
	Version string

	// Reload does what "reload" asks for and says what it did. nil refuses the
	// command.
	Reload func() (done string, err error)

	// Drain makes the main servers stop accepting, answer what is in flight and end. It
	// returns at once. The program ends the control server after them. nil refuses
	// "drain".
	Drain func()

	// LogLevel is what "log-level" shows and sets. nil refuses the command.
	LogLevel *slog.LevelVar

	// Profiles allows "pprof", which shows what the process does and is.
	Profiles bool

	// Logger hears of every command that is not a question. nil is silent.
	Logger *slog.Logger

	begin     time.Time   // set by NewServer
	profiling atomic.Bool // one profile at a time
}

// A command is one that operators may give.
type command struct {
	usage, help string
	least, most int // arguments
	question    bool
	run         func(ctx context.Context, dst []byte, arguments []string) ([]byte, error)
}

// commands returns those that h can carry out.
func (h *Handler) commands() []command {
	list := []command{{
		usage: "stats [USERS]", most: 1, question: true, run: h.answerStats,
		help: fmt.Sprintf("counters, latency, loops, rules and the process as JSON, with the USERS that call most (%d; at most %d)", defaultUsers, maxUsers),
	}}
	if h.Reload != nil {
		list = append(list, command{usage: "reload", run: h.reload, help: "load the rules anew, as SIGHUP does"})
	}
	if h.Drain != nil {
		list = append(list, command{usage: "drain", run: h.drain, help: "stop accepting, answer the calls in flight, and end"})
	}
	if h.LogLevel != nil {
		list = append(list, command{usage: "log-level [LEVEL]", most: 1, run: h.logLevel, help: "show or set what is logged: debug, info, warn or error"})
	}
	if h.Profiles {
		list = append(list,
			command{usage: "pprof cpu|trace DURATION", least: 2, most: 2, run: h.timedProfile, help: fmt.Sprintf("what the process does meanwhile, for go tool pprof and go tool trace; up to %s", longestText)},
			command{usage: "pprof heap|goroutine", least: 1, most: 1, run: h.profile, help: "what there is now, for go tool pprof"})
	}
	return append(list, command{usage: "help", question: true, run: h.help, help: "this text"})
}

// name returns the first word of c's usage.
func (c *command) name() string {
	name, _, _ := strings.Cut(c.usage, " ")
	return name
}

// NewServer returns a server for h with the limits of a control server, for
// [Operators] only, to be started with [server.Server.ListenAndServe]. It is called
// once.
func (h *Handler) NewServer() *server.Server {
	h.begin = time.Now()
	return &server.Server{
		Handler:        h,
		Access:         Operators(),
		Loops:          1,
		MaxRequest:     maxRequest,
		MaxResponse:    maxResponse,
		MaxCalls:       maxCalls,
		MaxBytesPerUID: maxBytes,
		CallTimeout:    callTimeout,
		Logger:         h.Logger,
	}
}

// ServeCall carries out one command.
func (h *Handler) ServeCall(ctx context.Context, dst []byte, call *server.Call) ([]byte, error) {
	line := strings.TrimSuffix(string(call.Payload), "\n")
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("want one line of text, such as %q", "help")
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil, fmt.Errorf("there is no command; want %s", h.usages(""))
	}
	c, err := h.find(words[0], len(words)-1)
	if err != nil {
		return nil, err
	}
	answer, err := c.run(ctx, dst, words[1:])
	h.log(c, strings.Join(words, " "), call.Sender, err)
	return answer, err
}

// log notes who has given which command.
func (h *Handler) log(c *command, line string, who server.Credentials, err error) {
	if h.Logger == nil {
		return
	}
	level := slog.LevelInfo
	if c.question {
		level = slog.LevelDebug
	}
	attributes := []slog.Attr{slog.String("command", line), slog.Int("pid", who.PID()), slog.Uint64("uid", uint64(who.UID()))}
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	h.Logger.LogAttrs(context.Background(), level, "operator's command", attributes...)
}

// find returns the command of a name that takes n arguments.
func (h *Handler) find(name string, n int) (*command, error) {
	known := false
	for _, c := range h.commands() {
		if c.name() != name {
			continue
		}
		if known = true; c.least <= n && n <= c.most {
			return &c, nil
		}
	}
	if known {
		return nil, fmt.Errorf("%s: wrong number of arguments; want %s", name, h.usages(name))
	}
	return nil, fmt.Errorf("unknown command %q; want %s", name, h.usages(""))
}

// usages lists the commands of a name, or all.
func (h *Handler) usages(name string) string {
	var list []string
	for _, c := range h.commands() {
		if name == "" || c.name() == name {
			list = append(list, c.usage)
		}
	}
	return strings.Join(list, ", ")
}

// help answers the commands.
func (h *Handler) help(_ context.Context, dst []byte, _ []string) ([]byte, error) {
	for _, c := range h.commands() {
		dst = fmt.Appendf(dst, "%-26s%s\n", c.usage, c.help)
	}
	return dst, nil
}

// reload loads the rules.
func (h *Handler) reload(_ context.Context, dst []byte, _ []string) ([]byte, error) {
	done, err := h.Reload()
	if err != nil {
		return nil, err
	}
	return fmt.Appendln(dst, done), nil
}

// drain begins the end of the main servers.
func (h *Handler) drain(_ context.Context, dst []byte, _ []string) ([]byte, error) {
	h.Drain()
	inFlight := int64(0)
	for _, srv := range h.servers() {
		inFlight += srv.Stats().InFlight
	}
	return fmt.Appendf(dst, "draining: the server accepts no more, and ends when the calls in flight, %d now, are answered\n",
		inFlight), nil
}

// logLevel shows or sets the level.
func (h *Handler) logLevel(_ context.Context, dst []byte, arguments []string) ([]byte, error) {
	before := levelName(h.LogLevel.Level())
	if len(arguments) == 0 {
		return fmt.Appendln(dst, before), nil
	}
	level, ok := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[arguments[0]]
	if !ok {
		return nil, fmt.Errorf("log-level %q: want debug, info, warn or error", arguments[0])
	}
	h.LogLevel.Set(level)
	return fmt.Appendf(dst, "%s, before %s\n", levelName(level), before), nil
}

func levelName(level slog.Level) string { return strings.ToLower(level.String()) }
