package suite

import (
	"context"
	"fmt"

	"credrpc/bench/report"
)

// Servers of [Bench.Rules], besides [Eventloop], which has no rules.
const (
	rulesPrefix   = "eventloop-rules-"
	rulesCached   = rulesPrefix + "cached"
	rulesLookedUp = rulesPrefix + "looked-up"
)

// Rules measures what access rules cost, with the more and more of them that a file
// has: one whose decision is remembered, and one that is looked up for every call. A
// server without rules takes part everywhere. Where the number is 0 all are such
// servers, so what their ratios show there is what the measurement cannot tell apart.
func (b *Bench) Rules(ctx context.Context, c Comparison, numbers []int) (*report.Report, error) {
	r := c.report("rules")
	r.Title = "throughput and processor time by the number of access rules in a file"
	r.Axis = &report.Axis{Name: "rules", Logarithmic: true}
	var heats []heat
	for _, n := range numbers {
		all, err := b.ruleVariants(n, c.Loops)
		if err != nil {
			return r, finish(ctx, r, err)
		}
		competitors, err := b.enter(ctx, c, all, r)
		if err != nil {
			return r, finish(ctx, r, err)
		}
		for _, h := range c.heats(competitors) {
			h.at = float64(n)
			heats = append(heats, h)
		}
	}
	return r, finish(ctx, r, b.rounds(ctx, c, heats, r))
}

// ruleVariants are the servers with n rules.
func (b *Bench) ruleVariants(n, loops int) ([]variant, error) {
	cached, lookedUp := []string{}, []string{}
	if n > 0 {
		b.Progress(0, fmt.Sprintf("compiling %s rules", grouped(float64(n))))
		files, err := b.writeRules(n, nil)
		if err != nil {
			return nil, err
		}
		cached, lookedUp = []string{"--rules", files.file}, []string{"--rules", files.file, "--rules-cache=-1"}
	}
	all := []variant{
		eventloopVariant(Eventloop, loops),
		eventloopVariant(Eventloop, loops).with(cached...).called(rulesCached, Eventloop),
		eventloopVariant(Eventloop, loops).with(lookedUp...).called(rulesLookedUp, Eventloop),
	}
	return all, nil
}

// called returns the variant under a name, which is also its kind, and compared with
// another.
func (v variant) called(name, against string) variant {
	v.Name, v.Kind, v.Against = name, name, against
	return v
}
