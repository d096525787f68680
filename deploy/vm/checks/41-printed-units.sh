# the units and the profile that "credrpc unit" prints: started, confined, right, no DENIED
mkdir -p /etc/date/r/uid/2001 /tmp/units && touch /etc/date/r/uid/2001/allow
credrpc rules compile /etc/date/r /etc/date/rules.cdb
cd /tmp/units
credrpc unit --listen /run/date.sock --mode 0666 --handler exec --rules /etc/date/rules.cdb --exit-when-idle 10m --sandbox \
	--audit denied --audit-to journal --control /run/date/control.sock --metrics unix:/run/date/metrics.sock --output . -- /bin/date -u +%Y
install -m 0644 date.socket date.service /etc/systemd/system/
install -m 0644 credrpc-date /etc/apparmor.d/ && apparmor_parser -r /etc/apparmor.d/credrpc-date
systemctl daemon-reload && systemctl enable --now date.socket
[ "$(as 2001 credrpc call /run/date.sock '')" = "$(date -u +%Y)" ] || fail "wrong answer"
! as 2002 credrpc call /run/date.sock '' || fail "2002 was not refused"
recorded() { journalctl -b --no-pager -o json | grep -q '"SYSLOG_IDENTIFIER":"credrpc' && journalctl -b --no-pager | grep -q 'access'; }
wait_for 10 recorded
credrpc call /run/date/control.sock stats >/dev/null
[ "$(cat /proc/$(main date.service)/attr/current)" = "credrpc-date (enforce)" ] || fail "it is not confined"
pid=$(main date.service)
systemctl reload date.service && systemctl restart date.service
[ "$(as 2001 credrpc call /run/date.sock '')" = "$(date -u +%Y)" ] || fail "wrong answer after a restart"
! denied credrpc-date || fail "its normal work is denied"
systemd-analyze security date.service --no-pager --threshold=15 | tail -1
systemctl disable --now date.socket date.service
