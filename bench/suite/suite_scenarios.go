package suite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"credrpc/bench/load"
	"credrpc/bench/report"

	"golang.org/x/sys/unix"
)

// A scenario is a part of the suite.
type scenario struct {
	name   string
	what   string  // it measures, in a sentence
	weight float64 // of its time among that of all
	run    func(b *Bench, ctx context.Context, a allowance) (*report.Report, error)

	// findings returns what the runs of a report show, in sentences.
	findings func(r *report.Report) []string
}

// allScenarios are the scenarios of the suite in their order. Weights follow from how
// many runs a round has and what a run takes.
func allScenarios() []scenario {
	return []scenario{
		{"quick", "All servers, gnet's engine included, under five loads.", 14, quickScenario, quickFindings},
		{"ladder", "What each step of trust costs, from no credentials to the programs of s6.", 9, ladderScenario, ladderFindings},
		{"peers", "Other RPC systems, whose connections persist, beside package server.", 9, peersScenario, peersFindings},
		{"callers", "1 to 4,096 callers with one call at a time each.", 18, callersScenario, callersFindings},
		{"payload", "Requests and answers of 0 bytes to 16 MiB.", 12, payloadScenario, payloadFindings},
		{"rules", "0 to 1,000,000 access rules, remembered and looked up for every call.", 8, rulesScenario, rulesFindings},
		{"loops", "One event loop, and more up to one a core.", 5, loopsScenario, loopsFindings},
		{"uids", "1 to 10,000 users that call in turn. Needs root.", 6, usersScenario, usersFindings},
		{"rates", "Latency under offered rates, from a fifth of what a server can do to nearly all.", 12, ratesScenario, ratesFindings},
		{"flood", "One polite user beside another who floods the server. Needs root.", 13, floodScenario, floodFindings},
		{"idle", "Up to as many connections that send nothing as descriptors allow.", 16, idleScenario, idleFindings},
		{"sleepers", "Calls beside others whose handler sleeps.", 5, sleepersScenario, sleepersFindings},
	}
}

// everyServer returns the names of the servers that take part in most scenarios.
func everyServer() []string { return []string{Floor, Reference, EventloopOnLoop, Eventloop} }

// variantsOf returns of how many variants some servers are.
func variantsOf(servers []string) int {
	all, _ := variants(servers, 0) // names of this package
	return len(all)
}

func quickScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	servers := append(everyServer(), Gnet)
	loads := []load.Load{{Batch: 32, Callers: 1}, {Batch: 256, Callers: 1}, bare(1), bare(16), bare(64)}
	c := a.comparison(variantsOf(servers)*len(loads), 500*time.Millisecond, 0)
	c.Servers, c.Loads = servers, loads
	return b.Compare(ctx, c)
}

func ladderScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	c := LadderConfig{Comparison: a.comparison(len(LadderSteps()), 250*time.Millisecond, 0), OnLoop: true, Rules: 1000}
	c.Servers, c.Loads = LadderSteps(), []load.Load{{Batch: 32, Callers: 1}}
	return b.Ladder(ctx, c)
}

// peersBuild is about how long the peers' program takes to build.
const peersBuild = 10 * time.Second

func peersScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	c := PeersConfig{Comparison: a.comparison(15, 500*time.Millisecond, peersBuild)}
	c.Servers = []string{EventloopClient, Eventloop, "ttrpc", "grpc", "netrpc"}
	c.Loads = []load.Load{bare(1), bare(16), bare(64)}
	return b.Peers(ctx, c)
}

func callersScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	callers := a.points(1, 4, 16, 64, 256, 1024, load.MaxCallers)
	c := a.comparison(variantsOf(everyServer())*len(callers), 500*time.Millisecond, 0)
	c.Servers = everyServer()
	return b.Callers(ctx, c, callers)
}

// mebibyte is the payload at which servers are judged by bytes a second.
const mebibyte = 1 << 20

func payloadScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	payloads := a.points(0, 32, 1<<10, 16<<10, 128<<10, mebibyte, load.MaxPayload)
	c := a.comparison(variantsOf(everyServer())*len(payloads), 500*time.Millisecond, 0)
	// With four callers there is always a request to read or an answer to write, and
	// what they have in flight fits in what a user may have in buffers.
	c.Servers, c.Loads = everyServer(), []load.Load{bare(4)}
	return b.Payloads(ctx, c, payloads)
}

func rulesScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	numbers := a.points(0, 1, 1000, 1_000_000)
	c := a.comparison(3*len(numbers), 400*time.Millisecond, 2*time.Second)
	c.Loads = []load.Load{{Batch: 32, Callers: 1}}
	return b.Rules(ctx, c, numbers)
}

func loopsScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	loops := doublings(runtime.NumCPU())
	loads := []load.Load{{Batch: 32, Callers: 1}, bare(16), bare(64)}
	c := a.comparison(2*len(loads)*len(loops), 400*time.Millisecond, 0)
	c.Servers, c.Loads = []string{EventloopOnLoop, Eventloop}, loads
	return b.Loops(ctx, c, loops)
}

func usersScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	users := a.points(1, 10, 100, 1000, 10_000)
	c := a.comparison(2*len(users), 500*time.Millisecond, 0)
	c.Servers, c.Loads = []string{Reference, Eventloop}, []load.Load{bare(16)}
	return b.Users(ctx, c, users)
}

func ratesScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	shares := []float64{0.2, 0.5, 0.8, 0.95}
	runs := 3 * (2*len(shares) - 1) // the slowest has its own shares only
	c := a.comparison(runs, time.Second, 3*time.Second)
	if !a.short { // p99 of a longer run says more than another round
		c.Duration = c.lasting(report.MinRounds, runs, time.Second)
	}
	c.Servers, c.Loads = []string{Floor, Reference, Eventloop}, []load.Load{bare(64)}
	return b.Rates(ctx, c, shares)
}

func floodScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	c := a.comparison(9, time.Second, 0)
	if !a.short {
		c.Rounds = 11 // pairs, as few as show a difference of p99
		c.Duration = c.lasting(11, 9, time.Second)
	}
	return b.Flood(ctx, c, []int{16, 64})
}

const (
	idleTimeout = 4 * time.Second // opening the connections and a run must fit in

	// otherDescriptors is what holder and server have besides the connections.
	otherDescriptors = 1000
)

func idleScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	most := 1000
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		most = int(min(limit.Max, 100_000)) - otherDescriptors // Go raises the soft limit
	}
	c := IdleConfig{Comparison: a.comparison(8, 400*time.Millisecond, 0), RequestTimeout: idleTimeout}
	if a.short {
		c.RequestTimeout = 3 * time.Second
		most = 1000
	}
	for _, n := range []int{1000, 5000, most} {
		if n <= most && (len(c.Connections) == 0 || n > c.Connections[len(c.Connections)-1]) {
			c.Connections = append(c.Connections, n)
		}
	}
	c.Servers, c.Loads = []string{Reference, Eventloop}, []load.Load{bare(16)}
	r, err := b.Idle(ctx, c)
	if n := c.MissedDeadlines(r); n > 0 {
		r.Notices = append(r.Notices, fmt.Sprintf("%s connections missed their deadline of %v.", grouped(float64(n)), c.RequestTimeout))
		err = errors.Join(err, ErrDeadline)
	}
	return r, err
}

func sleepersScenario(b *Bench, ctx context.Context, a allowance) (*report.Report, error) {
	c := SleepersConfig{Comparison: a.comparison(2, 500*time.Millisecond, 0), Sleep: 50 * time.Millisecond, Share: 0.01}
	c.Servers, c.Loads = []string{Eventloop}, []load.Load{bare(16)}
	return b.Sleepers(ctx, c)
}
