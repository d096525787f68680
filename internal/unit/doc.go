// Package unit writes the units with which systemd starts "credrpc serve", and an AppArmor
// profile beside them, for given [Settings]: what the service is allowed is what the
// settings need and nothing else. The files under deploy are those of [Deploy].
//
// # What a name means in a file
//
// Settings have names of files and arguments as they are; each file has its own way to
// write them, and a function here for it:
//
//	line    rest of a line, as in ListenStream=       % is doubled
//	word    one of a list, as in ExecPaths=           quoted; " and \ escaped; % doubled
//	arg     of a command, as in ExecStart=            likewise, and $ doubled
//	glob    path in a profile                         quoted; what is a pattern is escaped
//
// What no way of writing could carry, such as a newline, is an error of [Settings.Files].
// [Instance] stands for the name after the @ of a template.
package unit
