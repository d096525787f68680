package main

import "credrpc/internal/manpage"

//go:generate sh -c "go run . --man >../../docs/man/credrpc-bench.1"

// manualSections are what the manual says and --help does not.
var manualSections = manpage.Sections{
	{Title: "EXIT STATUS", Text: `0 measured; 1 something failed, a call was not answered right, no rate holds the objective of find-max, a server grows under soak, the files of compare have nothing in common, or a condition of --fail-if is true or could not be checked; 2 wrong usage, wrong conditions included; 130 after a second Ctrl-C, 143 after a second SIGTERM, which end it at once.

The first Ctrl-C or SIGTERM has what was measured so far printed and written; that is status 1 too.`},
	{Title: "EXAMPLES", Text: `The comparison, with everything that was measured in a file:

	credrpc-bench --json result.json

Whether a change made a difference, after the same command without it and with it:

	credrpc-bench compare before.json after.json

Fail if package server has less than four fifths of the floor's throughput under any load, or is slower than 5 ms under one:

	credrpc-bench --fail-if 'eventloop.throughput < 80% * floor.throughput' --fail-if 'eventloop.p99 > 5ms on t64'

Everything, unattended, in ten minutes, and then one part of it for longer:

	credrpc-bench suite --json suite.json
	credrpc-bench suite --only payload --minutes 3

What a server does under 20,000 calls a second that arrive at random, whatever it does:

	credrpc-bench run --rate 20000 --arrivals poisson

Where the server spends its time, and with which system calls:

	credrpc-bench run --callers 64 --pprof cpu.pprof --syscalls
	go tool pprof -top cpu.pprof

The highest rate at which 99 of 100 calls take less than half a millisecond:

	credrpc-bench find-max --slo 'p99<500us,errors<0.01%'

Whether a server of your own grows, which must echo:

	credrpc-bench soak --minutes 60 --socket /run/hello.sock --pid 4711

What ten thousand connections that send nothing cost:

	credrpc-bench idle --connections 10000

What access rules cost, and nothing else:

	credrpc-bench ladder --steps server,server-again,server-cache,server-cdb,server-directory

Package client beside a client in C, with 16 callers:

	credrpc-bench clients --clients c,client --servers floor --loads t16

A page of two results, and their plots as SVG and PNG in the directory plots:

	credrpc-bench report result.json ladder.json --out page.html --plots plots`},
	{Title: "SEE ALSO", Text: `credrpc(1)`},
}
