package main

import "credrpc/internal/manpage"

//go:generate sh -c "go run . --man >../../docs/man/credrpc.1"

// manualSections are what the manual says and --help does not.
var manualSections = manpage.Sections{
	{Title: "EXIT STATUS", Text: `call: 0 answered; 1 the server answered an error; 2 wrong usage; 3 the server
could not be reached, was too slow, or broke the protocol.

serve: 0 after SIGTERM or SIGINT, when idle with --exit-when-idle, and when another server has taken the socket
over; 1 failed; 2 wrong usage.

unit: 0 done; 1 a file could not be written; 2 wrong usage.

ipcserver: see above.

rules: 0 done, allowed, or nothing found; 1 denied, or something found; 2 wrong
usage; 111 rules that are wrong or cannot be read or written.`},
	{Title: "SIGNALS", Text: `serve answers what is in flight on SIGTERM and SIGINT, and ends at once when a
second one comes. SIGHUP makes it load the file of rules; if that cannot be loaded
the rules in force stay, and the log says why.`},
	{Title: "TAKEOVER", Text: `A server that was started with serve --takeover is replaced by starting the next one
with --takeover at the same path, as the same user. The new one loads its rules,
gives up what --sandbox says, and only then asks the running one to stop accepting.
That one answers what it has accepted, and exits 0. Callers who connect meanwhile wait
in the backlog, and the new one answers them: no caller is refused or left without an
answer. If the new one fails before, it exits 1 and the running one goes on. It fails
too if the socket has another mode than --mode says, or another owner or group than
--owner and --group say. Calls in flight and rates are counted anew. Who supervises
servers by their process must expect another one.

If one of them is killed in between, the other serves or nobody does; then the next
server starts as usual.`},
	{Title: "SANDBOX", Text: `With serve --sandbox the server gives up, before the first call, all capabilities
but those of --sandbox-capability, all files but those below, core dumps, being
traced by its own user, and all system calls but those that serving needs: it makes
no sockets, runs nothing, changes no permissions. It cannot be undone. One line of
the log says what is in force, and under "missing" what the kernel cannot restrict.

Kept are: the directory of the rules, to be read, since rules are replaced by rename;
the directory of the socket, in which files may be removed. Each should hold nothing
else: not /etc, not /run itself. User 0 without capabilities needs the permissions
of files like everybody else, so rules and socket directory should be its own.

With --handler exec programs may be run too: those of /usr, /bin and /sbin with their
libraries, the one on the command line, and those of --sandbox-execute. They inherit
everything above. They read and write what --sandbox-read and --sandbox-write say,
/dev/null, and of other devices zero and urandom, and make no sockets. Set-user-ID bits mean nothing to them. Before Landlock
ABI 8 they can send signals to other processes of the server's user.

The program must be built without cgo (CGO_ENABLED=0); otherwise serve says so and
ends. It needs Linux 3.17, and 5.13 or newer with Landlock for files.`},
	{Title: "SYSTEMD", Text: `With serve --listen systemd: the server serves the listening sockets that systemd passes
(sd_listen_fds(3)), each with the same handler and rules. Limits, calls in flight and
rates, programs too, are for each socket. systemd:NAME[,NAME...] says which names
(FileDescriptorName= in systemd.socket(5)) must have come; a socket that is left out is
an error, since its callers would wait for ever. The socket unit needs
PassCredentials=yes: without it the server cannot know who connected before it began,
refuses those callers, and says so in the log.

The server tells systemd (Type=notify in systemd.service(5)) when calls are accepted on
all sockets, when it loads rules and when it stops, and every five seconds, if it has
changed, how many calls there were. With WatchdogSec= it gives signs of life as long as
every event loop goes round: not while a handler that runs on the loop blocks. All of it
works with --sandbox.

With --exit-when-idle the server ends when no call is in flight and none has come for
that long, up to an eighth later. Whoever connects while it ends is answered by it or by
the next one. credrpc unit prints units for given flags.`},
	{Title: "FILES", Text: `Beside a socket stands a file with the suffix .lock, which is locked while a
server lives and stays when it ends. With serve --takeover there is also a socket
with the suffix .takeover and mode 0600, at which only root and the server's user are
heard.`},
	{Title: "EXAMPLES", Text: `Rules that let user 1000 call, and nobody else; a server that answers who is
calling; a call.

	mkdir -p rules/uid/1000 && touch rules/uid/1000/allow
	credrpc rules check --rules rules --uid 1000 --gid 1000
	credrpc serve --listen whoami.sock --mode 0666 --handler whoami --rules rules
	credrpc call whoami.sock ''`},
	{Title: "SEE ALSO", Text: `credrpc-access(1), credrpc-bench(1), unix(7)`},
}
