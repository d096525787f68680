package main

import "credrpc/internal/manpage"

//go:generate sh -c "go run . --man >../../docs/man/credrpc-bench.1"

// manualSections are what the manual says and --help does not.
var manualSections = manpage.Sections{
	{Title: "EXIT STATUS", Text: `0 measured; 1 something failed, or a call was not answered right; 2 wrong usage.`},
	{Title: "EXAMPLES", Text: `The comparison, with everything that was measured in a file:

	credrpc-bench --json result.json

Everything, unattended, in ten minutes, and then one part of it for longer:

	credrpc-bench suite --json suite.json
	credrpc-bench suite --only payload --minutes 3

What a server does under 20,000 calls a second that arrive at random, whatever it does:

	credrpc-bench run --rate 20000 --arrivals poisson

What ten thousand connections that send nothing cost:

	credrpc-bench idle --connections 10000

What access rules cost, and nothing else:

	credrpc-bench ladder --steps server,server-again,server-cache,server-cdb,server-directory`},
	{Title: "SEE ALSO", Text: `credrpc(1)`},
}
