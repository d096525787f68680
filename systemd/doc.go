// Package systemd is for services that systemd starts: the listening sockets that it
// passes, what it is told, and the watchdog. Nothing in it needs systemd; where it does
// not run, there are no sockets and nobody is told.
//
//	notifier, err := systemd.NewNotifier()
//	sockets, err := systemd.Sockets()
//	srv := &server.Server{Handler: handler, Ready: func() { notifier.Ready() }}
//	go notifier.FeedWatchdog(ctx, srv.Progress, logger)
//	err = srv.Serve(sockets[0].Listener)
//
// # Sockets
//
// systemd makes the sockets of a socket unit, passes them as descriptors from 3 on and
// names them in variables (sd_listen_fds(3)). [Sockets] takes them and removes the
// variables, so that no program that the service starts takes them for its own. With
// PassCredentials=yes in the socket unit callers are known who connected before the
// service began. Without it package server sets the option itself, and refuses what the
// kernel has not stamped meanwhile rather than guess who sent it.
//
// # Notifications
//
// A [Notifier] holds one connected datagram socket (sd_notify(3)) from the beginning. A
// service that gives up sockets and files before it serves, as package sandbox does, can
// still use it: it only writes. Make it before the sandbox.
//
// # The watchdog
//
// systemd ends a service with WatchdogSec= that has not said WATCHDOG=1 for that long.
// A timer that says it proves only that timers work. [Notifier.FeedWatchdog] asks first,
// each third of the time, and says it only if the answer comes within the next third:
// [server.Server.Progress] answers when every event loop has gone round since. So
// a loop that is held up for less than a third never matters, and one that is stuck is
// found within WatchdogSec=.
package systemd
