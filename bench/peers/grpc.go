package peers

import (
	"context"
	"net"

	"credrpc/bench/callers"

	"credrpc/bench/load"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// grpcMessage is the size in bytes of the largest message: the default, 4 MiB,
// would be less than the other systems take.
const grpcMessage = load.MaxPayload + 64

// serveGRPC echoes until ctx ends.
func serveGRPC(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(grpc.Creds(peerCredentials{}), grpc.MaxRecvMsgSize(grpcMessage))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: method, Handler: echoGRPC}},
	}, nil)
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(listener)
}

// echoGRPC is the handler of the method. There are no interceptors.
func echoGRPC(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	payload := new(wrapperspb.BytesValue)
	return payload, decode(payload)
}

// peerCredentials are transport credentials that check who made a connection, once.
type peerCredentials struct{}

// peerInfo says that a connection has been checked. The socket of one machine is
// as good as an encrypted one.
type peerInfo struct{ credentials.CommonAuthInfo }

// AuthType names the check.
func (peerInfo) AuthType() string { return "peercred" }

func (peerCredentials) checked(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c, peerInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

// ClientHandshake checks nothing: the socket is in a directory of one's own.
func (p peerCredentials) ClientHandshake(_ context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return p.checked(c)
}

// ServerHandshake checks who connected.
func (p peerCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if err := checkConn(c); err != nil {
		return nil, nil, err
	}
	return p.checked(c)
}

// Info names the check.
func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

// Clone returns p, which has no state.
func (p peerCredentials) Clone() credentials.TransportCredentials { return p }

// OverrideServerName does nothing; the interface still has it.
func (peerCredentials) OverrideServerName(string) error { return nil }

type grpcConn struct{ *grpc.ClientConn }

func dialGRPC(path string) (callers.Conn, error) {
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	c, err := grpc.NewClient("passthrough:///localhost",
		grpc.WithContextDialer(dialer),
		grpc.WithTransportCredentials(peerCredentials{}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(grpcMessage)))
	if err != nil {
		return nil, err
	}
	return grpcConn{c}, nil
}

func (c grpcConn) Echo(ctx context.Context, payload []byte) ([]byte, error) {
	var answer wrapperspb.BytesValue
	err := c.Invoke(ctx, "/"+service+"/"+method, wrapperspb.Bytes(payload), &answer)
	return answer.GetValue(), err
}
