# The life of the RPM packages: installed, used, installed again, erased. What they need
# is there, but not as a package of RPM.
fail() { echo "FAILED: $*"; exit 1; }

rpm -i --nodeps /packages/*.rpm
getent passwd credrpc || fail "no user"
[ "$(credrpc version | head -1)" = "credrpc v1.2.3" ] || fail "version"
systemctl enable credrpc-chown.socket
rpm -U --nodeps --replacepkgs /packages/*.rpm
[ "$(systemctl is-enabled credrpc-chown.socket)" = enabled ] || fail "an update disables the socket"
rpm -e credrpc credrpc-chown
userdel credrpc # rpm leaves users
userdel credrpc-chown
