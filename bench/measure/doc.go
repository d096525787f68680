// Package measure reads from the kernel what other processes cost: processor
// time, context switches, page faults, memory, descriptors. It also describes the
// machine. It changes nothing, needs no privileges for processes of the same user,
// and is safe for concurrent use.
package measure
