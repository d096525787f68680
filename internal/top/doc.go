// Package top shows what a server does, second by second: in a terminal, as lines, or
// as JSON. It asks the server's control socket (package control), or reads its metrics
// (package metrics).
//
//	source.go    what is asked for totals, and how the control socket is
//	scrape.go    how metrics are read over HTTP
//	series.go    metrics as the totals that the control socket would tell
//	interval.go  what happened between two answers
//	plain.go     a line, or a JSON object, for each interval
//	view.go      the screen as rows of text
//	screen.go    the terminal: rows go out, keys come in
//
// # The model
//
// The server knows totals only. Two answers make an [Interval]: the counters' growth
// while the server's own uptime grew, so that neither a slow answer nor a busy machine nor
// a clock that is set makes a rate wrong. The totals of a server that was started anew begin
// at nothing, and so does its first interval.
//
// Metrics become the same totals, with two differences. They say how long calls took in
// fewer buckets, so that quantiles are coarser. And they do not say everything: who called,
// for one, and what time it was, for which that of the answer stands. What is missing is named in [Interval.Missing], not in
// the JSON, and a dash on the screen; it is never shown as nothing.
//
// The view is a function of the last interval, the size of the terminal and what was
// typed. It uses bold and reverse type only, so that it looks the same without
// colours. Of each row the fields that fit are shown, and of the rows those that
// matter most.
//
// Lines end when the server does. A screen stays, says since when there is no answer,
// and goes on when there is one.
//
// # What is believed
//
// Whoever has the socket or the port can answer anything. An answer is bounded in bytes
// and in time, redirects are not followed, no proxy is asked, and of its text only names
// of reasons, in lower-case letters, and of sockets, if all of it can be printed, reach the
// terminal.
package top
