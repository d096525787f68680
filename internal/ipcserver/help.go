package ipcserver

// usage is what wrong command lines get.
const usage = `usage: credrpc ipcserver [ -q | -Q | -v ] [ -1 ] [ -d | -D ] [ -P | -p ] [ -a perms ] [ -b backlog ]
         [ -c maxconn ] [ -C localmaxconn ] [ -G gid,gid,... ] [ -g gid ] [ -u uid ] [ -U ]
         [ -i rulesdir | -x rulesfile ] [ -I ] [ -e | -E ] [ -l localname ] path prog...
Run "credrpc ipcserver --help" for what they mean.
`

const help = `Usage: credrpc ipcserver [options] path prog...

Listens on the UNIX socket path and runs prog for every connection, as
s6-ipcserver does, with the access rules of s6-ipcserver-access inside: a caller
that they refuse costs no process.

prog has the connection as its standard input and output, the server's standard
error, and in its environment PROTO=IPC, IPCREMOTEEUID and IPCREMOTEEGID (who
connected, effective ids as the kernel says), IPCREMOTEPATH (the caller's own
address, which it chooses itself: do not trust it) and IPCCONNNUM (how many
connections its user has, with this one).

The socket
  -a perms        its permissions, octal; connecting needs write permission (0777)
  -b backlog      how many callers wait in the kernel (4096)
  -d              replace a socket at path that nobody listens on (default)
  -D              let anything at path be in the way
  -1              when callers can connect, write a newline to standard output and
                  close it

path "-" means the listening socket that systemd or a like program passes as
descriptor 3 (LISTEN_PID, LISTEN_FDS); when it passes one, path must be that or the
socket's own. A path that begins with @ is an abstract name.

Limits
  -c maxconn      most connections at a time; more callers wait (40)
  -C localmaxconn most connections of one user; more are closed at once (40)

Privileges, changed after the socket has been made
  -u uid, -g gid, -G gid,gid,...
                  become this user and this group, with these supplementary groups.
                  When any of them is given, no other supplementary groups stay.
                  As for s6, 0 means to leave the user or the group as it is.
  -U              take them from the variables UID, GID and GIDLIST

Who may connect
  -i rulesdir     rules in a directory, read anew for every connection
  -x rulesfile    rules compiled by s6-accessrules-cdb-from-fs; a file that is
                  renamed over it is in force within a second
  -I              accept whoever has the uid and gid of the server, past the rules
  -e              set IPCLOCALPATH too, the socket's path (default with rules)
  -E              tell prog nothing: unset all of the variables above
  -l localname    the value of IPCLOCALPATH
  -P              do not ask who connects: IPCREMOTEEUID, IPCREMOTEEGID and
                  IPCCONNNUM stay empty, -C does not apply, rules cannot
  -p              ask (default)

Messages on standard error
  -q              errors, and refusals because of -C
  -Q              also warnings, and whom the rules accept (default)
  -v              also every connection's begin and end, and whom the rules refuse

Signals
  TERM            exit; running programs go on
  HUP             send TERM and CONT to all of them
  QUIT            the same, and exit
  ABRT            send KILL to all of them, and exit
  USR1            with rules: load rulesfile now, even one modified in place

Exit status: 0 after TERM, QUIT or ABRT; 100 wrong usage; 111 the system refused
something. Without rules at start there is no server; when a new rulesfile cannot
be loaded the old rules stay in force.
`

// Help returns what the command is and takes, for a manual.
func Help() string { return help }
