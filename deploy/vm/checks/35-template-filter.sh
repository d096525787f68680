# the filter of system calls is enforced, and refuses nothing that normal work needs
sed -i '/exit-when-idle/d' /etc/credrpc/whoami.toml
systemctl restart credrpc@whoami.service
pid=$(main credrpc@whoami.service)
grep -q '^Seccomp:[[:space:]]*2' /proc/$pid/status || fail "no filter"
timeout 20 strace -f -q -e trace=all -e status=failed -o /tmp/calls -p "$pid" &
sleep 3
for i in 1 2 3 4 5; do as 2001 credrpc call /run/credrpc/whoami.sock '' >/dev/null; done
as 2003 credrpc call /run/credrpc/whoami.sock '' >/dev/null 2>&1 || true
credrpc call /run/credrpc/whoami/control.sock stats >/dev/null
systemctl reload credrpc@whoami.service
sleep 2
pkill -x strace || true
wait
# Go's runtime tries regular files with epoll, which says EPERM: epoll_ctl(2). What
# rt_sigreturn(2) seems to return is a register of what the signal interrupted.
! grep -vE 'epoll_ctl|rt_sigreturn' /tmp/calls | grep -E 'EPERM|EACCES|ENOSYS|SIGSYS' || fail "calls were refused"
exposure=$(systemd-analyze security credrpc@whoami.service --no-pager --threshold=15 | tail -1)
echo "$exposure"
! journalctl -b -u credrpc@whoami.service --no-pager | grep -E 'SIGSYS' || fail "SIGSYS"
