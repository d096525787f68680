// Package settings takes the settings of a command, those flags of it that kong
// parses, from a file and from the environment too, and says of each where it comes
// from.
//
// A setting has one name, its flag's without the dashes, such as max-calls. It is
// given, the first that is there counts:
//
//  1. on the command line: --max-calls 100
//  2. in the environment: CREDRPC_SERVE_MAX_CALLS=100
//  3. in the file that --config or CREDRPC_SERVE_CONFIG names: max-calls = 100
//  4. or it has its default.
//
// Lists are replaced as a whole. In a variable their members are separated by colons.
// The arguments of the command are settings as well, but not in the environment.
//
// The file is TOML without tables: text in quotes, numbers and true or false without,
// lists in brackets; durations are text,
// and sizes numbers of bytes or, with a unit, text. Who can change it can change what the command
// does, so it is refused if others than root, the user who reads it and their groups could,
// by its own permissions or those of a directory or symbolic link on the way to it.
//
// # Mistakes
//
// What the package finds wrong by itself, it finds when the command line is parsed: a
// name that is no setting, a value of the wrong type, a variable that begins as ours do
// and is none, a file that is no TOML. It reports all of it, with file and line. Ranges
// and contradictions are the command's own business, and it says what is wrong by the
// names of flags, wherever they were given. [Flags.Explain] adds the place where the
// settings that the error begins with have been given; so there is one set of checks.
package settings
