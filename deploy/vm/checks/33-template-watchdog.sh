# the watchdog: a service that stands still (SIGSTOP) is started anew, and answers
pid=$(main credrpc@whoami.service)
began=$(date +%s)
kill -STOP "$pid"
as 2001 timeout 100 credrpc call --timeout 100s /run/credrpc/whoami.sock '' >/tmp/waiting 2>&1 &
wait_for 100 another credrpc@whoami.service "$pid"
echo "after $(($(date +%s) - began)) s: $(systemctl show -P NRestarts credrpc@whoami.service) restart"
journalctl -b -u credrpc@whoami.service --no-pager -o cat | grep -i watchdog | head -3
wait
echo "who had called: $(cat /tmp/waiting)"
as 2001 credrpc call /run/credrpc/whoami.sock '' >/dev/null || fail "no answer afterwards"
