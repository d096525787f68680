// Package callers makes closed-loop load with clients as programs have them, and
// checks what comes back. It is what clients are compared by; package load has callers
// that do less than any client could, to compare servers.
//
// # Callers
//
// Each is a goroutine that makes one call after the other over a [Conn], which callers
// may share. Garbage is collected and GOMAXPROCS is as ever, and the context of calls
// can end, so a caller costs what one would cost in a program. It reads the clock twice
// a call.
//
// Payloads of 9 bytes and more carry the numbers of the caller and the call, and every
// answer is compared with its request.
//
// # The life of a run
//
// Calls of a warm-up are made and not counted. A caller that has begun no call after it
// makes one more. If a run is interrupted callers begin no more calls, and those in
// flight have two seconds to be answered.
//
// # Clients of the protocol
//
// [Client] calls with package client, and [Net] with package net, in as few lines as
// that takes: dial, write the request, read until the answer is whole, close. Package
// cclient has the same calls in C.
package callers
