# systemctl reload takes new rules; a failed reload leaves those in force and says so
credrpc rules compile /etc/credrpc/whoami /etc/credrpc/whoami/rules.cdb 2>/dev/null ||
	{ mkdir /tmp/rules && cp -r /etc/credrpc/whoami/uid /tmp/rules/ && credrpc rules compile /tmp/rules /etc/credrpc/whoami/rules.cdb; }
sed -i 's|^rules = .*|rules = "/etc/credrpc/whoami/rules.cdb"|' /etc/credrpc/whoami.toml
systemctl restart credrpc@whoami.service
call() { as "$1" credrpc call /run/credrpc/whoami.sock '' >/dev/null 2>&1; }
call 2001 || fail "2001 is refused"
! call 2002 || fail "2002 is not refused"
pid=$(main credrpc@whoami.service)
mkdir -p /tmp/rules2/uid/2002 && touch /tmp/rules2/uid/2002/allow
credrpc rules compile /tmp/rules2 /etc/credrpc/whoami/rules.cdb
systemctl reload credrpc@whoami.service
wait_for 10 call 2002
! call 2001 || fail "2001 is allowed by rules that are gone"
echo nonsense >/etc/credrpc/whoami/new && mv /etc/credrpc/whoami/new /etc/credrpc/whoami/rules.cdb
systemctl reload credrpc@whoami.service
said() { systemctl show -P StatusText credrpc@whoami.service | grep -qi "rules\|reload"; }
wait_for 10 said
systemctl show -P StatusText credrpc@whoami.service
call 2002 || fail "the rules in force are gone"
[ "$(main credrpc@whoami.service)" = "$pid" ] || fail "it has ended"
credrpc rules compile /tmp/rules2 /etc/credrpc/whoami/rules.cdb
mkdir -p /tmp/rules2/uid/2001 && touch /tmp/rules2/uid/2001/allow
credrpc rules compile /tmp/rules2 /etc/credrpc/whoami/rules.cdb
systemctl reload credrpc@whoami.service
wait_for 10 call 2001
