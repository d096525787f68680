//go:build linux

package accessdb

import (
	"fmt"
	"iter"
	"log/slog"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"credrpc/accessdb/cdb"
)

// Options say how a [DB] reads and applies rules. The zero value is strict and
// watches its file.
type Options struct {
	// Identity accepts callers whose uid and gid are both those of Self, before any
	// rule is looked at.
	Identity bool

	// Self are the ids that Identity and the rules uid/self and gid/self mean. Nil
	// means the effective uid and gid of this process when the DB is opened, so a
	// process that changes its own must do that first. Others are for asking what
	// the rules of another process say; an id of 4294967295 is nobody's.
	Self *IDs

	// Compatible does as s6 does with records that are not in order: one that
	// begins with neither A nor D is no match, and a malformed one matters only to
	// callers that it applies to. Without it the former refuses its callers and
	// the latter makes the whole file unacceptable. In a directory it takes what
	// the process may not read as absent; without it that is an error.
	Compatible bool

	// CacheSize is the number of callers whose decisions are remembered, for a
	// file: 24 bytes each. 0 means 4,096, a negative number none.
	CacheSize int

	// PollInterval is the time between two looks at the file. 0 means one second,
	// a negative number never. A directory needs no looking at.
	PollInterval time.Duration

	// MaxFileSize is the size, in bytes, above which a file is refused. 0 means
	// [cdb.MaxSize]. A file takes its size in memory, and during a replacement the
	// sizes of both.
	MaxFileSize int64

	// Logger hears of replacements and of files that were refused, once each. Nil
	// is silent. No check ever logs.
	Logger *slog.Logger
}

