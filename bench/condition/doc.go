// Package condition checks statements about results of the benchmark, such as
//
//	eventloop.throughput < 0.95 * floor.throughput on t64
//	eventloop.p99 > 2 * reference.p99 + 100us
//	new.eventloop.cpu > 1.1 * old.eventloop.cpu
//	"credrpc ipcserver -x".errors > 0
//
// so that a program that watches over performance can fail.
//
// # Grammar
//
//	condition = sum ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum
//	            [ "on" load ] [ "at" number ]
//	sum       = product { ( "+" | "-" ) product }
//	product   = factor { ( "*" | "/" ) factor }
//	factor    = number [ unit ] | figure | "(" sum ")" | "-" factor
//	figure    = [ ( "old" | "new" ) "." ] server "." name
//	unit      = "ns" | "us" | "µs" | "ms" | "s" | "KiB" | "MiB" | "%"
//
// A server is named as in the results, with quotation marks where the name has more
// than letters, digits, "_" and "-". The name of a kind is that of its fastest variant
// under each load: floor is floor-1 or floor-2. Names of figures are those of
// [report.Figures].
//
// Times, memory and mere numbers cannot be added to or compared with one another, so
// a time needs a unit: eventloop.p99 > 200us.
//
// # Where it is checked
//
// At every load and value of the axis at which all of its servers have run, or only
// at those that "on" and "at" name. A condition that applies nowhere is an error, and
// so is one that cannot be computed, as a time where a server answered nothing: silence
// never means that all is well.
//
// # What is compared
//
// With several servers of one file both sides are computed in every round, and the
// median of the rounds' left side by right side is compared with 1: the servers had
// the same load in turn within a round, so noise falls on both. Where the right side
// is not above 0 in every round it is the median of left less right, compared with 0.
//
// With one server, or with two files, whose runs were not interleaved, and always for
// figures that are of all rounds together, each figure is computed first: as the
// median of its rounds, or of all rounds together. The [Outcome] says which it was.
//
// Either way the number decides, and not whether chance could explain it: leave room
// for noise in the condition.
package condition
