# credrpc@whoami: the first call starts it, confined; who has no rule is refused
mkdir -p /etc/credrpc/whoami/uid/2001 && touch /etc/credrpc/whoami/uid/2001/allow
cat >/etc/credrpc/whoami.toml <<'END'
listen = "systemd:"
handler = "whoami"
rules = "/etc/credrpc/whoami"
control = "/run/credrpc/whoami/control.sock"
metrics = "unix:/run/credrpc/whoami/metrics.sock"
audit = "denied"
audit-to = "/var/log/credrpc/whoami/audit.log"
END
credrpc config check /etc/credrpc/whoami.toml
systemctl enable --now credrpc@whoami.socket
inactive credrpc@whoami.service || fail "it runs before anybody has called"
as 2001 credrpc call /run/credrpc/whoami.sock '' | tee /dev/stderr | grep -q '"sender":{"pid":[0-9]*,"uid":2001,"gid":2001}' || fail "the answer is wrong"
! as 2002 credrpc call /run/credrpc/whoami.sock '' || fail "2002 was not refused"
grep -q '"outcome":"refused","reason":"access"' /var/log/credrpc/whoami/audit.log || fail "the audit log has no record"
credrpc call /run/credrpc/whoami/control.sock stats | grep -q '"answered"' || fail "control"
pid=$(main credrpc@whoami.service)
[ "$(cat /proc/$pid/attr/current)" = "credrpc (enforce)" ] || fail "it is confined by $(cat /proc/$pid/attr/current)"
[ "$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/$pid/status)" = 0000000000000000 ] || fail "it has capabilities"
[ "$(stat -c '%a %u' /run/credrpc/whoami.sock)" = "666 0" ] || fail "mode of the socket"
systemctl status credrpc@whoami.service --no-pager | head -20
