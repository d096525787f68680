package main

import "credrpc/internal/manpage"

//go:generate sh -c "go run . --man >../../docs/man/credrpc.1"

// manualSections are what the manual says and --help does not.
var manualSections = manpage.Sections{
	{Title: "EXIT STATUS", Text: `call: 0 answered; 1 the server answered an error; 2 wrong usage; 3 the server
could not be reached, was too slow, or broke the protocol.

top: 0 after q, SIGTERM, SIGINT, or --count intervals; 2 wrong usage; 3 the server
could not be reached, or has ended and there is no screen that could go on.

serve: 0 after SIGTERM or SIGINT, when idle with --exit-when-idle, and when another server has taken the socket
over; 1 failed; 2 wrong usage.

unit: 0 done; 1 a file could not be written; 2 wrong usage.

ipcserver: see above.

rules: 0 done, allowed, or nothing found; 1 denied, or something found; 2 wrong
usage; 111 rules that are wrong or cannot be read or written.`},
	{Title: "SIGNALS", Text: `serve answers what is in flight on SIGTERM and SIGINT, and ends at once when a
second one comes. SIGHUP makes it load the file of rules; if that cannot be loaded
the rules in force stay, and the log says why. It also opens the file of --audit-to
again; if that fails the open one stays in use.`},
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
	{Title: "CONFIGURATION", Text: `Every flag of serve is a setting of the same name, such as max-calls. The first of
these that gives a setting counts:

	the command line      --max-calls 100
	the environment       CREDRPC_SERVE_MAX_CALLS=100
	the file of --config  max-calls = 100

and then its default. A list replaces another as a whole; in a variable a colon stands
between its members, and true or false is the value of what is a flag without one. The
program of --handler exec is a list too, program = ["date", "-u"], and has no variable.
CREDRPC_SERVE_CONFIG names the file. Relative paths start where serve does.

The file is TOML without tables. A size is a number of bytes or, with a unit, text:
max-payload = 65536 or "64K". What is no setting, there or among the variables that
begin with CREDRPC_SERVE_, is an error, as are values of the wrong type. The file, every
directory and every symbolic link on the way to it must belong to root or the user of
serve, and nobody but these and their groups may be able to write there, or serve refuses
it; a directory with the sticky bit, such as /tmp, may lead to it.

"credrpc config example" prints a file with every setting, "credrpc config check" finds
mistakes, and "credrpc config show" prints what is in force and why.`},
	{Title: "METRICS", Text: `With serve --metrics unix:/run/hello/metrics or --metrics 127.0.0.1:9436 there are
metrics for Prometheus at /metrics, to be asked for with GET only, a few requests at a
time; docs/METRICS.md lists them. The socket has mode 0600 unless --metrics-mode says
otherwise, and a lock as in FILES. To a loopback address every local user can connect.
How long calls take is only measured with --metrics. With --sandbox most of those of
the process (process_) are missing unless --sandbox-read /proc. With --takeover the next server
takes the socket for metrics over too, and a TCP address is shared while both run
(SO_REUSEPORT).

	curl --unix-socket /run/hello/metrics http://localhost/metrics
	credrpc top --metrics unix:/run/hello/metrics`},
	{Title: "AUDIT", Text: `With serve --audit denied every call that was refused, for whatever reason, becomes
a line of JSON; with --audit all every call. The members:

	time        when the call ended, RFC 3339, UTC
	event       call; dropped, which says only how many are missing; end, the last
	outcome     answered, failed, dropped, refused, or empty: nothing was received
	reason      why it was refused, such as access, as in docs/METRICS.md
	timed_out   true if the handler took longer than --timeout
	rule        the rule that decided, if one did
	peer        pid, uid, gid of who connected (SO_PEERCRED)
	sender      the same of who sent the request (SCM_CREDENTIALS), if it came
	bytes_in, bytes_out   headers included
	seconds     how long it took
	hint        exe and unit, the program and the service of systemd of the sender
	sample      the share of --audit-sample that this record stands for
	dropped     how many records should stand before this one and do not; in the
	            record end, how many in all

The hint is read from /proc when the call is over, as far as the server may: without
CAP_SYS_PTRACE exe is that of processes of its own user only, and with --sandbox there
is none unless --sandbox-read /proc. It may be of a program that the process has executed
since. A process that has begun after the call, or is not of that user, has only the
same number, and no hint is given.

Calls never wait for records. Those over --audit-rate, those for which the queue of 4096
has no room, and those that a full disk does not take are counted: in the next record, in
the metrics, and in the log at the end. The log hears of a failing file once a minute.

The file is made with mode 0600 and only ever appended to. It must not be a symbolic
link nor have hard links, and must be of the server's user or root and writable for nobody else. At
--audit-max-size it ends, so that refused callers cannot fill the disk: at the default rate
that takes 45 minutes or more. For logrotate(8) send SIGHUP after moving it; with --sandbox
that needs --sandbox-write with its directory, or copytruncate. In the journal, records are
messages with the fields CREDRPC_EVENT, CREDRPC_OUTCOME, CREDRPC_REASON, CREDRPC_RULE,
CREDRPC_PEER_UID and CREDRPC_PEER_PID:

	journalctl -t credrpc-audit CREDRPC_REASON=access`},
	{Title: "CONTROL SOCKET", Text: `With serve --control there is a second socket, at which operators ask and command the
server: credrpc call PATH COMMAND, credrpc top PATH. Root and the server's own user are
heard, as the kernel names them, or whom --control-rules allow. A command is one line:

	stats [USERS]             all numbers as JSON, with the users that call most
	reload                    load the rules of both sockets anew
	drain                     stop accepting, answer the calls in flight, end
	log-level [LEVEL]         show or set it: debug, info, warn or error
	pprof cpu|trace DURATION  what the process does, for go tool pprof and trace
	pprof heap|goroutine      what there is now, for go tool pprof
	help                      what this server can do

The socket has limits of its own, so that callers do not fill it. It ends after the main
one; with --takeover it is handed on right after it. The fields of the JSON are listed
in docs/CONTROL.md. A profile may need more than call allows by itself:

	credrpc call --timeout 70s --max-answer 32M PATH 'pprof trace 10s' >trace`},
	{Title: "SYSTEMD", Text: `With serve --listen systemd: the server serves the listening sockets that systemd passes
(sd_listen_fds(3)), each with the same handler and rules. Limits, calls in flight and
rates, programs too, are for each socket; --metrics and --control show all of them, with
several told apart by their paths. systemd:NAME[,NAME...] says which names
(FileDescriptorName= in systemd.socket(5)) must have come; a socket that is left out is
an error, since its callers would wait for ever. The socket unit needs
PassCredentials=yes: without it a caller who connected before the server began is refused
if it sends at the moment in which it is accepted, and the log asks for it.

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
heard. A control socket has the same beside it.`},
	{Title: "EXAMPLES", Text: `Rules that let user 1000 call, and nobody else; a server that answers who is
calling; a call.

	mkdir -p rules/uid/1000 && touch rules/uid/1000/allow
	credrpc rules check --rules rules --uid 1000 --gid 1000
	credrpc serve --listen whoami.sock --mode 0666 --handler whoami --rules rules
	credrpc call whoami.sock ''`},
	{Title: "SEE ALSO", Text: `credrpc-access(1), credrpc-bench(1), unix(7)`},
}
