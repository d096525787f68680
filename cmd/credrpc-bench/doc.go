// Credrpc-bench compares servers of the protocol under the same load.
//
//	credrpc-bench [quick] [--json FILE] ...     compare all servers: about a minute
//	credrpc-bench compare OLD NEW               two results: what differs
//	credrpc-bench suite [--minutes N] ...       all that follows, and how servers scale: ten minutes
//	credrpc-bench run                           one load of any kind on one server
//	credrpc-bench find-max --slo p99<500us ...  the highest rate that holds an objective
//	credrpc-bench sweep                         the best settings for this machine
//	credrpc-bench soak --minutes 60             whether a server grows under load
//	credrpc-bench sleepers                      calls beside others whose handler sleeps
//	credrpc-bench idle                          calls beside connections that send nothing
//	credrpc-bench ladder                        what each step of trust costs
//	credrpc-bench watched                       what metrics and an audit log cost
//	credrpc-bench peers                         other RPC systems: ttrpc, gRPC, net/rpc
//	credrpc-bench clients                       package client beside C and package net
//	credrpc-bench report RESULT.json ...        result files as a page, plots or a table
//	credrpc-bench strace                        system calls a call
//	credrpc-bench load --socket PATH ...        the load generator alone
//	credrpc-bench server NAME PATH              one server alone
//
// # Servers
//
//	floor              the least that a server must do, in C, with one thread
//	                   and with one a core; left out where there is no compiler
//	reference          a goroutine a connection, package net
//	eventloop-on-loop  package server, the handler on the event loop
//	eventloop          package server, the handler may block: its default
//	gnet               gnet's own engine, with the credentials of the connection
//	                   only; not compared unless it is asked for
//	s6                 the programs of s6, a process for every call; run only
//	ttrpc, grpc, netrpc  package credrpc/bench/peers; run and peers only
//
// They echo. All are processes of their own that live as long as the comparison;
// in every round each has every load, in a changing order.
//
// # Reading the table
//
// Ratios are medians of the rounds' ratios, with a confidence interval of 95 %; one
// that shows no difference is marked "~", and "?" where there are too few rounds to
// show any (package report). Processor time is that of the server process, divided by the calls. The column
// bottleneck says what decided the speed of most runs; package report documents
// how that is found out. Where it is the generator, the servers that were
// measured may be faster than the figures, and ratios nearer to 1 than the
// servers are. The latency of batched loads is that of a call within its batch.
//
// Callers and server share the cores, so on a machine with few of them the
// figures say how both fare together.
//
// # Results
//
// Commands that make a report write it with --json, and its runs for benchstat with
// --go-bench. --fail-if has conditions on it (package condition); compare looks for
// differences between two (package changes).
//
// # Exit status
//
// 0 if all servers did their work. 1 if a server failed, a call was not answered
// right, an idle connection missed its deadline, no rate holds the objective of
// find-max, a server grows under soak, a condition of --fail-if is true or could not be
// checked, or the comparison or run was interrupted; the table then has what there is.
// 2 for a wrong command line, wrong conditions included.
package main
