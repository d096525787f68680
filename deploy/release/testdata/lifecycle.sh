# Runs a script in a copy of this system's files that is thrown away, and prints what is
# left of it: lifecycle.sh SCRIPT DIRECTORY PACKAGE... Needs a mount namespace of its own.
set -eu
script=$1 space=$2
shift 2
mount -t tmpfs tmpfs "$space"
layer() { # NAME LOWER ROOT: a copy of LOWER at ROOT, what changes in it at NAME
	mkdir "$space/$1" "$space/$1.work" "$3"
	mount -t overlay overlay -o "lowerdir=$2,upperdir=$space/$1,workdir=$space/$1.work" "$3"
	mount -t proc proc "$3/proc"
	mount --rbind /dev "$3/dev"
}
lower=/ before=/
if dpkg -s credrpc >/dev/null 2>&1; then # begin without
	layer without / "$space/before"
	chroot "$space/before" dpkg --purge credrpc credrpc-chown >&2
	lower=$space/without:/ before=$space/before
fi
layer upper "$lower" "$space/root"
mount -t tmpfs tmpfs "$space/root/run" # which no system keeps
mkdir "$space/root/packages"
cp "$@" "$script" "$space/root/packages/"
chroot "$space/root" sh -eu "/packages/${script##*/}" >&2
rm -r "$space/root/packages"
cd "$space/upper"
find . -printf '%P\n' | while read -r path; do
	if [ -c "$path" ]; then # how overlayfs notes what was deleted
		echo "deleted /$path"
	elif [ ! -e "$before/$path" ]; then
		echo "new /$path"
	elif [ -f "$path" ] && ! cmp -s "$path" "$before/$path"; then
		echo "changed /$path"
	fi
done
