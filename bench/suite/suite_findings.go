package suite

import (
	"fmt"
	"strings"

	"credrpc/bench/load"
	"credrpc/bench/report"
)

// Findings say what a scenario of the suite is for in a few lines; everything else is
// in the file. Unless they name another server they are about [Eventloop]. Ratios are
// medians of those within a round, with the 95 % confidence interval of the median and
// its verdict.

// fastestOf returns the variant of a kind with the greatest throughput at a place, ""
// if none was there.
func fastestOf(r *report.Report, kind string, l load.Load, value float64) string {
	for _, s := range r.Summaries {
		if s.Kind == kind && s.Load == l && s.At == value && s.Shown {
			return s.Server
		}
	}
	return ""
}

// besideOthers says how a server did at a place beside the fastest floor and the reference.
func besideOthers(r *report.Report, p place, figure func(*report.Run) float64) string {
	text := ""
	for _, kind := range []string{report.KindFloor, report.KindReference} {
		by := p
		by.server = fastestOf(r, kind, p.load, p.at)
		if i := report.RatioOf(between(r, p, by, figure)); i != nil {
			text += fmt.Sprintf(", × %s %v", kind, i)
		}
	}
	return text
}

// median returns the median of a figure at a place, 0 if there is none.
func median(r *report.Report, p place, figure func(*report.Run) float64) float64 {
	if s := report.SpreadOf(at(r, p, figure)); s != nil {
		return s.Median
	}
	return 0
}

func quickFindings(r *report.Report) (all []string) {
	for _, l := range r.Loads {
		p := place{Eventloop, l, 0}
		if calls := median(r, p, callsPerSecond); calls > 0 {
			all = append(all, fmt.Sprintf("%v: %s calls/s%s", l, grouped(calls), besideOthers(r, p, callsPerSecond)))
		}
	}
	return all
}

func ladderFindings(r *report.Report) (all []string) {
	for _, p := range r.Pairs {
		if p.ServerMore != nil && !strings.HasPrefix(p.Server, "floor") {
			all = append(all, fmt.Sprintf("%s: %s µs of processor time a call more than %s", p.Server, difference(p.ServerMore), p.Against))
		}
	}
	return all
}

func peersFindings(r *report.Report) (all []string) {
	for _, s := range r.Servers {
		text := ""
		for _, p := range r.Pairs {
			if p.Server == s.Name && p.Throughput != nil {
				text += fmt.Sprintf(", %v %v", p.Load, p.Throughput)
			}
		}
		if text != "" && s.Name != Eventloop {
			all = append(all, fmt.Sprintf("%s: × calls/s of %s%s", s.Name, s.Against, text))
		}
	}
	return all
}

func callersFindings(r *report.Report) (all []string) {
	for _, l := range r.Loads {
		p := place{Eventloop, l, float64(l.Callers)}
		if calls := median(r, p, callsPerSecond); calls > 0 {
			all = append(all, fmt.Sprintf("%s: %s calls/s%s", grouped(p.at), grouped(calls), besideOthers(r, p, callsPerSecond)))
		}
	}
	return all
}

func payloadFindings(r *report.Report) (all []string) {
	for _, value := range values(r, Eventloop) {
		p := place{Eventloop, r.Loads[0], value}
		if calls := median(r, p, callsPerSecond); calls > 0 {
			all = append(all, fmt.Sprintf("%s bytes: %s MiB/s%s", grouped(value), grouped(median(r, p, bytesPerSecond)/mebibyte),
				besideOthers(r, p, callsPerSecond)))
		}
	}
	return all
}

func rulesFindings(r *report.Report) (all []string) {
	for _, p := range r.Pairs {
		if p.Throughput != nil && (p.At == 0 || p.At >= 1000) {
			all = append(all, fmt.Sprintf("%s rules, %s: × calls/s without %v, %s µs of processor time a call more",
				grouped(p.At), strings.TrimPrefix(p.Server, rulesPrefix), p.Throughput, difference(p.ServerMore)))
		}
	}
	return all
}

func loopsFindings(r *report.Report) (all []string) {
	for _, l := range r.Loads {
		for _, value := range values(r, Eventloop) {
			if i := report.RatioOf(between(r, place{Eventloop, l, value}, place{Eventloop, l, 1}, callsPerSecond)); i != nil && value > 1 {
				all = append(all, fmt.Sprintf("%v, %.0f loops: × calls/s of one %v", l, value, i))
			}
		}
	}
	return all
}

func usersFindings(r *report.Report) (all []string) {
	for _, s := range r.Servers {
		for _, value := range values(r, s.Name) {
			p := place{s.Name, r.Loads[0], value}
			if i := report.RatioOf(between(r, p, place{s.Name, r.Loads[0], 1}, callsPerSecond)); i != nil && value >= 1000 {
				all = append(all, fmt.Sprintf("%s users, %s: × calls/s of one user %v", grouped(value), s.Name, i))
			}
		}
	}
	return all
}

func ratesFindings(r *report.Report) (all []string) {
	for _, s := range r.Servers {
		text := ""
		for _, value := range values(r, s.Name) {
			text += fmt.Sprintf(", %s at %s", grouped(median(r, place{s.Name, r.Loads[0], value}, p99)), grouped(value))
		}
		all = append(all, fmt.Sprintf("%s: p99 µs at calls/s offered%s", s.Name, text))
	}
	return all
}

func floodFindings(r *report.Report) (all []string) {
	for _, s := range r.Servers {
		for _, value := range values(r, s.Name) {
			with, without := place{s.Name, r.Loads[0], value}, place{s.Name, r.Loads[0], 0}
			if i := report.RatioOf(timesBetween(r, with, without, p99)); i != nil && value > 0 {
				all = append(all, fmt.Sprintf("%.0f flood %s: p50 × without %v, p99 × without %v", value, s.Name,
					report.RatioOf(timesBetween(r, with, without, p50)), i))
			}
		}
	}
	return all
}

// kernelLeast is the least number of connections whose memory in the kernel, a figure
// of the whole machine, is not lost in what other processes do.
const kernelLeast = 5000

func idleFindings(r *report.Report) (all []string) {
	for _, s := range r.Servers {
		for _, value := range values(r, s.Name) {
			with, without := place{s.Name, r.Loads[0], value}, place{s.Name, r.Loads[0], 0}
			if value == 0 || len(timesBetween(r, with, without, p99)) == 0 {
				continue
			}
			kernel := ""
			if more := median(r, with, kernelMore); more > 0 && value >= kernelLeast {
				kernel = fmt.Sprintf(", %s in the kernel", grouped(more/value))
			}
			all = append(all, fmt.Sprintf("%s on %s: %s bytes each in the server%s; calls/s × without %v, p99 × without %v",
				grouped(value), s.Name, grouped(at(r, with, userMore)[0]/value), kernel,
				report.RatioOf(between(r, with, without, callsPerSecond)), report.RatioOf(timesBetween(r, with, without, p99))))
		}
	}
	return all
}

func sleepersFindings(r *report.Report) (all []string) {
	n := sleepingAt(r)
	with, without := place{Eventloop, r.Loads[0], n}, place{Eventloop, r.Loads[0], 0}
	if i := report.RatioOf(between(r, with, without, callsPerSecond)); i != nil && n > 0 {
		all = append(all, fmt.Sprintf("%.1f %% of the calls sleep: calls/s × without %v", median(r, with, sleepingShare)*100, i))
	}
	return all
}
