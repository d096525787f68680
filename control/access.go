package control

import (
	"os"

	"credrpc/accessdb"
	"credrpc/server"
)

// Operators returns an access check that allows root and the effective user that this
// process has now, who can do as they like with it anyway.
func Operators() server.AccessChecker { return operators{uint32(os.Geteuid())} }

type operators struct{ self uint32 }

// Check decides about who connected, as the kernel has it.
func (o operators) Check(uid, _ uint32) (accessdb.Result, error) {
	switch uid {
	case 0:
		return accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyUID}}, nil
	case o.self:
		return accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyUIDSelf}}, nil
	}
	return accessdb.Result{}, nil
}
