// Package reference is the naive implementation of the protocol, the one that a
// Go programmer writes first: a goroutine a connection, package net, a fresh
// buffer for everything, nothing reused. The event loop is compared with it, and
// the two are tested against each other, so it shares no code with the rest of
// the module.
//
// It is honest, which means that nothing in it is slow on purpose, and untuned:
// a header and what follows it are written one after the other, sender
// credentials come with the first read only, and there are no limits but the
// largest frame and one deadline for the whole connection. A privileged service
// needs more than that; see package server.
//
// # Protocol
//
// One connection is one call. Request and response consist of frames: a length
// of 4 bytes in network byte order and as many bytes. The request is one frame.
// The response is an error frame and, if that is empty, a payload frame.
package reference
