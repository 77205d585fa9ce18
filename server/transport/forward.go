package transport

import (
	"context"
	"errors"
	"io"
	"reflect"

	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// forwardedHost is the metadata by which a client that cannot reach a store asks another one to pass a call on: the address
// of the store that it is for. TiKV's clients do so if they are told to (enable-forwarding).
const forwardedHost = "tikv-forwarded-host"

const (
	tikvService         = "/tikvpb.Tikv/"
	batchCommandsMethod = tikvService + "BatchCommands"
)

// Forwarder passes on what clients want forwarded to other stores of the cluster: unary calls of tikvpb.Tikv, and
// BatchCommands. The other store is asked without the metadata, so that no call goes further than that.
type Forwarder struct {
	self  string
	conn  func(ctx context.Context, addr string) (*grpc.ClientConn, error)
	reply map[string]reflect.Type // of unary methods
}

// NewForwarder makes a forwarder of the store with the address self. conn connects to the store with an address; its error
// goes to the client.
func NewForwarder(self string, conn func(ctx context.Context, addr string) (*grpc.ClientConn, error)) *Forwarder {
	return &Forwarder{self: self, conn: conn, reply: replyTypes()}
}

// replyTypes finds the messages that unary methods of tikvpb.Tikv answer with.
func replyTypes() map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	service := reflect.TypeFor[tikvpb.TikvServer]()
	for i := range service.NumMethod() {
		if m := service.Method(i); m.Type.NumIn() == 2 && m.Type.NumOut() == 2 {
			types[tikvService+m.Name] = m.Type.Out(0).Elem()
		}
	}
	return types
}

// ServerOptions have a store's gRPC server forward.
func (f *Forwarder) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.UnaryInterceptor(f.unary), grpc.StreamInterceptor(f.stream)}
}

// target is the address that a call is for, empty if that is this store.
func (f *Forwarder) target(ctx context.Context) string {
	if hosts := metadata.ValueFromIncomingContext(ctx, forwardedHost); len(hosts) > 0 && hosts[0] != f.self {
		return hosts[0]
	}
	return ""
}

func (f *Forwarder) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	addr, reply := f.target(ctx), f.reply[info.FullMethod]
	if addr == "" || reply == nil {
		return handle(ctx, req)
	}
	conn, err := f.conn(ctx, addr)
	if err != nil {
		return nil, err
	}
	resp := reflect.New(reply).Interface()
	return resp, conn.Invoke(ctx, info.FullMethod, req, resp)
}

func (f *Forwarder) stream(srv any, from grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	addr := f.target(from.Context())
	switch {
	case addr == "":
		return handle(srv, from)
	case info.FullMethod != batchCommandsMethod:
		return status.Errorf(codes.Unimplemented, "%s is not forwarded", info.FullMethod)
	}
	conn, err := f.conn(from.Context(), addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(from.Context())
	defer cancel()
	to, err := tikvpb.NewTikvClient(conn).BatchCommands(ctx)
	if err != nil {
		return err
	}
	go func() { // ends with the stream
		if passRequests(from, to) != nil {
			cancel()
		}
	}()
	return passResponses(to, from)
}

func passRequests(from grpc.ServerStream, to tikvpb.Tikv_BatchCommandsClient) error {
	for {
		req := new(tikvpb.BatchCommandsRequest)
		err := from.RecvMsg(req)
		switch {
		case errors.Is(err, io.EOF):
			return to.CloseSend()
		case err != nil:
			return err
		}
		if err := to.Send(req); err != nil {
			return nil // the other direction tells why
		}
	}
}

func passResponses(from tikvpb.Tikv_BatchCommandsClient, to grpc.ServerStream) error {
	for {
		resp, err := from.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := to.SendMsg(resp); err != nil {
			return err
		}
	}
}
