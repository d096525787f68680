# the normal work of credrpc@whoami has caused no DENIED
! denied credrpc || fail "its normal work is denied"
