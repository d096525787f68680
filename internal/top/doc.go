// Package top shows what a server does, second by second: in a terminal, as lines, or
// as JSON. It asks the server's control socket (package control).
//
//	source.go    asks for the statistics
//	interval.go  what happened between two answers
//	plain.go     a line, or a JSON object, for each interval
//	view.go      the screen as rows of text
//	screen.go    the terminal: rows go out, keys come in
//
// # The model
//
// The server knows totals only. Two answers make an [Interval]: the counters' growth
// over the time between them by the server's clock, so that neither a slow answer nor a
// busy machine makes a rate wrong. The totals of a server that was started anew begin
// at nothing, and so does its first interval.
//
// The view is a function of the last interval, the size of the terminal and what was
// typed. It uses bold and reverse type only, so that it looks the same without
// colours. Of each row the fields that fit are shown, and of the rows those that
// matter most.
//
// Lines end when the server does. A screen stays, says since when there is no answer,
// and goes on when there is one.
package top
