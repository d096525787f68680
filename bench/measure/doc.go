// Package measure reads from the kernel what other processes cost: processor
// time, time spent waiting for a core, memory. It also describes the machine. It
// changes nothing, needs no privileges for processes of the same user, and is
// safe for concurrent use.
package measure
