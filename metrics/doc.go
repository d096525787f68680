// Package metrics shows Prometheus what a server counts.
//
//	srv := &server.Server{Handler: handler, Access: rules, MeasureLatency: true}
//	http := metrics.NewServer(metrics.Sources{Server: srv, Rules: rules})
//	go http.Serve(listener)
//
// # The model
//
// Nothing is counted here. The server, the rules and the audit log keep their own
// counters ([server.Stats], [accessdb.Stats], [audit.Stats]), and a [Collector] reads them
// when Prometheus asks: a server that nobody asks pays nothing, and one that does not
// import this package does not have it. What every metric means stands in one table,
// [families], from which docs/METRICS.md is checked.
//
// Durations are counted only with [server.Server.MeasureLatency]; without it the histogram
// has no observations.
//
// Several servers in one process ([Sources.Sockets]) are told apart by the label socket. A
// server that is alone does not have it, so that its series are the same whether or not
// the program could serve more.
//
// A reason for which nobody was refused yet is there with the value 0, so that the first
// one shows as an increase.
//
// # Who may ask
//
// Metrics say how much a service is used and by how much it is out of order, and nothing
// about single callers. Where they are served is the caller's to decide: a socket with a
// path has permissions, a TCP address has none. [NewServer] bounds what whoever can
// connect can do: one path, one method, few requests and connections at a time, with
// deadlines.
package metrics
