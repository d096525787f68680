# dpkg -i again restarts what runs; -r stops it and unloads the profiles; --purge leaves nothing
systemctl is-enabled credrpc@whoami.socket credrpc-chown.socket
[ "$(stat -c %U /proc/$(main credrpc-chown.service))" = credrpc-chown ] || fail "whose is the service?"
as 2001 credrpc call /run/credrpc/whoami.sock '' >/dev/null
pid=$(main credrpc@whoami.service)
dpkg -i /opt/vm/*.deb
another credrpc@whoami.service "$pid" || fail "it was not restarted"
as 2001 credrpc call /run/credrpc/whoami.sock '' >/dev/null || fail "no answer after dpkg -i"
dpkg -r credrpc-chown credrpc
for unit in credrpc-chown credrpc@whoami credrpc@exec; do
	! active $unit.service && ! active $unit.socket || fail "$unit is active"
done
wait_for 10 unseen credrpc
! grep credrpc /sys/kernel/security/apparmor/profiles | grep -v credrpc-date || fail "profiles are loaded"
[ ! -e /run/credrpc/chown.sock ] && [ ! -e /run/credrpc/whoami.sock ] || fail "sockets are left: $(ls -R /run/credrpc)"
dpkg --purge credrpc-chown credrpc
! getent passwd credrpc credrpc-chown || fail "users are left"
! find /etc/systemd -name 'credrpc*' | grep . || fail "links of enabled units are left"
systemctl --failed --no-pager --no-legend | grep credrpc && fail "failed units" || true
