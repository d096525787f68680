// Package faults has no code, only tests of the program as it is shipped: built
// without cgo, in a process of its own, with what the system does to it when things
// go wrong.
//
//	start_test.go        a system call of its start fails
//	inject_test.go       single system calls fail, by strace(1)
//	descriptors_test.go  there are no descriptors left
//	memory_test.go       callers do all that may cost memory, also where that is short
//	unread_test.go       callers do not read, and what that costs the kernel
//	crowd_test.go        one user has very many connections, or passes descriptors that linger
//	rules_test.go        the file of rules is destroyed and replaced all the time
//	end_test.go          it ends while calls are in flight
//	kill_test.go         it is killed under load and started again, or started twice
//	disk_test.go         the disk is full where rules are compiled to
//
// What has to hold is the same everywhere. The server does not end. It does not
// spin. A call that a fault has hit ends, with an error or a close; every other call
// is answered right. Afterwards calls work as before, and there are as many
// descriptors as before.
//
// Some tests have a short form, for every day, and a long one, with figures worth
// quoting:
//
//	CREDRPC_FAULTS=all go test -v -timeout 60m ./internal/faults
//
// Latencies are logged and not judged: the machine may have other things to do. Those
// under an attack and those without one take turns.
//
// They need root, strace(1), unshare(1) and the memory controller of cgroup v1, and are
// skipped otherwise.
package faults
