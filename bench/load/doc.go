// Package load makes load on a server of the protocol: closed-loop callers, who
// wait for their answers before they call again, or an open loop, in which a
// schedule says when calls arrive, whatever the server does.
//
// # Closed loop
//
// A [Load] is written bKxN or tN. bKxN is N callers that each connect and send K
// calls, one after the other, and then collect the K answers in the same order.
// tN is N callers, one call at a time: the same as b1xN. With large K the server
// always finds the next connection waiting and is never idle, which shows its
// cost a call; with t1 nothing overlaps, which shows the time of one call.
//
// # Open loop
//
// [Arrivals] are a schedule: calls a second, at even distances or as a Poisson
// process, in steps of their own rate and length. Callers take the next arrival
// from it, whoever is free, wait until its time and make the call. When all
// callers are busy the arrivals wait for one, without limit, and are still taken
// in their order; none is left out and none is moved. So a server that stalls
// delays every call that was scheduled during the stall, and each is charged with
// its own delay. At the end of the schedule the arrivals that no caller has begun
// are unstarted: they count as such, and their age is in the latencies, where it
// is a lower bound.
//
// # Latency, service time and their parts
//
//	scheduled        begun                        first byte   complete
//	    |--- late ----|--- connect, send --- wait ----|--- receive ---|
//	    |             |---------------- service time -----------------|
//	    |------------------------- latency ---------------------------|
//
// Service time runs from before the first system call of a call, socket(2), until
// its answer is complete. It includes tries to connect that found the backlog
// full, and the pauses of a request that is sent in pieces. Latency runs from
// the scheduled arrival; in a closed loop, which has none, from the same moment as
// service time. What lies between the two is told apart for every call:
//
//	pacing error    the call began late though a caller was free: the generator's
//	                own fault. If that caller is late for its next arrival too,
//	                the part that it was late before counts here again.
//	caller wait     the rest: all callers were busy. It is the server's doing, or
//	                there are too few callers.
//
// so that latency = pacing error + caller wait + service time, call by call.
//
// In a batch a call also waits while the rest of its batch is sent and the
// answers before its own are collected, so the times of bKxN with K > 1 describe
// batches, not calls.
//
// Phases are measured when they are asked for, since that means reading the
// clock three times more for each call: connect is socket(2) and connect(2), send
// lasts until the kernel has taken the request, wait until the first bytes of the
// answer have been read, receive until the last.
//
// Histograms hold nanoseconds with three digits, from 64 ns to one minute;
// anything longer counts as one minute. Only calls that were answered right are
// in them, and the age of unstarted arrivals.
//
// # Pacing
//
// A caller sleeps until shortly before its arrival and then reads the clock over
// and over. It sleeps in clock_nanosleep(2) without timer slack: medians of how
// late that woke a thread were 23 to 42 µs here, 75 µs with the slack that threads
// have, and 640 µs in time.Sleep, whose timers depend on other threads (1,000 and
// 10,000 sleeps a second, 2 cores under KVM). How long before its time a caller
// wakes follows what it sees, so that it is early enough every other time. Spinning
// longer would be more exact and take the cores from the server that is measured.
//
// # A process of its own
//
// A caller is a goroutine that stays in raw system calls, so its thread keeps
// its P while it waits. [Run] therefore gives the process two Ps more than
// callers and switches the garbage collector off while it lasts, and callers
// allocate nothing for a call that succeeds. Whoever calls Run must do nothing
// else in the process meanwhile: no server, no garbage, nothing that stops the
// world. The process should run with [Setting] in GODEBUG, since the scheduler
// otherwise sends a signal to every caller that waits for 10 ms. Callers are not
// locked to their threads: since nothing else runs, they stay where they are, and
// the occasional request to yield costs less without the lock.
//
// # Parts
//
// [Distribute] makes such processes, the parts of a run, and adds up what they
// did. There is one part for each user that calls, in which the callers act as
// that user: it shares callers and arrivals with the others. Hostile callers, who
// do not behave as the protocol wants, are in parts of their own; they are counted
// by what came of them and measured by nothing. The parts wait for each other and
// begin at the same time of the monotonic clock. A part runs [ServePart].
//
// # Thousands of users
//
// A process for each of 10,000 users would be too many. With [Config.Identities] each
// caller is locked to its thread, which acts as another user for every call, from
// socket(2) until the request is sent, and as root again: credentials belong to
// threads in the kernel, setresuid(2) of a single one is the system call alone, and
// those of the call are what they were when it was made. The switching costs the
// client two system calls a call, whatever the number of users. A thread that has
// changed its user is not killed with its parent (PR_SET_PDEATHSIG(2const)); the
// run's length bounds its life.
//
// # Payloads and verification
//
// Requests and answers have one size, or [Sizes] says which. All are beginnings of
// the same bytes but for the first:
//
//	[0]      's' in calls of sleeping callers ([Sleeping]), 'a' if the answer has a
//	         size of its own, else 'c'
//	[1:9]    a number, different in every call of a caller: if there is room
//	[9:13]   with 'a': how many bytes the answer shall have, big endian
//	[13:21]  with 'A' and 'C', which are else 'a' and 'c' ([Config.Identify]): in the
//	         request, what is not the caller's user and group; in the answer, what is,
//	         as the server knows it from the kernel
//
// The server echoes, or with 'a' answers the beginning of that size: an [Echo] is
// the server's side of this. Each answer is compared byte by byte, so one that
// belongs to another call of the caller is found out, and with [Config.Identify] one
// that was made for another user.
package load
