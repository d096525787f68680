// Package page shows result files to people: as one HTML file, as plots, and as the
// table of the README. It measures nothing and decides nothing; what it shows comes
// from package report.
//
// # From file to page
//
//	[Read]           result files; one that is broken or empty is an error that names it
//	[New]            summaries are made anew from the runs, servers get their styles,
//	                 and every plot and table is laid out
//	[Page.WriteHTML] the page
//	[Page.Plots]     the plots, each as SVG and PNG
//	[WriteMarkdown]  the table
//
// The same files make the same bytes: nothing depends on the time, the order of a map
// or the machine.
//
// # Trust
//
// A result file is data from elsewhere. Its text goes through html/template into the
// page and is escaped by the canvas in plots; control characters are replaced. The
// page refers to nothing outside itself, has no script, and forbids the browser both
// with a Content-Security-Policy. Figures that are no finite numbers are left out of
// plots.
//
// # Servers and styles
//
// What is shown of a server under a load is the fastest variant of its kind, as in
// package report, and it is named by its kind. A kind has one colour, marker and line
// style in all plots of a page. Kinds that meet in a report have different colours as
// long as there are enough, and otherwise still different markers.
//
// # Plots
//
// A plot is drawn once, by a function that knows a canvas only, into an SVG and a PNG
// canvas. In files its colours are those of a light page. Inside the page each colour
// is a CSS variable, so that the same drawing has dark colours where the reader wants
// them. Text is laid out with the metrics of Liberation Sans, which Arial and
// Helvetica share.
//
// There are curves, which are lines over an axis ([report.Report.Axis], the offered
// rate, or the percentile), and rows, which are dots with whiskers or bars, a row for
// each server and load.
package page
