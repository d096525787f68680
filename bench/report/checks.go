package report

import (
	"slices"
	"strings"
)

// Checks says how often a server takes the caller's credentials from the kernel.
type Checks string

// How often servers take credentials. One that takes those of a connection knows
// who connected; whatever comes over it is taken to be theirs.
const (
	CheckCalls       Checks = "with each call"
	CheckConnections Checks = "with each connection"
	CheckNothing     Checks = "not at all"
)

// checkRemark says it of all servers, and is empty where it is known of none.
func (r *Report) checkRemark() string {
	var parts []string
	for _, checks := range []Checks{CheckCalls, CheckConnections, CheckNothing} {
		var kinds []string
		for _, s := range r.Servers {
			if s.Checks == checks && !slices.Contains(kinds, s.Kind) {
				kinds = append(kinds, s.Kind)
			}
		}
		if len(kinds) > 0 {
			parts = append(parts, string(checks)+": "+strings.Join(kinds, ", "))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Credentials are taken " + strings.Join(parts, "; ") + "."
}
