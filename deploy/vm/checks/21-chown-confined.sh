# the chown service under AppArmor: confined, its work causes no DENIED, else is denied
pid=$(main credrpc-chown.service)
[ "$(cat /proc/$pid/attr/current)" = "credrpc-chownd (enforce)" ] || fail "it is confined by $(cat /proc/$pid/attr/current)"
touch /srv/chown/2001/again
as 2001 credrpc-takeown /srv/chown/2001/again
systemctl reload credrpc-chown.service
as 2001 credrpc-takeown /srv/chown/2001/again
systemctl restart credrpc-chown.service
! denied credrpc-chownd || fail "its normal work is denied"
# By hand, as root: nothing but the profile keeps it from reading what is no rule.
! /usr/libexec/credrpc/credrpc-chownd --base /srv/chown --from root --rules /etc/shadow --listen /run/x || fail "it can read /etc/shadow"
denied credrpc-chownd | grep '"/etc/shadow"' || fail "no line says that it was denied"
forget
