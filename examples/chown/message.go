package chown

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"credrpc/client"
)

// MaxPath is the longest path in bytes: PATH_MAX of linux/limits.h, less the zero byte.
const MaxPath = 4095

// MaxRequest is the length in bytes of the longest encoded [Request].
const MaxRequest = 2 + MaxPath

// ErrMalformed reports bytes that are no message: too short, too long, or left over.
var ErrMalformed = errors.New("malformed message")

// A Request asks for one file. It says nothing about who asks.
//
// Encoded it is the length of the path (2 bytes, big endian), and the path.
type Request struct {
	// Path leads to the file from the caller's tree: elements that are joined by single
	// slashes, none of them "." or "..".
	Path string
}

// MarshalBinary encodes r. It refuses what the service would refuse to decode.
func (r *Request) MarshalBinary() ([]byte, error) {
	if err := checkPath(r.Path); err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(r.Path)))
	return append(b, r.Path...), nil
}

// UnmarshalBinary decodes r and checks that its path is one that could be a file's.
// Returns [ErrMalformed], or an error that says what is wrong with the path.
func (r *Request) UnmarshalBinary(b []byte) error {
	if len(b) < 2 || len(b)-2 != int(binary.BigEndian.Uint16(b)) {
		return ErrMalformed
	}
	path := string(b[2:])
	if err := checkPath(path); err != nil {
		return err
	}
	r.Path = path
	return nil
}

// checkPath refuses paths that do not lead downwards, and all but one form of each
// other. The kernel refuses those that lead out of the tree once more.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("path: is empty")
	case len(path) > MaxPath:
		return fmt.Errorf("path: has %d bytes, at most %d are possible", len(path), MaxPath)
	case strings.Contains(path, "\x00"):
		return errors.New("path: contains a zero byte")
	case path[0] == '/':
		return errors.New("path: is absolute; name the file from your tree, such as out/report.pdf")
	}
	for element := range strings.SplitSeq(path, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("path: has the element %q; name the file from your tree, such as out/report.pdf", element)
		}
	}
	return nil
}

// An Owner is a user and a group.
type Owner struct{ UID, GID uint32 }

// An Answer says what has changed.
//
// Encoded it is four numbers of 4 bytes, big endian: Before, then After.
type Answer struct {
	Before, After Owner
}

const answerSize = 4 * 4 // bytes

// AppendBinary appends the encoding of a to b. The error is always nil.
func (a *Answer) AppendBinary(b []byte) ([]byte, error) {
	for _, id := range []uint32{a.Before.UID, a.Before.GID, a.After.UID, a.After.GID} {
		b = binary.BigEndian.AppendUint32(b, id)
	}
	return b, nil
}

// UnmarshalBinary decodes a. Returns [ErrMalformed].
func (a *Answer) UnmarshalBinary(b []byte) error {
	if len(b) != answerSize {
		return ErrMalformed
	}
	id := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	*a = Answer{Owner{id(0), id(1)}, Owner{id(2), id(3)}}
	return nil
}

// Take asks the service that c calls for the file at path, which leads there from the
// tree of the calling user. Returns the errors of [client.Client.CallBinary].
func Take(ctx context.Context, c *client.Client, path string) (a Answer, err error) {
	err = c.CallBinary(ctx, &Request{path}, &a)
	return a, err
}
