// Package peers has other RPC systems for Go, on the same kind of socket and
// with the same payload, to see package server beside: ttrpc, gRPC and net/rpc.
// Each has a server that echoes and callers that check what comes back. It is a
// module of its own, so that nothing that credrpc is imported into depends on
// them.
//
// # What differs
//
// They keep their connections: a call is a message over one that has been there
// for long. Who calls is checked when a connection is made, and whoever holds
// the connection later, by inheritance or because it was passed on, is taken to
// be the same. Package server makes a connection for every call and checks every
// piece of it. So the figures say what that costs, not which system is better.
//
// # How they are used
//
// Each as its documentation has it, with its defaults, and with what it offers
// for credentials: a connection of another user than the server's own is refused,
// as SO_PEERCRED has it (unix(7)).
//
//	ttrpc    its handshake for credentials of UNIX sockets
//	grpc     transport credentials that ask for them in the handshake
//	netrpc   asked for between accept and ServeConn; gob
//
// The payload is a google.protobuf.BytesValue for ttrpc and gRPC, whose one
// method is registered by hand, and a []byte for net/rpc.
//
// # Callers
//
// [Run] makes closed-loop load with the systems' own clients (package callers):
// connections that callers share, each made and used once before the clock starts.
// [Credrpc] does the same with package client, whose every call is a connection: that
// compares like with like, while the load generator of package load does less than any
// client could.
package peers
