// Credrpc-bench compares servers of the protocol under the same load.
//
//	credrpc-bench [--json FILE] [--quick] ...   compare all servers: about 50 seconds
//	credrpc-bench suite [--minutes N] ...       all that follows, and how servers scale: ten minutes
//	credrpc-bench run                           one load of any kind on one server
//	credrpc-bench sleepers                      calls beside others whose handler sleeps
//	credrpc-bench idle                          calls beside connections that send nothing
//	credrpc-bench ladder                        what each step of trust costs
//	credrpc-bench peers                         other RPC systems: ttrpc, gRPC, net/rpc
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
//
// They echo. All are processes of their own that live as long as the comparison;
// in every round each has every load, in a changing order.
//
// # Reading the table
//
// Ratios are medians of the rounds' ratios, with the least and the greatest.
// Processor time is that of the server process, divided by the calls. The column
// bottleneck says what decided the speed of most runs; package report documents
// how that is found out. Where it is the generator, the servers that were
// measured may be faster than the figures, and ratios nearer to 1 than the
// servers are. The latency of batched loads is that of a call within its batch.
//
// Callers and server share the cores, so on a machine with few of them the
// figures say how both fare together.
//
// # Exit status
//
// 0 if all servers did their work. 1 if a server failed, a call was not answered
// right, an idle connection missed its deadline, or the comparison or run was
// interrupted; the table then has what there is. 2 for a wrong command line.
package main
