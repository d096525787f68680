// Package trend says whether a series of measurements grows: memory, descriptors,
// threads of a server that is under load for long.
//
// # Slope
//
// [Fit] is the estimator of Theil and Sen: the median of the slopes of all pairs of
// points. It does not care about outliers, up to 29 % of the points, nor how errors
// are distributed. Its interval is that of Sen (1968): slopes in their order, as far
// from the median as Kendall's statistic varies by chance, with a confidence of 95 %.
//
// # Verdict
//
// [Judge] takes the points after a warm-up. Neighbours resemble each other (a garbage
// collector's cycle lasts longer than the time between two points), which would make
// any interval too narrow, so the points are put together into at most [Blocks] blocks
// of neighbours, and each block counts as one point, its median. A leak is something
// that goes on:
//
//	grows      the slopes of the whole and of its second half are above 0, both with
//	           95 % confidence, and the growth in the time of the series is more than
//	           a tolerance that the caller gives
//	level      it is not, and of the two slopes one, at the upper end of its interval,
//	           does not amount to more than the tolerance in that time. One step in the
//	           first half, or something that fills and then stays, is level
//	too short  anything else, and whatever has fewer than [Least] points
//
// The tolerance is for the whole series, so the longer that is, the slower a growth is
// found.
package trend
