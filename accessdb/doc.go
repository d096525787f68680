//go:build linux

// Package accessdb decides which callers may call, by their uid and gid, from the
// rules that s6-ipcserver-access reads: a directory, or a constant database
// compiled from one. It is for Linux only.
//
// # Rules
//
// A rule has a key and says allow or deny. An allow rule may also change the
// environment of what is run for the caller, and may name a command line to run in
// its place. The keys are tried in this order, and the first rule that says allow
// or deny decides:
//
//	uid/self     the caller's uid is that of this process, see [Options.Self]
//	uid/N        the caller's uid, in decimal
//	gid/self     the caller's gid is that of this process
//	gid/N        the caller's gid
//	uid/default  anybody
//
// A caller for whom no rule decides is refused, and so is one for whom deciding
// fails, and one whose uid or gid is 4294967295, which is no identity but the
// system's way to say that it knows none.
//
// # Objects
//
// A [DB] is an open set of rules; it is what a server keeps. What it reads depends
// on what its path is when it is opened:
//
//	directory  every Check reads the directory as it is at that moment.
//	file       the DB works on a copy of the file in memory. A generation is one
//	           such copy with everything derived from it: the verified database,
//	           the index and the cache. A generation never changes; an atomic
//	           pointer in the DB names the current one, and a new file means a
//	           new generation behind that pointer. One check uses one generation,
//	           so no decision mixes two files, and the cache needs no
//	           invalidation: it goes with its generation.
//
//	         Check ──► pointer ──► generation ──► cache ──► index ──► database
//	                      ▲                      (uid,gid)  (uid)    (sealed copy)
//	         Reload ──────┘
//	         watcher
//
// The copy lies in a memfd_create(2) file with the seals F_SEAL_SHRINK,
// F_SEAL_GROW, F_SEAL_WRITE and F_SEAL_SEAL, mapped read only. What happens to the
// original from then on, a truncation above all, neither reaches the mapping (which
// would be a SIGBUS) nor changes an answer. Everything is verified on the copy.
//
// A result holds Go strings, never parts of the mapping. So the mapping is needed
// only inside a method that has loaded the pointer, which keeps its generation
// reachable to the end; the garbage collector knows when the last such method has
// returned, and a cleanup attached to the generation unmaps it after that. The
// path of a check has no lock and no reference count.
//
// A process that is started for one caller and ends has no use for a DB: [CheckFile]
// and [CheckDirectory] decide once. They verify nothing beyond what they read, so a
// file that was damaged, by a disk say, can hide a rule from them, where [Open]
// refuses it.
//
// # Replacing a file
//
// Rules are replaced by renaming a complete file over the old one, which
// [Compile], [Builder] and s6-accessrules-cdb-from-fs do. The watcher of a DB looks
// at the file once a second (device, inode, size, mtime and ctime, see stat(2)) and
// loads one that came by a rename. It never loads a file whose content was changed
// in place, since nobody can tell when the writer is done: it reports
// [ErrModifiedInPlace] and waits. [DB.Reload] is an explicit order and loads what
// is there, unless it changes meanwhile ([ErrChanging]). When a file cannot be
// loaded the old rules stay in force.
//
// # Strictness
//
// s6 takes a record that begins with neither A nor D as no match, so one flipped
// bit in a deny record lets uid/default decide. A DB refuses such a caller and
// reports [ErrUnknownValue], and it refuses to load a file with a malformed allow
// record. In a directory, s6 takes what it may not read as absent, a deny too; a DB
// refuses the caller with the error. [Options.Compatible] restores what s6 does.
package accessdb
