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
cat >/etc/credrpc/whoami.toml <<'END'
listen = "/run/credrpc/whoami.sock"
mode = "0666"
handler = "whoami"
rules = "/usr/share/doc/credrpc/examples/rules"
END
install -d -o credrpc /run/credrpc
credrpc config check /etc/credrpc/whoami.toml
setpriv --reuid credrpc --regid credrpc --clear-groups credrpc serve --sandbox --config /etc/credrpc/whoami.toml &
server=$!
wait_for credrpc call /run/credrpc/whoami.sock ''
credrpc call /run/credrpc/whoami.sock '' | grep -q '"uid":0,.*"rule":"uid/0"' || fail "call"
! setpriv --reuid 12345 --regid 12345 --clear-groups credrpc call /run/credrpc/whoami.sock '' || fail "was not refused"
kill $server && wait $server || fail "server"

# The example service, started by whoever connects.
mkdir -p /etc/credrpc/chown/rules/uid/12345 /srv/chown/12345
touch /etc/credrpc/chown/rules/uid/12345/allow /srv/chown/12345/file
chown 12345:12345 /srv/chown/12345
systemd-socket-activate -l /run/credrpc/chown.sock /usr/libexec/credrpc/credrpc-chownd \
	--base /srv/chown --from root --rules /etc/credrpc/chown/rules &
server=$!
wait_for chmod 666 /run/credrpc/chown.sock
# The first callers come before the service asks for credentials, and are refused.
wait_for setpriv --reuid 12345 --regid 12345 --clear-groups credrpc-takeown /srv/chown/12345/file
[ "$(stat -c %u /srv/chown/12345/file)" = 12345 ] || fail "owner"
kill $server && wait $server || fail "chownd"

# Again, with an enabled socket; the administrator's changes stay.
systemctl enable credrpc-chown.socket
echo '# changed' >>/etc/apparmor.d/credrpc-chownd
dpkg -i /packages/*.deb
grep -q '# changed' /etc/apparmor.d/credrpc-chownd || fail "configuration is lost"

rm -r /etc/credrpc/whoami.toml /etc/credrpc/chown/rules/uid /srv/chown /run/credrpc
dpkg -r credrpc credrpc-chown
[ -e /etc/apparmor.d/credrpc-chownd ] || fail "configuration is gone before purge"
getent passwd credrpc || fail "user is gone before purge"
dpkg --purge credrpc credrpc-chown
! getent passwd credrpc || fail "user is left"
