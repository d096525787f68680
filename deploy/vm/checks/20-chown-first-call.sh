# the chown socket: a user's first call starts the service; who has no rule is refused
rules=/etc/credrpc/chown/rules
mkdir -p $rules/uid/2001 && touch $rules/uid/2001/allow
for user in 2001 2002; do
	install -d -o $user -m 0700 /srv/chown/$user
	touch /srv/chown/$user/report
done
systemctl enable --now credrpc-chown.socket
inactive credrpc-chown.service || fail "it runs before anybody has called"
as 2001 credrpc-takeown /srv/chown/2001/report
[ "$(stat -c %u:%g /srv/chown/2001/report)" = 2001:2001 ] || fail "the file is not his"
active credrpc-chown.service || fail "the call did not start the service"
! as 2002 credrpc-takeown /srv/chown/2002/report || fail "2002 was not refused"
[ "$(stat -c %u /srv/chown/2002/report)" = 0 ] || fail "the file of who was refused has changed"
pid=$(main credrpc-chown.service)
grep Uid: /proc/$pid/status && ! grep -q '^Uid:.*[[:space:]]0[[:space:]]' /proc/$pid/status || fail "it is root"
systemctl status credrpc-chown.service --no-pager | grep Status: || true
