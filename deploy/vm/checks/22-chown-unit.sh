# the chown unit: exposure, capabilities, system call filter; stops and starts by calls
systemd-analyze security credrpc-chown.service --no-pager --threshold=15 | tail -1
as 2001 credrpc-takeown /srv/chown/2001/report || true
pid=$(main credrpc-chown.service)
grep -E '^(Cap(Eff|Bnd|Amb)|NoNewPrivs|Seccomp)' /proc/$pid/status
[ "$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/$pid/status)" = 0000000000000005 ] || fail "capabilities"
grep -q '^Seccomp:[[:space:]]*2' /proc/$pid/status || fail "no filter"
for i in 1 2 3; do
	systemctl stop credrpc-chown.service
	touch /srv/chown/2001/$i && as 2001 credrpc-takeown /srv/chown/2001/$i
done
! journalctl -b -u credrpc-chown.service --no-pager | grep -E 'SIGSYS|core-dump|Failed' || fail "the journal has failures"
