// Package frame encodes and decodes the bytes of a call. It does no I/O.
//
// # Layout
//
// A frame is a header and a payload:
//
//	 0       4              4+n
//	┌───────┬────────────────┐
//	│ n     │ payload        │
//	└───────┴────────────────┘
//
// n is the length of the payload in bytes, without the header, as an unsigned
// 32-bit integer in network byte order. An empty payload is valid.
//
// A request is one frame. A response is one of:
//
//	error frame                   n > 0: the call failed, the payload is the text
//	error frame + payload frame   the error frame is empty: the payload is the answer
//
// Whoever reads a response stops at the end of a non-empty error frame; older
// servers send a second frame after it, which carries nothing.
//
// # Limits
//
// Every decoder has a limit, and a header that exceeds it is an error before a
// single byte of its payload is looked at. No limit can exceed [MaxPayload].
// The zero limit admits empty frames only, so a decoder that nobody configured
// refuses rather than accepts.
//
// # Memory
//
// Decoders allocate nothing and keep no payload. They cut the chunks that they
// are given: each call of Next returns the piece of the chunk that belongs to
// the payload, and the caller decides whether to copy it. A header that claims
// more than will ever arrive therefore costs nothing.
package frame
