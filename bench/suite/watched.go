package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"credrpc/accessdb"
	"credrpc/bench/load"
	"credrpc/bench/report"
)

// scrapeInterval is how often metrics are asked for during a run: 150 times as often as
// Prometheus does unless it is told otherwise.
const scrapeInterval = 100 * time.Millisecond

// A WatchedConfig says what [Bench.Watched] measures.
type WatchedConfig struct {
	Comparison
	Flooders int // callers of the user who is denied and floods the server
}

// A watchedServer is a server of [Bench.Watched], and what is said of it.
type watchedServer struct{ name, against, what string }

func watchedServers() []watchedServer {
	return []watchedServer{
		{"plain", "", "package server, nobody looks on"},
		{"plain-again", "plain", "the same"},
		{"durations", "plain", "metrics are on and nobody asks for them: durations are measured"},
		{"metrics", "plain", "durations are measured, metrics are asked for ten times a second"},
		{"flooded", "", "with rules, while a user whom they deny floods it"},
		{"flooded-again", "flooded", "the same"},
		{"flooded-audit", "flooded", "and denied calls are written to a file, up to 1,000 a second"},
	}
}

// Watched measures what it costs to be looked at: metrics, without anything else, and an
// audit log of denied calls, while one user floods the server with them. Runs are of
// others. Where callers cannot act as others the second is left out with a notice.
func (b *Bench) Watched(ctx context.Context, c WatchedConfig) (*report.Report, error) {
	r := c.report("watched")
	r.Title = "what metrics and an audit log cost"
	r.Settings = []report.Setting{{Name: "flooding callers", Value: strconv.Itoa(c.Flooders)}}
	plain, flooded, err := b.watchedVariants(c, r)
	if err != nil {
		return r, err
	}
	competitors, err := b.enter(ctx, c.Comparison, append(plain, flooded...), r)
	if err != nil {
		return r, finish(ctx, r, err)
	}
	for _, s := range competitors[len(plain):] {
		if err := b.open(s.socket); err != nil {
			return r, finish(ctx, r, err)
		}
	}
	var heats []heat
	for _, l := range c.Loads {
		config := load.Config{Load: l, Payload: c.Payload, Duration: c.Duration}
		heats = append(heats, heat{config: config, competitors: competitors[:len(plain)], run: b.scraped})
		if len(flooded) > 0 {
			config.UIDs = load.UIDs{politeUID}
			heats = append(heats, heat{config: config, competitors: competitors[len(plain):], run: b.flooded(c)})
		}
	}
	return r, finish(ctx, r, b.rounds(ctx, c.Comparison, heats, r))
}

// watchedVariants returns the servers that are compared, and those of them that are
// flooded.
func (b *Bench) watchedVariants(c WatchedConfig, r *report.Report) (plain, flooded []variant, err error) {
	dir, err := b.directory()
	if err != nil {
		return nil, nil, err
	}
	rules, err := writeDenying(dir)
	if err != nil {
		return nil, nil, err
	}
	denied := mayActAsOthers()
	if denied != nil {
		note(r, "The audit log is left out: "+denied.Error()+".")
	}
	for _, s := range watchedServers() {
		v := eventloopVariant(Eventloop, c.Loops).called(s.name, s.against)
		switch s.name {
		case "durations", "metrics":
			plain = append(plain, v.with("--metrics"))
		case "plain", "plain-again":
			plain = append(plain, v)
		case "flooded-audit":
			v = v.with("--audit", filepath.Join(dir, "audit"))
			fallthrough
		default:
			if denied == nil {
				flooded = append(flooded, v.with("--rules", rules))
			}
		}
	}
	return plain, flooded, nil
}

// writeDenying makes rules that deny the flooding user and nobody else.
func writeDenying(dir string) (path string, err error) {
	path = filepath.Join(dir, "denying.cdb")
	builder, err := accessdb.Create(path, 0o600)
	if err != nil {
		return "", err
	}
	defer builder.Close()
	return path, errors.Join(
		builder.Add(accessdb.Rule{Key: "uid/" + strconv.Itoa(floodingUID), Decision: accessdb.Deny}),
		builder.Add(accessdb.Rule{Key: "uid/default", Decision: accessdb.Allow}),
		builder.Commit())
}

// MetricsSuffix is what the path of a server's socket for metrics has more than that of
// its socket.
const MetricsSuffix = ".metrics"

// scraped is a run during which metrics are asked for, if the server has some.
func (b *Bench) scraped(ctx context.Context, s competitor, config load.Config) (*report.Run, error) {
	if s.Name != "metrics" {
		return b.run(ctx, s, config)
	}
	scraping, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- scrape(scraping, s.socket+MetricsSuffix) }()
	run, err := b.run(ctx, s, config)
	stop()
	return run, errors.Join(err, <-ended)
}

// scrape asks for metrics until ctx ends.
func scrape(ctx context.Context, socket string) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	for ticker := time.NewTicker(scrapeInterval); ; {
		err := scrapeOnce(ctx, &http.Client{Transport: transport})
		if ctx.Err() != nil {
			ticker.Stop()
			return nil
		}
		if err != nil {
			return fmt.Errorf("suite: asking for metrics: %w", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// scrapeOnce reads the metrics.
func scrapeOnce(ctx context.Context, from *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/metrics", nil)
	if err != nil {
		return err
	}
	response, err := from.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// flooded is a run beside a user who is denied all the time.
func (b *Bench) flooded(c WatchedConfig) func(context.Context, competitor, load.Config) (*report.Run, error) {
	return func(ctx context.Context, s competitor, config load.Config) (run *report.Run, err error) {
		flood := load.Config{Path: s.socket, Load: bare(c.Flooders), Payload: c.Payload, UIDs: load.UIDs{floodingUID}, Duration: floodLength}
		_, err = b.beside(ctx, flood, func() (err error) {
			run, err = b.run(ctx, s, config)
			return err
		})
		return run, err
	}
}

// WriteWatched writes what [Bench.Watched] found as text.
func WriteWatched(w io.Writer, r *report.Report) error {
	if len(r.Pairs) == 0 {
		_, err := fmt.Fprintln(w, "no run was finished")
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "package server; %s\n", settings(r))
	writePairs(&b, r, []string{"", "against", "calls/s", "× calls/s", "× p99", "server CPU µs a call", "µs a call more", "errors"}, func(p *report.Pair) []string {
		return []string{p.Server, p.Against, whole(p.CallsPerSecond), p.Throughput.String(), p.P99.String(),
			microseconds(p.ServerPerCall), difference(p.ServerMore), fmt.Sprint(p.Errors)}
	}, func(p *report.Pair) []*report.Interval { return []*report.Interval{p.Throughput, p.P99, p.ServerMore} })
	for _, s := range watchedServers() {
		fmt.Fprintf(&b, "%-14s %s\n", s.name, s.what)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
