package unit

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// common are directories of many services, in which none may write as it likes.
var common = []string{
	"/", "/etc", "/run", "/run/systemd", "/var", "/var/log", "/var/lib", "/var/cache", "/var/spool",
	"/srv", "/opt", "/usr", "/usr/local", "/dev", "/dev/shm",
}

// Directories that systemd makes for a service, and its directives for them.
const (
	runtime = "/run/"     // RuntimeDirectory=
	logs    = "/var/log/" // LogsDirectory=
)

// made returns the paths of the files that the service makes.
func (s Settings) made() []string {
	if s.Log == "" {
		return s.Makes
	}
	return append(slices.Clone(s.Makes), s.Log)
}

// checkMade returns an error for files whose directory the service cannot have for
// itself, and for an address of which the port is not known before it begins.
func (s Settings) checkMade() error {
	if s.Port() == "0" {
		return fmt.Errorf("address %q: want a port; systemd lets the service have no other", s.Address)
	}
	for _, path := range s.made() {
		dir := filepath.Dir(path)
		switch {
		case slices.Contains(common, dir):
			return fmt.Errorf("%q: %s is not only for this service, and would become writable for it; want a directory of its own, such as %s", path, dir, filepath.Join(dir, strings.TrimSuffix(s.Name, "@"), filepath.Base(path)))
		case strings.HasPrefix(path, "/var/run/"):
			return fmt.Errorf("%q: /var/run is a link; write %s", path, strings.TrimPrefix(path, "/var"))
		case strings.Contains(dir, ":"):
			return fmt.Errorf("%q: want a directory without a colon, which means something to systemd", path)
		}
	}
	return nil
}

// RuntimeDirectories returns what of /run systemd makes, and removes when the service
// ends.
func (s Settings) RuntimeDirectories() string { return words(s.directories(runtime)) }

// LogsDirectories returns what of /var/log systemd makes.
func (s Settings) LogsDirectories() string { return words(s.directories(logs)) }

// Writable returns the paths, there already, in which the service may write. That in
// which the socket unit has put its socket is there before the service is, and systemd
// must not remove it with the service.
func (s Settings) Writable() []string {
	paths := slices.Clone(s.Write)
	for _, path := range s.made() {
		if dir := filepath.Dir(path); s.kept(dir) && !slices.Contains(paths, dir) {
			paths = append(paths, dir)
		}
	}
	return paths
}

// directories returns those of what the service makes that systemd can make in parent,
// relative to it.
func (s Settings) directories(parent string) (list []string) {
	for _, path := range s.made() {
		dir := filepath.Dir(path)
		if relative, ok := strings.CutPrefix(dir, parent); ok && !s.kept(dir) && !slices.Contains(list, relative) {
			list = append(list, relative)
		}
	}
	return list
}

// kept reports whether a directory is not one that systemd makes for the service.
func (s Settings) kept(dir string) bool {
	socket := func(socket string) bool { return dir == filepath.Dir(socket) || strings.HasPrefix(socket, dir+"/") }
	return slices.ContainsFunc(s.Sockets, socket) || !strings.HasPrefix(dir, runtime) && !strings.HasPrefix(dir, logs)
}

// words writes a list of values, each in one word.
func words(list []string) string {
	written := make([]string, len(list))
	for i, value := range list {
		written[i] = word(value)
	}
	return strings.Join(written, " ")
}

// Families returns the address families of the sockets that the service makes.
func (s Settings) Families() []string {
	if s.Address == "" {
		return nil
	}
	host, _, _ := net.SplitHostPort(s.Address)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil: // a name, or every address
		return []string{"AF_INET", "AF_INET6"}
	case ip.Is4():
		return []string{"AF_INET"}
	}
	return []string{"AF_INET6"}
}

// Port returns that of Address.
func (s Settings) Port() string {
	_, port, _ := net.SplitHostPort(s.Address)
	return port
}

// Everywhere reports whether other machines may reach Address.
func (s Settings) Everywhere() bool {
	host, _, _ := net.SplitHostPort(s.Address)
	ip, err := netip.ParseAddr(host)
	return s.Address != "" && host != "localhost" && (err != nil || !ip.IsLoopback())
}
