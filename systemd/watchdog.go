package systemd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Watchdog returns within which time systemd wants a sign of life, or 0 if it wants none.
func (n *Notifier) Watchdog() time.Duration { return n.watchdog }

// FeedWatchdog gives signs of life until ctx ends, each after progress has returned nil:
// [server.Server.Progress], or a function that asks several. It returns at once if none
// are wanted. When progress fails, or a sign cannot be sent, the logger, which may be nil,
// is told of the first time in a row.
func (n *Notifier) FeedWatchdog(ctx context.Context, progress func(context.Context) error, log *slog.Logger) {
	if n.watchdog == 0 || n.conn == nil {
		return
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pause := n.watchdog / 3
	ticks := time.NewTicker(max(pause, time.Millisecond))
	defer ticks.Stop()
	failing := false
	for {
		err := n.feed(ctx, progress, pause)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			log.Error("no sign of life for the watchdog", "error", err, "watchdog", n.watchdog)
		}
		failing = err != nil
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// feed gives one sign of life if there is progress within the time.
func (n *Notifier) feed(ctx context.Context, progress func(context.Context) error, within time.Duration) error {
	asked, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := progress(asked); err != nil {
		return err
	}
	return n.send(daemon.SdNotifyWatchdog)
}
