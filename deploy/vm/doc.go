// Command vm checks the project where it cannot be checked by "go test": on Debian's
// kernel, which is older than the one that it was made on, under a systemd that is process
// 1, with AppArmor in force. It needs root and Debian; "make vm-check" runs it:
//
//	go run ./deploy/vm [--json FILE] [--only PATTERN]
//
// # Model
//
// Outside, on the machine, it works in a temporary directory, which it removes:
//
//	programs   the tests as programs (go test -c), this program, Debian packages
//	           (deploy/release/build); without cgo, so that they run anywhere
//	root       a small Debian with its kernel, of debootstrap
//	root.img   both, as an ext4 file system (mke2fs -d)
//	qemu       boots it: 2 processors, 2 GiB, no network
//
// Inside, a systemd unit starts this program again with the argument "inside". It runs the
// checks one after the other, each within a time of its own, and writes a line of JSON for
// each to the second serial port, which is a file outside. A check is a test program, or a
// script of the directory checks, which begins with what it shows. Scripts run in the order
// of their names, each on what those before it have left.
//
// Then it powers off. Outside, the lines become a table: a check without a line has not
// ended, and fails. Whatever happens, qemu is killed when the time is over.
//
// # What may be missing
//
// [programs] names the tests that are left out, and those that are skipped because the
// kernel lacks what they are about. Any other skipped test fails its check: what nobody
// knows of has not been checked.
//
// # Without KVM
//
// Where /dev/kvm is missing, or does not boot the kernel within a minute, qemu emulates the
// processor. That takes ten times as long: about half an hour, and more beside other work.
package main
