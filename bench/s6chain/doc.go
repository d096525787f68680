// Package s6chain answers calls of the protocol with the programs of s6 alone,
// which is what access rules in their files come from:
//
//	s6-ipcserver         listens, and starts a process for every connection
//	s6-ipcserver-access  looks who connected (SO_PEERCRED) up in the rules, a
//	                     CDB, and becomes the next program
//	echo                 reads one request and answers it, in C
//
// So a call is a fork, two execve and the end of a process. echo is linked
// statically, since nothing starts faster; whatever a real program does before it
// reads its request comes on top. The rules are read anew for every call: what
// changes in them holds for the next one.
package s6chain
