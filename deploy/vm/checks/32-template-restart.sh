# systemctl restart under load, five times: no call fails
rm -f /tmp/stop /tmp/failed /tmp/done
load() {
	while [ ! -e /tmp/stop ]; do
		as 2001 credrpc call /run/credrpc/whoami.sock '' >/dev/null 2>>/tmp/failed || echo "exit $?" >>/tmp/failed
		echo >>/tmp/done
	done
}
load & load & load &
sleep 2
for i in 1 2 3 4 5; do
	pid=$(main credrpc@whoami.service)
	systemctl restart credrpc@whoami.service
	another credrpc@whoami.service "$pid" || fail "it is the same process"
	sleep 1
done
touch /tmp/stop
wait
echo "$(wc -l </tmp/done) calls"
[ "$(wc -l </tmp/done)" -gt 20 ] || fail "there was no load"
[ ! -s /tmp/failed ] || fail "calls failed: $(head -5 /tmp/failed)"
