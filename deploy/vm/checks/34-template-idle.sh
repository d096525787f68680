# exit-when-idle: it ends, the socket stays, and the next call starts it again
echo 'exit-when-idle = "2s"' >>/etc/credrpc/whoami.toml
systemctl restart credrpc@whoami.service
for i in 1 2; do
	as 2001 credrpc call /run/credrpc/whoami.sock '' >/dev/null || fail "call $i"
	wait_for 30 inactive credrpc@whoami.service
	active credrpc@whoami.socket || fail "the socket has ended"
	[ "$(systemctl show -P Result credrpc@whoami.service)" = success ] || fail "it failed"
done
