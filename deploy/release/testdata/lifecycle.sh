# Runs a script in a copy of this system's files that is thrown away, and prints what is
# left of it: lifecycle.sh SCRIPT DIRECTORY PACKAGE... Needs a mount namespace of its own.
set -eu
script=$1 space=$2
shift 2
mount -t tmpfs tmpfs "$space"
mkdir "$space/upper" "$space/work" "$space/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$space/root"
mount -t proc proc "$space/root/proc"
mount --rbind /dev "$space/root/dev"
mkdir "$space/root/packages"
cp "$@" "$script" "$space/root/packages/"
chroot "$space/root" sh -eu "/packages/${script##*/}" >&2
rm -r "$space/root/packages"
cd "$space/upper"
find . -printf '%P\n' | while read -r path; do
	if [ -c "$path" ]; then # how overlayfs notes what was deleted
		echo "deleted /$path"
	elif [ ! -e "/$path" ]; then
		echo "new /$path"
	elif [ -f "$path" ] && ! cmp -s "$path" "/$path"; then
		echo "changed /$path"
	fi
done
