// Package objective reads service-level objectives, such as
// p99<500us,errors<0.01%, and says whether the result of an open loop holds them.
//
// # Notation
//
// An [Objective] is terms with commas between them, all of which must hold. A term is
// a figure, < or <=, and a limit; the one figure of which more is better, throughput,
// has > or >=. Blanks around any of these do not matter.
//
//	p50 p90 p99 p99.9 max mean   of the latency, from the scheduled arrival; arrivals
//	                             that no caller has begun are in it. A duration.
//	service.p50 and so on        of the service time, from the first system call. A
//	                             duration.
//	errors                       calls that were not answered right, as a share of the
//	                             arrivals
//	unstarted                    arrivals that no caller has begun, in the same way
//	throughput                   calls a second that were answered right, as a share of
//	                             the offered rate
//
// Durations are those of [time.ParseDuration], above 0; shares are percents, 0% to
// 100%.
//
// # What is not said
//
// Latencies are those of calls that were answered right, so a server that refuses
// everything at once would hold any limit. An objective without a term about errors
// therefore allows none, and no objective holds if no call was answered.
package objective
