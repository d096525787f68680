//go:build !cgo

package inherited

// RestoreSignals does nothing without cgo.
func RestoreSignals() {}

// CloseAgain does nothing without cgo.
func CloseAgain() {}
