package completion

import (
	"fmt"
	"strings"
)

// fishStart defines a function that says whether the words before the cursor name a
// certain command.
const fishStart = `function _%[2]s_at
	set -l path ''
	for word in (commandline -opc)[2..-1]
		switch "$path/$word"
			case %[3]s
				set path "$path/$word"
		end
	end
	test "$path" = "$argv[1]"
end

complete -c %[1]s -f
`

func fish(root *node) string {
	var b strings.Builder
	var paths []string
	root.all(func(n *node) {
		if n != root {
			paths = append(paths, n.path)
		}
	})
	fmt.Fprintf(&b, "# Completion for %[1]s in fish, made by \"%[1]s completion fish\".\n\n", root.name)
	fmt.Fprintf(&b, fishStart, root.name, strings.ReplaceAll(root.name, "-", "_"), strings.Join(paths, " "))
	root.all(func(n *node) {
		start := fmt.Sprintf("complete -c %s -n \"_%s_at '%s'\"", root.name, strings.ReplaceAll(root.name, "-", "_"), n.path)
		for _, child := range n.children {
			fmt.Fprintf(&b, "%s -a %s -d %s\n", start, child.name, fishQuote(child.help))
		}
		for _, f := range n.flags {
			fmt.Fprintf(&b, "%s -l %s", start, f.long)
			if f.short != "" {
				fmt.Fprintf(&b, " -s %s", f.short)
			}
			if f.value.name != "" {
				b.WriteString(" -r" + fishValue(f.value))
			}
			fmt.Fprintf(&b, " -d %s\n", fishQuote(f.help))
		}
		for _, a := range n.arguments[:min(1, len(n.arguments))] {
			fmt.Fprintf(&b, "%s%s\n", start, fishValue(a))
		}
	})
	return b.String()
}

// fishValue says how a value is completed.
func fishValue(v value) string {
	switch v.kind {
	case ofWords:
		return " -f -a " + fishQuote(strings.Join(v.words, " "))
	case ofFiles:
		return " -F"
	case ofDirectories:
		return " -f -a '(__fish_complete_directories)'"
	case ofUsers:
		return " -f -a '(__fish_complete_users)'"
	case ofGroups:
		return " -f -a '(__fish_complete_groups)'"
	}
	return " -f"
}

// fishQuote quotes text: between single quotes fish has two escapes.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
