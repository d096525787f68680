// Package manpage writes the manual page of a program whose command line is
// parsed by kong, from what the program's --help shows, so that there is one text.
//
// The page is in the man(7) macros, which groff(1) and mandoc(1) read. It has the
// sections that man-pages(7) names, in its order: NAME, SYNOPSIS, DESCRIPTION,
// COMMANDS with the flags of each, and then what the program adds: EXIT STATUS,
// EXAMPLES and the like. It has no date, so that it changes only when the program
// does.
//
// Longer texts, those of a command's Help method and of added sections, follow the
// rules that kong has for them: paragraphs are separated by empty lines, and
// indented lines are shown as they are.
package manpage
