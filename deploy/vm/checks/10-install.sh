# dpkg -i: nothing is enabled or runs; systemd takes the units, the kernel the profiles
forget
dpkg -i /opt/vm/*.deb
[ "$(cat /proc/1/comm)" = systemd ] || fail "systemd is not process 1"
for unit in credrpc-chown.socket credrpc-chown.service; do
	[ "$(systemctl show -P LoadState $unit)" = loaded ] || fail "$unit is not loaded"
	inactive $unit || fail "$unit runs"
done
! systemctl is-enabled credrpc-chown.socket || fail "the socket is enabled"
units=/usr/lib/systemd/system
systemd-analyze verify $units/credrpc-chown.socket $units/credrpc@x.service $units/credrpc@x.socket 2>&1 | grep -v AcceptFileDescriptors || true
profiles=/sys/kernel/security/apparmor/profiles
for profile in credrpc credrpc-chownd; do
	grep -qx "$profile (enforce)" $profiles || fail "$profile is not enforced: $(cat $profiles)"
done
