// Package report turns the runs of a comparison into figures, a table and JSON.
// It measures nothing itself.
//
// # Pairs
//
// In every round all servers serve the same loads, one after another and in a
// changing order. What two servers did is compared within a round, and the
// figure is the median of the rounds' ratios, so that noise that lasts longer than
// a round falls on both. Calls per second are the median of the rounds; latencies
// come from the histograms of all rounds together.
//
// The floor is, for each load, the variant of the floor with the greater median.
//
// # When there is a difference
//
// An [Interval] has the median of the rounds' ratios, and holds the true one with
// a confidence of at least 95 %, whatever the distribution of the noise. It shows a
// difference if it leaves out 1, which is the sign test: the rounds agree so often
// on who is ahead that chance alone would do that in at most 5 % of all cases. Six
// rounds are the fewest with which they can; with less no difference is shown
// however large it seems. Nor does a [Verdict] say that a difference is large, or
// that two servers without one are equal: the interval says how much it may be.
//
// Each interval is right in 95 % of all cases, not all of them together. The tables
// say how many of theirs chance alone may turn into differences.
//
// Runs of two files were not interleaved and have no pairs: see package changes.
//
// # Figures
//
// [Figures] are the numbers of a run that have a name, by which conditions
// (package condition) and comparisons of files speak of them. Over several rounds a
// figure is their median; what happens seldom, errors and the longest time, is that
// of all rounds together.
//
// # Files
//
// A [File] is what a command writes: a [Report] for each benchmark that it made, and
// each report has all of its runs, so that every figure can be found anew. Where
// something besides server and load changes from run to run, that is the report's
// [Axis], and servers are compared at each of its values.
//
// # What the bottleneck was
//
// A comparison of servers means something only where the server decides how
// fast the calls go. For each run that is judged by processor time, over the
// time of the run:
//
//	server     the server used at least 85 % of the cores that it can use
//	generator  else, the load generator used at least 85 % of the cores that
//	           its callers can use: the server was idle and waited for calls;
//	           or, whatever the server did, the pacing error of an open loop has
//	           a p99 of at least half of the latency's: what is late is the
//	           generator
//	cores      else, the machine was idle for at most 10 %: server and load
//	           generator, or other processes, took cores from one another
//	waiting    else: both sides waited for one another, as with one caller
//	           and one call at a time, where every call is two wakeups
//
// Texts also call generator client-bound, cores machine-bound and server
// server-bound.
//
// The cores that a server can use are its threads or event loops, at most those
// of the machine. Nearly all of a caller's time is spent in the kernel, which
// makes, connects and frees a socket for every call; that is more than it does
// for the floor, so one caller with a batch cannot keep the floor busy. 85, 10 and
// one half are randomly picked; between rounds they decide the same way.
package report
