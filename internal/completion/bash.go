package completion

import (
	"fmt"
	"strings"
)

// bashStart finds out which command the words before the cursor name, and, if a flag's
// value is to be completed, the flag. Bash splits words at equals signs where
// COMP_WORDBREAKS has one, as by default.
const bashStart = `%[1]s_files() { # -f, or -d for directories
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

%[1]s() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= flag= flags= i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "$command/${COMP_WORDS[i]}" in
		%[2]s) command+=/${COMP_WORDS[i]} ;;
		esac
	done
	if [[ $cur == = ]]; then
		flag=$prev cur=
	elif [[ $prev == = && COMP_CWORD -gt 2 ]]; then
		flag=${COMP_WORDS[COMP_CWORD-2]}
	elif [[ $cur == --*=* ]]; then
		flag=${cur%%%%=*} cur=${cur#*=}
	elif [[ $prev == -* ]]; then
		flag=$prev
	fi
`

// bashEnd completes a flag.
const bashEnd = `	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
		[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
		return
	fi
`

func bash(root *node) string {
	var b strings.Builder
	var paths []string
	root.all(func(n *node) {
		if n != root {
			paths = append(paths, n.path)
		}
	})
	fmt.Fprintf(&b, "# Completion for %[1]s in bash, made by \"%[1]s completion bash\".\n\n", root.name)
	fmt.Fprintf(&b, bashStart, root.function(root.name), strings.Join(paths, " | "))
	b.WriteString("\tcase \"$command $flag\" in\n")
	root.all(func(n *node) { bashValues(&b, root.function(root.name), n) })
	b.WriteString("\tesac\n\tcase \"$command\" in\n")
	root.all(func(n *node) { fmt.Fprintf(&b, "\t%q) flags=%q ;;\n", n.path, bashFlags(n)) })
	b.WriteString("\tesac\n" + bashEnd + "\tcase \"$command\" in\n")
	root.all(func(n *node) { bashArguments(&b, root.function(root.name), n) })
	fmt.Fprintf(&b, "\tesac\n}\n\ncomplete -F %s %s\n", root.function(root.name), root.name)
	return b.String()
}

// bashFlags lists the flags of a node; those with a value end in an equals sign.
func bashFlags(n *node) string {
	var words []string
	for _, f := range n.flags {
		if f.value.name == "" {
			words = append(words, "--"+f.long)
		} else {
			words = append(words, "--"+f.long+"=")
		}
	}
	return strings.Join(words, " ")
}

// bashValues writes the cases for the flags of a node that have values. The function of
// the program has the name program.
func bashValues(b *strings.Builder, program string, n *node) {
	for _, f := range n.flags {
		if f.value.name == "" {
			continue
		}
		fmt.Fprintf(b, "\t%q", n.path+" --"+f.long)
		if f.short != "" {
			fmt.Fprintf(b, " | %q", n.path+" -"+f.short)
		}
		fmt.Fprintf(b, ") %s ;;\n", strings.TrimPrefix(bashReply(program, f.value)+"; return", "; "))
	}
}

// bashArguments writes the case for what a node takes besides flags.
func bashArguments(b *strings.Builder, program string, n *node) {
	v := value{}
	for _, child := range n.children {
		v.kind, v.words = ofWords, append(v.words, child.name)
	}
	if len(n.children) == 0 && len(n.arguments) > 0 {
		v = n.arguments[0]
	}
	if reply := bashReply(program, v); reply != "" {
		fmt.Fprintf(b, "\t%q) %s ;;\n", n.path, reply)
	}
}

// bashReply returns the command that completes a value, or "" if there is none.
func bashReply(program string, v value) string {
	switch v.kind {
	case ofWords:
		return fmt.Sprintf(`COMPREPLY=($(compgen -W %q -- "$cur"))`, strings.Join(v.words, " "))
	case ofFiles:
		return program + "_files -f"
	case ofDirectories:
		return program + "_files -d"
	case ofUsers:
		return `COMPREPLY=($(compgen -u -- "$cur"))`
	case ofGroups:
		return `COMPREPLY=($(compgen -g -- "$cur"))`
	}
	return ""
}
