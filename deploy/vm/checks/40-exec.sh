# credrpc@exec runs programs, confined: no capabilities, no forbidden calls, no secrets
forget
mkdir -p /etc/credrpc/exec/uid/2001 && touch /etc/credrpc/exec/uid/2001/allow
cat >/etc/credrpc/exec.toml <<'END'
listen = "systemd:"
handler = "exec"
rules = "/etc/credrpc/exec"
program = ["/bin/sh"]
END
systemctl enable --now credrpc@exec.socket
script() { as 2001 credrpc call /run/credrpc/exec.sock "$1"; }
[ "$(script 'date -u +%Y')" = "$(date -u +%Y)" ] || fail "wrong answer"
[ "$(cat /proc/$(main credrpc@exec.service)/attr/current)" = "credrpc (enforce)" ] || fail "it is not confined"
! denied credrpc || fail "its normal work is denied"
for try in 'cat /etc/shadow' 'unshare --user true' 'mount -t tmpfs t /mnt' 'date -s 12:00' 'echo x >/etc/x' 'chown 1:1 /tmp' 'kill -0 1' 'cat /root/.profile' 'echo x >/usr/bin/x' 'ls /home/*' 'strace true' 'chroot / true'; do
	if script "$try" >/tmp/tried 2>&1; then fail "it can: $try: $(cat /tmp/tried)"; fi
	echo "$try: $(tail -1 /tmp/tried)"
done
script 'ls -d /proc/1' || echo "/proc/1 is hidden"
denied credrpc | head -3 || fail "no line says that anything was denied"
forget
