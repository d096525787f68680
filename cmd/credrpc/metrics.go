package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/internal/listen"
	"credrpc/internal/sys"
	"credrpc/metrics"

	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// metricsFlags are the flags about showing Prometheus what is counted.
type metricsFlags struct {
	Metrics           string `placeholder:"unix:PATH|ADDRESS" help:"Serve metrics for Prometheus, at /metrics of a socket or of a loopback address such as 127.0.0.1:9436, to which any local user can connect. docs/METRICS.md has them."`
	MetricsMode       string `default:"0600" help:"Permissions of the socket unix:PATH, octal."`
	MetricsAnyAddress bool   `help:"Take an ADDRESS that other machines may reach: whoever can connect reads the metrics."`
}

const (
	// metricsBacklog is how many connections wait to be accepted: scrapers are few.
	metricsBacklog = 16

	// metricsPatience is how long a scrape may take at the end.
	metricsPatience = time.Second
)

// An exporter serves metrics.
type exporter struct {
	http       *http.Server
	listener   net.Listener
	file       *listen.File       // of a socket with a path, or nil
	succession *listen.Succession // of the exporter of the server that is taken over, or nil
	log        *slog.Logger
}

// metricsSocket returns the path of the socket for metrics, if they are served on one.
func (c *metricsFlags) metricsSocket() (path string, ok bool) {
	return strings.CutPrefix(c.Metrics, "unix:")
}

// checkMetrics returns an error for flags that mean nothing.
func (c *metricsFlags) checkMetrics() error {
	path, socket := c.metricsSocket()
	switch {
	case c.MetricsMode != defaultMode && !socket:
		return usageError("--metrics-mode: means something with --metrics unix:PATH only")
	case c.MetricsAnyAddress && (socket || c.Metrics == ""):
		return usageError("--metrics-any-address: means something with --metrics ADDRESS only")
	case socket && (path == "" || path[0] == '@'):
		return usageError("--metrics unix:%s: want a path; no permissions protect a name that is abstract", path)
	case socket:
		_, err := socketMode("--metrics-mode", c.MetricsMode)
		return err
	case c.Metrics == "":
		return nil
	}
	return c.checkAddress()
}

// checkAddress returns an error for an address that is none, or that others can reach and
// should not.
func (c *metricsFlags) checkAddress() error {
	host, port, err := net.SplitHostPort(c.Metrics)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return usageError("--metrics %q: want unix:PATH, or an address and a port such as 127.0.0.1:9436", c.Metrics)
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || err == nil && ip.IsLoopback() || c.MetricsAnyAddress && (err == nil || host == ""):
		return nil
	case err == nil || host == "":
		return usageError("--metrics %q: other machines may reach this address, and metrics have no password; use 127.0.0.1:%s or unix:PATH, or allow it with --metrics-any-address", c.Metrics, port)
	}
	return usageError("--metrics %q: want a numeric address, such as 127.0.0.1:%s, or unix:PATH", c.Metrics, port)
}

// openMetrics makes the listener for metrics; nil if none are to be served. It must be
// begun or closed.
func (c *serveCommand) openMetrics(servers served, rules *accessdb.DB, audited *audit.Log, log *slog.Logger) (*exporter, error) {
	if c.Metrics == "" {
		return nil, nil
	}
	for _, srv := range servers.all() {
		srv.MeasureLatency = true
	}
	sources := metrics.Sources{Server: servers.alone(), Sockets: servers.sockets, Rules: rules, Audit: audited}
	e := &exporter{http: metrics.NewServer(sources), log: log}
	var err error
	if path, socket := c.metricsSocket(); socket {
		err = e.listenAt(path, c.MetricsMode, c.Takeover)
	} else {
		err = e.listenOn(c.Metrics, c.Takeover)
	}
	if err != nil {
		return nil, fmt.Errorf("--metrics: listen on %q: %w", c.Metrics, err)
	}
	return e, nil
}

// listenOn listens on a TCP address. With share, servers of one user that take over from
// each other can both, for the moment in which both run.
func (e *exporter) listenOn(address string, share bool) (err error) {
	var config net.ListenConfig
	if share {
		config.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
			return errors.Join(controlErr, os.NewSyscallError("setsockopt SO_REUSEPORT", err))
		}
	}
	e.listener, err = config.Listen(context.Background(), "tcp", address)
	return err
}

// listenAt makes a socket at path, or with share gets it from the exporter of the server
// that runs.
func (e *exporter) listenAt(path, mode string, share bool) error {
	bits, err := socketMode("--metrics-mode", mode)
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	o := listen.Options{Mode: bits}
	err = e.makeSocket(path, o, share)
	if !share || !errors.Is(err, listen.ErrAddressInUse) {
		return err
	}
	if e.succession, err = listen.Take(path, o); err != nil {
		return err
	}
	e.file = e.succession.File
	return e.adopt(e.succession.Listener)
}

// makeSocket makes a socket at path.
func (e *exporter) makeSocket(path string, o listen.Options, offer bool) error {
	fd, errno := sys.Stream()
	if errno != 0 {
		return os.NewSyscallError("socket", errno)
	}
	sys.RefuseRights(fd)
	var err error
	e.file, err = listen.Bind(fd, path, o)
	if err == nil && offer {
		err = e.file.Offer(fd)
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, metricsBacklog))
	}
	if err == nil {
		return e.adopt(fd)
	}
	unix.Close(fd)
	if e.file != nil {
		e.file.Withdraw()
	}
	return err
}

// adopt makes a listener of fd, which it closes.
func (e *exporter) adopt(fd int) (err error) {
	f := os.NewFile(uintptr(fd), "metrics")
	defer f.Close()
	if e.listener, err = net.FileListener(f); err != nil {
		e.file.Withdraw()
	}
	return err
}

// begin serves, once nobody else does. Of two servers that take over one from the other,
// metrics change hands first: the one that ran may end as soon as it has no calls.
func (e *exporter) begin() error {
	if e.succession != nil {
		if err := e.succession.Claim(); err != nil {
			return fmt.Errorf("--metrics: taking over: %w", err)
		}
		e.succession = nil
	}
	if e.file != nil && e.file.Offers() {
		go e.file.AwaitSuccessor(func() { e.listener.Close() })
	}
	go func() {
		if err := e.http.Serve(netutil.LimitListener(e.listener, metrics.MaxConnections)); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			e.log.Error("metrics are no longer served", "error", err)
		}
	}()
	e.log.Info("serving metrics", "on", e.listener.Addr().String())
	return nil
}

// close ends serving metrics, if e is not nil.
func (e *exporter) close() {
	if e == nil {
		return
	}
	if e.succession != nil {
		e.succession.Decline()
	}
	if e.file != nil {
		e.file.Withdraw()
	}
	e.listener.Close()
	ctx, cancel := context.WithTimeout(context.Background(), metricsPatience)
	defer cancel()
	if e.http.Shutdown(ctx) != nil {
		e.http.Close()
	}
}
