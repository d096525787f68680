//go:build linux

package accessdb

import (
	"errors"
	"log/slog"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
)

// What replaced files may keep mapped before a reload has the garbage collector look
// for them: the mappings are nothing to it, so it would not hurry for their sake.
// The number stays far below the 65,530 mappings that a process may have, see
// vm.max_map_count in proc(5).
const (
	retiredBytes    = 64 << 20
	retiredMappings = 1000
)

// Reload loads the file anew, whether or not it changed, and puts it in force for
// all checks that begin afterwards. It decides on the file that is there now, even
// one that was modified in place. When it fails, the rules in force stay. For a
// directory it only makes sure that the directory can be opened.
//
// A replaced file stays mapped until the garbage collector has found that no check
// uses it. Returns the errors of [Open], and [ErrClosed].
func (db *DB) Reload() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	g := db.current.Load()
	if db.closed || db.path == "" {
		return ErrClosed
	}
	if g != nil && g.directory != nil {
		return db.openDirectory()
	}
	return db.replaceLocked()
}

// replaceLocked loads the file at path and swaps it in.
func (db *DB) replaceLocked() error {
	db.collectLocked()
	f, state, err := openRegular(db.path)
	if err != nil {
		return db.failLocked(err)
	}
	db.seen = state
	g, err := db.load(f, state)
	if err != nil {
		f.Close()
		return db.failLocked(err)
	}
	if db.file != nil {
		db.file.Close() // only ever read from: nothing is lost
		db.reloads.Add(1)
	}
	db.file, db.loaded, db.fault = f, state, ""
	g.number, g.loaded = db.reloads.Load()+1, time.Now()
	db.current.Store(g)
	db.options.Logger.Info("access rules in force", slog.String("path", db.path), slog.Int("rules", g.database.Len()))
	if g.unknown > 0 {
		db.options.Logger.Warn("access rules with records that say neither allow nor deny",
			slog.String("path", db.path), slog.Int("records", g.unknown))
	}
	return nil
}

// load makes a generation of a file that is open.
func (db *DB) load(f *os.File, state stamp) (*generation, error) {
	data, err := mapCopy(f, state, db.options.MaxFileSize)
	if err != nil {
		return nil, err
	}
	g, err := newGeneration(data, db.self, db.options.Compatible, db.options.CacheSize)
	if err != nil {
		unmap(data)
		return nil, err
	}
	db.mapped.attach(g, data)
	return g, nil
}

// collectLocked has replaced files unmapped when there is much of them.
func (db *DB) collectLocked() {
	if db.mapped.bytes.Load() > retiredBytes+db.loaded.size || db.mapped.count.Load() > retiredMappings {
		runtime.GC()
	}
}

// failLocked counts a failure and logs it, unless it is the one that was logged
// last.
func (db *DB) failLocked(err error) error {
	err = db.wrap(err)
	db.failures.Add(1)
	if text := err.Error(); text != db.fault {
		db.fault = text
		db.options.Logger.Error("access rules not loaded", slog.String("path", db.path), slog.Any("error", err))
	}
	return err
}

// watch looks at the file until the DB is closed.
func (db *DB) watch() {
	defer close(db.finished)
	ticker := time.NewTicker(db.options.PollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-ticker.C:
			db.poll()
		}
	}
}

// poll looks at the file once. A state of the file that was dealt with, one way or
// the other, is not looked at again; a failure that says nothing about the file,
// such as a lack of memory, is tried again at the next poll.
func (db *DB) poll() {
	db.mu.Lock()
	defer db.mu.Unlock()
	var st unix.Stat_t
	if err := unix.Stat(db.path, &st); err != nil {
		db.seen = stamp{}
		db.failLocked(&os.PathError{Op: "stat", Path: db.path, Err: err})
		return
	}
	state := stampOf(&st)
	switch {
	case db.closed || state == db.seen:
	case state.sameFile(db.loaded) && state.sameContent(db.loaded):
		db.seen, db.fault = state, ""
	case state.sameFile(db.loaded):
		db.seen = state
		db.failLocked(ErrModifiedInPlace)
	default:
		if err := db.replaceLocked(); err != nil && !conclusive(err) {
			db.seen = stamp{}
		}
	}
}

// conclusive reports whether loading the same file again would fail again.
func conclusive(err error) bool {
	return errors.Is(err, cdb.ErrMalformed) || errors.Is(err, ErrMalformedRule) ||
		errors.Is(err, ErrFileTooLarge) || errors.Is(err, ErrNotRules)
}

// Close stops the watcher and lets go of the rules. Checks from now on end with
// [ErrClosed]; those under way end as they would. It always returns nil and may be
// called again.
func (db *DB) Close() error {
	db.mu.Lock()
	wasClosed := db.closed
	db.closed = true
	db.current.Store(nil)
	if db.file != nil {
		db.file.Close() // only ever read from: nothing is lost
		db.file = nil
	}
	db.mu.Unlock()
	if db.stop == nil {
		return nil
	}
	if !wasClosed {
		close(db.stop)
	}
	<-db.finished
	return nil
}
