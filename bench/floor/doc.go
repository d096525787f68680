// Package floor holds the least that a server of the protocol must do, as a C
// program: a blocking accept, one recvmsg with the sender's credentials, one send
// of the answer, close. What it reaches is what the kernel allows for one
// connection a call, so other servers are measured by how near they come.
//
// The program echoes. Its command line is PATH THREADS [CHECKS]: where it binds
// its socket, which must not exist yet, and how many threads share the listener.
// One thread is best where callers leave only one core to it; one a core where
// there are spare cores. Which of them is the floor depends on the load.
//
// The floor takes the sender's credentials with each request and compares them
// with nothing. CHECKS makes it a step lower or higher: none, the credentials of
// the connection (peercred), those of the sender (scm, the default), or both,
// which must agree. What lies between two of them is what that check costs.
//
// A request that is larger than what a socket holds arrives in pieces. They are
// received one by one into one buffer, each with its credentials, and the answer
// is sent from there: no server that must have all of a request before it answers
// copies less. Requests in one piece cost what they would without this.
//
// It cannot do what a server must: it takes payloads of up to [MaxPayload] only,
// waits without limit for each caller in turn, and answers no errors.
package floor
