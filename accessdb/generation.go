//go:build linux

package accessdb

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"credrpc/accessdb/cdb"
)

// generation is one file of rules with all that is derived from it. It is made
// whole before anybody else sees it and never changes after that, but for the
// cache, whose words are atomic.
//
// The mapping of the file goes away when the generation is unreachable. So every
// function that reads the database ends with runtime.KeepAlive of its generation.
type generation struct {
	cache cache
	uids  index
	gids  index
	fixed [KeyUIDDefault + 1]verdict // of the keys without a number, by kind

	database   *cdb.Reader
	directory  *directory // instead of all the above: rules that are read live
	self       IDs
	compatible bool
	unknown    int // records that say neither allow nor deny

	number uint64    // 1 for the first file of a DB
	loaded time.Time // when the file came into force
}

// newGeneration verifies a database and derives the rest of a generation from it.
// It is the caller's to tie the life of data to that of the generation.
//
// Returns an error that wraps [cdb.ErrMalformed], or [ErrMalformedRule] with the
// key unless compatible.
func newGeneration(data []byte, self IDs, compatible bool, cacheSize int) (*generation, error) {
	database, err := cdb.NewReader(data)
	if err != nil {
		return nil, err
	}
	g := &generation{database: database, self: self, compatible: compatible, cache: newCache(cacheSize)}
	if err := g.buildIndex(); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *generation) buildIndex() error {
	g.uids, g.gids = newIndex(), newIndex()
	for b, value := range g.database.All() {
		key, ok := parseKey(b)
		if !ok {
			continue // no caller leads here
		}
		v, err := verdictOf(value)
		switch {
		case errors.Is(err, ErrUnknownValue):
			g.unknown++
		case err != nil && !g.compatible:
			return fmt.Errorf("%w: %v", err, key)
		}
		g.add(key, v)
	}
	g.uids.fit()
	g.gids.fit()
	return nil
}

func (g *generation) add(key Key, v verdict) {
	switch {
	case key.Kind == KeyUID:
		g.uids.add(key.ID, v)
	case key.Kind == KeyGID:
		g.gids.add(key.ID, v)
	case g.fixed[key.Kind] != verdictNone:
		g.fixed[key.Kind] = verdictRecord
	default:
		g.fixed[key.Kind] = v
	}
}

// verdictOf classifies a record. With an error the verdict is verdictRecord.
func verdictOf(value []byte) (verdict, error) {
	if string(value) == plainAllow {
		return verdictAllow, nil
	}
	r, err := decodeRecord(value)
	if err == nil && r.decision == Deny {
		return verdictDeny, nil
	}
	return verdictRecord, err
}

// check decides past the cache and remembers the decision. Errors are not
// remembered, so that each is reported.
func (g *generation) check(uid, gid uint32) (Result, error) {
	result, err := decide(g, uid, gid, g.self, nil)
	if err == nil {
		g.cache.put(uid, gid, &result)
	}
	runtime.KeepAlive(g)
	return result, err
}

// explain decides past the cache and notes what it tries.
func (g *generation) explain(uid, gid uint32, tried *[]Attempt) (Result, error) {
	result, err := decide(g, uid, gid, g.self, tried)
	runtime.KeepAlive(g)
	return result, err
}

// probe looks a key up in the index; see source.
func (g *generation) probe(key Key) verdict {
	switch key.Kind {
	case KeyUID:
		return g.uids.get(key.ID)
	case KeyGID:
		return g.gids.get(key.ID)
	}
	return g.fixed[key.Kind]
}

// read decodes the record of a key; see source. The result gets copies of what the
// record has.
func (g *generation) read(key Key) (Result, error) {
	var b [maxKeyLength]byte
	value, ok := g.database.Find(key.append(b[:0]))
	if !ok {
		return Result{}, nil
	}
	return resultOf(key, value, g.compatible)
}