// setDefaults puts values in place of zeros.
func (o *Options) setDefaults() {
	if o.Self == nil {
		own := ownIDs()
		o.Self = &own
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCacheSize
	}
	if o.PollInterval == 0 {
		o.PollInterval = time.Second
	}
	if limit := int64(min(cdb.MaxSize, uint64(math.MaxInt))); o.MaxFileSize <= 0 || o.MaxFileSize > limit {
		o.MaxFileSize = limit
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// DB is an open set of rules. All methods may be called concurrently. The zero
// value refuses every caller with [ErrClosed].
type DB struct {
	current atomic.Pointer[generation] // nil when closed
	options Options
	self    IDs
	path    string
	mapped  *mappings

	checkErrors atomic.Uint64
	reloads     atomic.Uint64
	failures    atomic.Uint64

	mu     sync.Mutex // guards what follows and is held while a file is loaded
	file   *os.File   // the loaded file, open so that its inode number stays its own
	loaded stamp      // state of file when it was loaded
	seen   stamp      // state at path that needs no further look
	fault  string     // what was last reported of path, so as not to repeat it
	closed bool

	stop     chan struct{} // closed by Close; nil without a watcher
	finished chan struct{} // closed by the watcher when it has returned
}

// Open opens rules: a directory or a compiled file, by what path is.
//
// Returns an error that wraps [ErrNotRules], [ErrFileTooLarge], [ErrChanging],
// [cdb.ErrMalformed], [ErrMalformedRule] or one of the system.
func Open(path string, options Options) (*DB, error) {
	options.setDefaults()
	db := &DB{
		options: options,
		path:    path,
		self:    *options.Self,
		mapped:  new(mappings),
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, db.wrap(err)
	}
	if info.IsDir() {
		if err := db.openDirectory(); err != nil {
			return nil, err
		}
		return db, nil
	}
	if err := db.Reload(); err != nil {
		return nil, err
	}
	if options.PollInterval > 0 {
		db.stop, db.finished = make(chan struct{}), make(chan struct{})
		go db.watch()
	}
	return db, nil
}

func (db *DB) openDirectory() error {
	d := &directory{path: db.path, lenient: db.options.Compatible}
	opened, err := d.open()
	if err != nil {
		return db.wrap(err)
	}
	opened.close()
	db.current.Store(&generation{directory: d, self: db.self})
	return nil
}

// Check decides whether a caller may call. What is not [Allow], and whatever comes
// with an error, is a refusal. The result names the rule that decided or failed.
//
// With a file, a check whose answer is in the cache allocates nothing, and one past
// the cache only to copy the environment and command line of a rule that has them.
//
// Returns [ErrInvalidID], [ErrClosed], [ErrUnknownValue] or [ErrMalformedRule]
// (wrapped, with the key), or with a directory an error of the system.
func (db *DB) Check(uid, gid uint32) (result Result, err error) {
	g := db.current.Load()
	if g == nil || uid == invalidID || gid == invalidID {
		return db.refuse(g)
	}
	if db.options.Identity && uid == db.self.UID && gid == db.self.GID {
		return Result{Decision: Allow, Key: Key{Kind: KeyIdentity}}, nil
	}
	if g.cache.get(uid, gid, &result) {
		return result, nil
	}
	if g.directory != nil {
		result, err = g.directory.check(uid, gid, g.self, nil)
	} else {
		result, err = g.check(uid, gid)
	}
	if err != nil {
		db.checkErrors.Add(1)
	}
	return result, err
}

func (db *DB) refuse(g *generation) (Result, error) {
	db.checkErrors.Add(1)
	if g == nil {
		return Result{}, ErrClosed
	}
	return Result{}, ErrInvalidID
}

// Explain decides as Check does, past the cache, and tells the keys it tried. The
// list is empty when Options.Identity decides and when the ids are invalid.
func (db *DB) Explain(uid, gid uint32) (result Result, tried []Attempt, err error) {
	g := db.current.Load()
	if g == nil || uid == invalidID || gid == invalidID {
		result, err = db.refuse(g)
		return result, nil, err
	}
	if db.options.Identity && uid == db.self.UID && gid == db.self.GID {
		return Result{Decision: Allow, Key: Key{Kind: KeyIdentity}}, nil, nil
	}
	if g.directory != nil {
		result, err = g.directory.check(uid, gid, g.self, &tried)
	} else {
		result, err = g.explain(uid, gid, &tried)
	}
	if err != nil {
		db.checkErrors.Add(1)
	}
	return result, tried, err
}

// Rules yields every rule, in the order of the file, or sorted by key for a
// directory. A rule that is not in order comes with an error, its key and Deny (in a
// [Options.Compatible] DB too), and the next one follows. An error without a key is
// the last thing yielded.
func (db *DB) Rules() iter.Seq2[Rule, error] {
	return func(yield func(Rule, error) bool) {
		g := db.current.Load()
		switch {
		case g == nil:
			yield(Rule{}, ErrClosed)
		case g.directory != nil:
			g.directory.rules(yield)
		default:
			g.rules(yield)
		}
	}
}

func (g *generation) rules(yield func(Rule, error) bool) {
	for key, value := range g.database.All() {
		rule, err := decodeRule(key, value)
		if !yield(rule, err) {
			break
		}
	}
	runtime.KeepAlive(g)
}

// Stats counts what happened to a [DB] since it was opened.
type Stats struct {
	Rules       int    // records in the file in force; 0 for a directory
	Unknown     int    // of these, records that say neither allow nor deny
	MappedBytes int64  // memory of files in force, or replaced and not yet given back
	Reloads     uint64 // files that came into force, the first not counted
	Failures    uint64 // attempts to load a file, by Reload or at a poll, that failed
	CheckErrors uint64 // checks that ended with an error

	Generation uint64    // number of the file in force, from 1; 0 for a directory
	Loaded     time.Time // when that came into force; zero for a directory
}

// Stats returns the counters.
func (db *DB) Stats() Stats {
	s := Stats{
		Reloads:     db.reloads.Load(),
		Failures:    db.failures.Load(),
		CheckErrors: db.checkErrors.Load(),
	}
	if db.mapped != nil {
		s.MappedBytes = db.mapped.bytes.Load()
	}
	if g := db.current.Load(); g != nil && g.database != nil {
		s.Rules, s.Unknown = g.database.Len(), g.unknown
		s.Generation, s.Loaded = g.number, g.loaded
	}
	return s
}

// wrap names the path in an error.
func (db *DB) wrap(err error) error { return wrap(db.path, err) }

func wrap(path string, err error) error { return fmt.Errorf("accessdb: %s: %w", path, err) }
