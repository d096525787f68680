// Package changes compares two result files of the benchmark: what was measured
// before a change and after it.
//
// # What is compared
//
// Reports with the same name, and in them runs of the same server under the same load
// at the same value of the axis. Where a file has more, the other lacks it and the
// result says so. Each of a few figures is compared, with the rounds as its sample.
//
// # When a difference is called one
//
// The rounds of two files have nothing to do with one another, so there are no pairs.
// The Mann-Whitney U test says how probable rounds that are so far apart would be if
// old and new were the same, whatever the distribution of the noise. A difference is
// called one if that is improbable enough, and if there are rounds enough: at least
// [report.MinRounds] in each file, and so many that complete separation would be improbable
// enough. Otherwise the verdict is "~". That does not say that nothing changed; the
// interval says how large a change the rounds do not exclude.
//
// Many figures are compared at once, and of 100 that did not change 5 have a p below
// 0.05. Holm's method corrects for that: the least of m values of p must be below
// alpha/m, the next one below alpha/(m-1), and so on up to the first that is not. Then
// the probability that even one call in the whole result is wrong is at most alpha,
// however the figures depend on one another.
//
// The change is the median of all ratios of a new round to an old one (Hodges and
// Lehmann), with the interval that belongs to the test: it has the true ratio with a
// confidence of at least 1 - alpha, for one figure.
//
// # What this cannot tell apart
//
// The runs of two files were not interleaved. What changed may be the machine: its
// clock, its neighbours, its kernel. Differences of the environment that are recorded
// are warnings. The figure "× floor" is throughput by that of the floor in the same
// round, so a machine that became slower or faster for both has left it; and where the
// floor or the reference themselves changed, which the change under test did not touch,
// a warning says that the machine did.
package changes
