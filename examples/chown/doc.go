// Package chown is a privileged service to copy: users ask it to give them files that
// somebody else, such as a build that runs as root, has left in their own tree.
//
//	credrpc-takeown out/report.pdf   # now it is mine
//
// # The model
//
// The administrator makes a directory for each user below a base directory, named by
// the user's number: /srv/chown/1000. A caller may take files of those owners whom the
// administrator has listed (--from), if they are regular files or directories below his
// own tree. They become those of his user and his group, as the kernel names them in the
// call. Nothing in a request says who asks or who is to own: it is a path, and that is
// all.
//
// # The life of a request
//
//	may they call   package server     rules are asked before anything is read
//	decode          message.go         bounded lengths, no byte too many, a path in one form only
//	open the tree   service.go         base/UID, by the number that the kernel gave
//	pin             service.go         openat2 with O_PATH: resolved by the kernel, beneath the tree
//	judge           service.go         what the descriptor is, and whether the caller may have it
//	change          service.go         fchownat of that descriptor, no name any more
//	audit           service.go         one line, whatever came of it
//	refused before  package audit      one line, up to a hundred a second
//
// # Threats
//
// The caller is hostile, owns the tree, and changes it while the service looks.
//
//   - Symbolic links, "..", /proc/PID/fd, mounts: openat2(2) refuses them in every
//     component (RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS,
//     RESOLVE_NO_XDEV). A name that is exchanged later changes nothing, since what is
//     examined and changed is the descriptor.
//   - Opening something that blocks or acts, such as a FIFO or a tape: O_PATH opens
//     nothing. All but regular files and directories are refused.
//   - Hard links to files elsewhere. A file with two names is refused. But a caller can
//     remove his name just after the file is pinned, and then it has one. So the path is
//     resolved again, and the time of the last change to the inode must be the same
//     before and after, and so old that any change in between would have another: then
//     there was a moment in which the only name of the file was the one in the tree. (The
//     service waits up to 20 ms for that time to pass, where files have times of whole
//     seconds 2 s.) Without this, 119 of 2,000 requests got a file outside, in the test
//     TestHardLinkFlipped. The second wall is fs.protected_hardlinks, without which the
//     service does not start: users can link only files that they may write. It also
//     covers the few instructions in which some file systems (ext4) have counted a
//     name less and not yet set the time.
//   - Moving files of others into the tree, from a directory on the same mount that both
//     can write to: they are refused unless their owner is listed. The safest base is a
//     mount of its own, into which nothing can be moved or linked.
//   - Set-id files are refused.
//   - A file system that the caller serves himself (FUSE), mounted over his tree, can hang
//     his own requests, of which [server.Server.MaxCallsPerUID] bounds the number.
//   - The process taken over: it keeps two capabilities, CAP_CHOWN and
//     CAP_DAC_READ_SEARCH (to walk through directories with mode 0700), and no right to open
//     a file but the rules (Landlock). A path that is only named (O_PATH) needs none.
//
// What remains: whoever takes over the process can change owners beneath everything that
// it can name; units and profiles in deploy narrow that to the base directory. Files
// that are open elsewhere stay open there. Removing and replacing what is in his tree is
// the caller's right anyway once he owns the directory.
package chown
