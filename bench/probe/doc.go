// Package probe asks a server in Go, which a benchmark has started, what its
// runtime did in a part of its life, and has it profile itself meanwhile.
//
// # The channel
//
// The benchmark makes a socket pair ([New]), gives one end to the server as a
// descriptor that it inherits, and tells it the number on its command line. The
// server calls [Serve] with it. Whoever holds the other end is trusted: it can have
// the server write files. Commands are lines of JSON, and each is answered by one
// line:
//
//	{"begin":{"cpu_profile":"/…"}}   {}
//	{"end":{}}                       {"runtime":{…}}
//	                                 {"error":"…"}
//
// # What it costs
//
// Between "begin" and "end" nothing runs in the server but what was asked for: a
// thread waits in a blocking read(2). It does not use Go's network poller, which the
// scheduler of a server that has its own would then ask as well whenever it is idle.
//
// Exact counts of allocations take a stop of the world at each end, of which a
// garbage collection makes two: 16 to 70 µs in a server that had nothing to do, 0.1 to
// 3 ms in one under load on a machine with ten runnable threads a core (16 stops
// each, two cores). In a comparison the load begins after the answer to "begin"
// and is over before "end", so no call meets them. In a load that goes on, after a
// warm-up, the calls of that moment do, and the greatest latency may be theirs.
//
// That a server can be asked does not show otherwise. Without the channel it used
// 0.27 µs a call less (95 % confidence interval -0.74 to +0.04), and one more server
// with it 0.29 less (-0.54 to +0.13): b32x1, handlers on the loop, medians of 40
// rounds in which all three had each load, on a busy machine.
//
// # Profiles
//
// Profiles and traces are begun right before the counts are taken, and ended right
// after. A processor profile interrupts every thread that runs 100 times in a
// second; a trace writes an event for everything that the scheduler does. They cost
// what they cost: figures of such a run are not those of the server without. The
// server writes to the files that the benchmark names, complete when "end" is
// answered; the benchmark then puts them where its user wants them.
package probe
