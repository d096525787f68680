# What the checks share. Each is run by "sh -eu" after this, in the order of its name, and
# relies on what those before it have left: it ends with 0, or says why not.
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_PAGER= DEBIAN_FRONTEND=noninteractive
trap '[ $? = 0 ] || journalctl -b --no-pager -n 30 -o cat -u "credrpc*" -u date.service' EXIT
fail() { echo "FAILED: $*"; exit 1; }
wait_for() { # SECONDS COMMAND...: until it succeeds
	local i=$(($1 * 5)) what
	shift
	while [ $i -gt 0 ]; do
		! "$@" >/dev/null 2>&1 || return 0
		i=$((i - 1))
		sleep 0.2
	done
	fail "never: $*"
}
as() { # USER COMMAND...: with the primary group of the same number, and no other
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}
active() { [ "$(systemctl show -P ActiveState "$1")" = active ]; }
inactive() { [ "$(systemctl show -P ActiveState "$1")" = inactive ]; }
main() { systemctl show -P MainPID "$1"; }
another() { [ "$(main "$1")" != "$2" ] && [ "$(main "$1")" != 0 ]; } # UNIT PID
unseen() { ! pgrep -x "$1"; }
# Lines of the kernel's log about a profile that AppArmor has written since the last call
# of forget.
denied() { dmesg | sed -n '/credrpc vm-check: from here/,$p' | grep 'apparmor="DENIED"' | grep "profile=\"$1\""; }
forget() { dmesg --clear && echo 'credrpc vm-check: from here' >/dev/kmsg; }
