package metrics

import "slices"

// A family is a metric with all its labels.
type family struct {
	name   string // without the prefix
	kind   string // as Prometheus calls its types
	help   string
	labels []string
}

// The types of metrics.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// prefix is that of all names here.
const prefix = "credrpc_"

// socketLabel is the label of all metrics of a server where there are several.
const socketLabel = "socket"

// families are all metrics, in the order of docs/METRICS.md.
func families() []family { return slices.Concat(serverFamilies(), processFamilies()) }

// serverFamilies are the metrics of one server.
func serverFamilies() []family {
	return []family{
		{"connections_accepted_total", counter, "Connections taken off the backlog.", nil},
		{"calls_total", counter, "Connections that have ended, by outcome.", []string{"outcome"}},
		{"calls_refused_total", counter, "Calls that no handler saw, by reason.", []string{"reason"}},
		{"calls_in_flight", gauge, "Calls accepted, admitted and not ended.", nil},
		{"calls_delayed_total", counter, "Calls that have waited because their user was over his rate.", nil},
		{"call_timeouts_total", counter, "Calls whose handler took too long. They are among the failed.", nil},
		{"handler_panics_total", counter, "Handlers that panicked. Their calls are among the failed.", nil},
		{"call_duration_seconds", histogram, "Time of answered and failed calls, from accepting the connection to the outcome.", nil},
		{"received_bytes_total", counter, "Bytes received, headers included.", nil},
		{"sent_bytes_total", counter, "Bytes written, headers included.", nil},

		{"leaders_deposed_total", counter, "Leaders of event loops that lost them to a handler that took long.", nil},
		{"accept_pauses_total", counter, "Pauses of accepting, because the process or the system had run out of something.", nil},
		{"loop_connections_accepted_total", counter, "Connections that an event loop has accepted.", []string{"loop"}},
		{"loop_resting", gauge, "1 if an event loop is not needed at the moment.", []string{"loop"}},
	}
}

// processFamilies are the metrics of what there is once in a process.
func processFamilies() []family {
	return []family{
		{"build_info", gauge, "1, labelled with what the program was built from.", []string{"version", "revision", "goversion"}},
		{"uptime_seconds", gauge, "Time since the server began to count, by a clock that nobody sets.", nil},

		{"rules", gauge, "Access rules in force; 0 for a directory.", nil},
		{"rules_generation", gauge, "Number of the file of rules in force, counted from 1; 0 for a directory.", nil},
		{"rules_loaded_timestamp_seconds", gauge, "When the file of rules in force was loaded; absent for a directory.", nil},
		{"rules_reload_failures_total", counter, "Attempts to load a file of rules that failed.", nil},
		{"rules_check_errors_total", counter, "Decisions about callers that failed. The callers were refused.", nil},
		{"rules_mapped_bytes", gauge, "Memory of files of rules, in force or not yet given back.", nil},

		{"audit_records_total", counter, "Audit records written.", nil},
		{"audit_records_dropped_total", counter, "Audit records not written: over the rate, queue full, sink failed.", []string{"cause"}},
	}
}
