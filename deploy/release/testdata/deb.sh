# The life of the Debian packages: installed, used, installed again, purged.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
fail() { echo "FAILED: $*"; exit 1; }
wait_for() { # COMMAND...: until it succeeds
	for i in $(seq 100); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "never: $*"
}

dpkg -i /packages/*.deb
getent passwd credrpc | grep -q ':/usr/sbin/nologin$' || fail "no user"
[ "$(credrpc version | head -1)" = "credrpc v1.2.3" ] || fail "version"
systemctl is-enabled credrpc-chown.socket && fail "is enabled"

# A server by a file of settings, as the user of the package, with the example rules.
cp -r /usr/share/doc/credrpc/examples/rules /etc/credrpc/whoami
cat >/etc/credrpc/whoami.toml <<'END'
listen = "/run/whoami/s"
handler = "whoami"
rules = "/etc/credrpc/whoami"
sandbox = true
END
install -d -o credrpc /run/whoami
credrpc config check /etc/credrpc/whoami.toml
setpriv --reuid credrpc --regid credrpc --clear-groups credrpc serve --mode 0666 --config /etc/credrpc/whoami.toml &
server=$!
calls() { # SOCKET: who may call, and who may not
	credrpc call "$1" '' | grep -q '"uid":0,.*"rule":"uid/' || fail "call"
	! setpriv --reuid 12345 --regid 12345 --clear-groups credrpc call "$1" '' || fail "was not refused"
}
wait_for credrpc call /run/whoami/s ''
calls /run/whoami/s
kill $server && wait $server || fail "server"

# The same as its unit starts it, root without capabilities: the command, the environment
# and the directories are those of the unit, for the instance whoami. The rule is then
# uid/self.
unit=/usr/lib/systemd/system/credrpc@.service
directive() { sed -n "s/^$1=//p" $unit | sed 's/%i/whoami/g'; }
[ "$(grep -c '^ExecStart=' $unit)" = 1 ] || fail "ExecStart"
! grep -q '^EnvironmentFile=' $unit || fail "there is a file of variables to set"
sed -i 's|^listen = .*|listen = "systemd:"|' /etc/credrpc/whoami.toml
cat >>/etc/credrpc/whoami.toml <<'END'
control = "/run/credrpc/whoami/control.sock"
metrics = "unix:/run/credrpc/whoami/metrics.sock"
audit = "all"
audit-to = "/var/log/credrpc/whoami/audit.log"
END
credrpc config check /etc/credrpc/whoami.toml
install -d "/run/$(directive RuntimeDirectory)"
install -d -m "$(directive LogsDirectoryMode)" "/var/log/$(directive LogsDirectory)"
socket=$(sed -n 's/^ListenStream=//p' /usr/lib/systemd/system/credrpc@.socket | sed 's/%i/whoami/')
capabilities=$(directive CapabilityBoundingSet)
[ -z "$capabilities" ] || fail "the unit keeps $capabilities"
setpriv --bounding-set=-all --inh-caps=-all --no-new-privs env $(directive Environment) \
	systemd-socket-activate -l "$socket" $(directive ExecStart) &
server=$!
wait_for chmod 666 "$socket"
wait_for credrpc call "$socket" '' # the first callers are refused: nobody knows who they were
calls "$socket"
credrpc call /run/credrpc/whoami/control.sock stats | grep -q '"answered"' || fail "control"
grep -q '"outcome":"refused","reason":"access"' /var/log/credrpc/whoami/audit.log || fail "audit"
kill $server && wait $server || fail "server of the unit"

# The example service as its unit starts it, called and attacked by several users: its own
# tests, of which each starts it and writes rules.
[ "$(stat -c '%u %g %a' /srv/chown)" = "0 0 755" ] || fail "/srv/chown"
CREDRPC_CI=1 CREDRPC_CHOWN_INSTALLED=1 /packages/chown.test -test.v -test.timeout 5m \
	-test.run '^(TestPrograms|TestSocketActivated|TestTaken|TestRefused|TestDirectorySwapped|TestFileSwapped|TestHardLinkFlipped|TestFIFO)$' >/packages/chown.log 2>&1 ||
	{ cat /packages/chown.log; fail "chown"; }
grep -e '^---' -e rounds /packages/chown.log
[ "$(grep -c '^--- PASS' /packages/chown.log)" = 8 ] || fail "tests of chown are missing"

# Again, with an enabled socket; the administrator's changes stay.
systemctl enable credrpc-chown.socket
echo '# changed' >>/etc/apparmor.d/credrpc-chownd
dpkg -i /packages/*.deb
grep -q '# changed' /etc/apparmor.d/credrpc-chownd || fail "configuration is lost"

rm -r /etc/credrpc/whoami* /etc/credrpc/chown/rules/uid /run/credrpc /run/whoami /var/log/credrpc
dpkg -r credrpc credrpc-chown
[ -e /etc/apparmor.d/credrpc-chownd ] || fail "configuration is gone before purge"
getent passwd credrpc || fail "user is gone before purge"
dpkg --purge credrpc credrpc-chown
! getent passwd credrpc credrpc-chown || fail "users are left"
