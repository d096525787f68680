package completion

import (
	"fmt"
	"strings"
)

func zsh(root *node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %[1]s\n# Completion for %[1]s in zsh, made by \"%[1]s completion zsh\".\n", root.name)
	root.all(func(n *node) {
		fmt.Fprintf(&b, "\n%s() {\n", n.function(root.name))
		if len(n.children) > 0 {
			zshCommands(&b, root.name, n)
		} else {
			zshArguments(&b, n)
		}
		b.WriteString("}\n")
	})
	// Loaded as a completion the file is the function; sourced it defines it.
	fmt.Fprintf(&b, "\nif [[ $funcstack[1] == %[1]s ]]; then\n\t%[1]s \"$@\"\nelse\n\tcompdef %[1]s %[2]s\nfi\n", root.function(root.name), root.name)
	return b.String()
}

// zshCommands writes the body for a node that has others below it.
func zshCommands(b *strings.Builder, program string, n *node) {
	b.WriteString("\tlocal curcontext=$curcontext state line\n\tlocal -a commands\n\ttypeset -A opt_args\n\t_arguments -C")
	zshFlags(b, n)
	b.WriteString(" \\\n\t\t'1:command:->command' '*::argument:->argument' && return\n\tcase $state in\n\tcommand)\n\t\tcommands=(\n")
	for _, child := range n.children {
		fmt.Fprintf(b, "\t\t\t%s\n", single(strings.ReplaceAll(child.name, ":", `\:`)+":"+child.help))
	}
	b.WriteString("\t\t)\n\t\t_describe -t commands command commands ;;\n\targument)\n\t\tcase $words[1] in\n")
	for _, child := range n.children {
		fmt.Fprintf(b, "\t\t%s) %s ;;\n", child.name, child.function(program))
	}
	b.WriteString("\t\tesac ;;\n\tesac\n")
}

// zshArguments writes the body for a command.
func zshArguments(b *strings.Builder, n *node) {
	b.WriteString("\t_arguments -s")
	zshFlags(b, n)
	for i, a := range n.arguments {
		place := fmt.Sprint(i + 1)
		if a.many {
			place = "*"
		}
		fmt.Fprintf(b, " \\\n\t\t%s", single(place+":"+a.name+":"+zshAction(a)))
	}
	b.WriteString("\n")
}

// zshFlags writes a specification for each flag.
func zshFlags(b *strings.Builder, n *node) {
	escape := strings.NewReplacer(`[`, `\[`, `]`, `\]`, `:`, `\:`)
	for _, f := range n.flags {
		for _, name := range []string{"-" + f.short, "--" + f.long} {
			if name == "-" {
				continue
			}
			spec := name
			if f.value.name != "" && strings.HasPrefix(name, "--") {
				spec += "="
			}
			spec += "[" + escape.Replace(f.help) + "]"
			if f.many {
				spec = "*" + spec
			} else if f.short != "" {
				spec = "(-" + f.short + " --" + f.long + ")" + spec
			}
			if f.value.name != "" {
				spec += ":" + escape.Replace(f.value.name) + ":" + zshAction(f.value)
			}
			fmt.Fprintf(b, " \\\n\t\t%s", single(spec))
		}
	}
}

// zshAction says how a value is completed.
func zshAction(v value) string {
	switch v.kind {
	case ofWords:
		return "(" + strings.Join(v.words, " ") + ")"
	case ofFiles:
		return "_files"
	case ofDirectories:
		return "_files -/"
	case ofUsers:
		return "_users"
	case ofGroups:
		return "_groups"
	}
	return " "
}

// single quotes text for bash and zsh.
func single(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
