package chown

import (
	"os"
	"regexp"
	"strings"
)

// installedVariable, if set, makes the tests use the service that is installed, as its
// unit starts it, instead of building one. deploy/release runs some of them that way.
const installedVariable = "CREDRPC_CHOWN_INSTALLED"

func isInstalled() bool { return os.Getenv(installedVariable) != "" }

// Where the package has, and the programs look for, what the tests make up otherwise.
const (
	installedBase   = "/srv/chown"
	installedRules  = "/etc/credrpc/chown/rules"
	installedSocket = "/run/credrpc/chown.sock"
	installedUnit   = "/usr/lib/systemd/system/credrpc-chown.service"
)

// installed are the paths of programs.
var installed = map[string]string{
	"credrpc-chownd":  "/usr/libexec/credrpc/credrpc-chownd",
	"credrpc-takeown": "/usr/bin/credrpc-takeown",
}

// serveInstalled starts the installed service, as the unit says but by
// systemd-socket-activate, with rules that allow whom the tests ask as, and returns its
// socket.
func (g *ground) serveInstalled() string {
	g.t.Helper()
	unit, err := os.ReadFile(installedUnit)
	g.do(err)
	command := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindSubmatch(unit)
	if command == nil {
		g.t.Fatalf("%s has no ExecStart=", installedUnit)
	}
	for _, uid := range []int{0, alice, bob, stranger} {
		g.allow(uid)
	}
	d, socket := g.activate(strings.Fields(string(command[1]))...)
	g.ask(bob, socket, "nothing") // starts it, and is refused: nobody knows who this was
	d.await(`"msg":"serving"`)
	g.t.Cleanup(d.end)
	return socket
}
