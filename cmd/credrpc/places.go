package main

import (
	"path/filepath"

	"credrpc/internal/listen"
)

// A place is a file that serving makes, and the flag that names it or what it stands
// beside.
type place struct{ flag, path string }

// places returns all of them.
func (c *serveCommand) places() (list []place) {
	socket := func(flag, path string) {
		for _, path := range listen.Paths(path, c.Takeover) {
			list = append(list, place{flag, path})
		}
	}
	if c.makesFile() {
		socket("--listen", c.Listen)
	}
	if c.Control != "" {
		socket("--control", c.Control)
	}
	if path, ok := c.metricsSocket(); ok {
		socket("--metrics", path)
	}
	if path, ok := c.auditFile(); ok {
		list = append(list, place{"--audit-to", path})
	}
	return list
}

// checkPlaces returns an error if one file would be made twice. The process would wait for
// itself: it holds the lock, and with --takeover is the server that could hand it on.
func (c *serveCommand) checkPlaces() error {
	flags := make(map[string]string) // by path
	for _, p := range c.places() {
		path, err := filepath.Abs(p.path)
		if err != nil {
			return err
		}
		if other, ok := flags[path]; ok {
			return usageError("%s, %s: both would make %q; want another path", other, p.flag, path)
		}
		flags[path] = p.flag
	}
	return nil
}
