// Package suite runs the benchmarks: it starts servers and load generators as
// child processes, and measures them from outside.
//
// # Processes
//
// A server child lives as long as the benchmark and keeps its socket in the
// benchmark's temporary directory. A load is a child of its own for every run,
// since a load generator needs a process to itself (package load). Servers that
// are not asked have nothing to do and cost nothing.
//
// Children are in process groups of their own, so that Ctrl-C reaches only the
// benchmark, which then stops them and reports what it has. The kernel kills
// them when the benchmark dies in any other way (prctl(2), PR_SET_PDEATHSIG). The
// temporary directory goes when [Bench.Close] is called; only a benchmark that
// is killed leaves it behind.
//
// Every server is made to ask for a backlog of at least 4096 connections, or for
// net.core.somaxconn, which caps it.
//
// Servers in Go have a channel, over which they are asked what their runtime did
// during a run (package probe). Nothing is said on it while a load is measured.
//
// # A scenario
//
// One load of any kind on one server. [window] is its measured part: what the
// server is asked and what records it begin right before the first look at the
// processes and end right after the last. What the server or perf writes is in the
// temporary directory until the run is over, and is then put where it is wanted.
//
// # Rounds
//
// A [Comparison] is made in rounds of heats. A heat is one load at one value of the
// report's axis, and has a run on each of its competitors, one after the other. Heats
// of a round and competitors of a heat are in an order drawn anew, so that a machine
// that changes its speed widens the spread of what is compared and does not shift it:
// servers are compared within a heat, values of the axis within a round. Rounds go on
// while they fit into a budget of time, and there are never fewer than the least.
//
// # The suite
//
// [Bench.Suite] has one scenario after another. Its life is in suite_run.go;
// suite_scenarios.go says what each measures, suite_findings.go what its runs show.
//
// # Benchmarks
//
//	scenario.go  one load of any kind on one server
//	target.go    the server of a scenario, and what it cannot do
//	generate.go  its load, also that of another program
//	window.go    its measured part
//	profiles.go  the files that are made in it; perf.go: by perf
//	findmax.go   the highest rate of arrivals at which an objective holds
//	soak.go      whether a server grows that has a load for long, or answers wrong;
//	             soak_faults.go: what befalls it meanwhile
//	sweep.go     which settings of package server are better than its defaults here
//	compare.go   all servers under the same loads, in interleaved rounds
//	sleepers.go  what calls whose handler sleeps do to the other calls
//	idle.go      what connections that send nothing do to the other calls
//	watched.go   what metrics and an audit log cost
//	ladder.go    what each step of trust costs, from no credentials to s6's programs
//	peers.go     other RPC systems beside package server
//	clients.go   package client beside a client in C
//	scaling*.go  more and more callers, bytes, loops, users, rules, and offered rates
//	flood.go     a polite user beside one who floods
//	strace.go    system calls a call
//
// The rounds of all but scenario.go, findmax.go, soak.go and strace.go are those of
// compare.go; pairs.go compares each server with the one that it differs from,
// between.go the values of an axis.
//
// # The highest rate
//
// A search (findmax_search.go) knows nothing but how many runs at each rate held the
// objective, missed it, or said nothing because the load generator was late; which
// rate is tried next follows from that. Three of five runs decide about a rate, so a
// single one decides nothing: if runs at a rate hold with a probability of 0.9, the
// rate is called too high in less than 1 of 100 cases. First the rate doubles until it
// is too high, then what lies between is halved. At the end the search goes down to a
// rate at which all five runs held and up to one at which none did; where a run is as
// likely to hold as not, either happens by chance in 1 of 32 cases.
package suite
