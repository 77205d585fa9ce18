package transport

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// The channel of the store protocol: clients ping every 10 s and wait 3 s; messages have no limit of their own.
const (
	pingEvery    = 10 * time.Second
	pingTimeout  = 3 * time.Second
	messageMax   = math.MaxInt32
	windowBytes  = 2 << 20
	bufferBytes  = 128 << 10
	redialAtMost = time.Second
	// streamWorkers run calls one after another, so that the stack that a call needs is grown once. Calls that find them all
	// busy get a goroutine of their own.
	streamWorkers = 128
)

// ServerOptions are those of a store's gRPC server.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec()),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxRecvMsgSize(messageMax),
		grpc.MaxSendMsgSize(messageMax),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(windowBytes),
		grpc.ReadBufferSize(bufferBytes),
		grpc.WriteBufferSize(bufferBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
	}
}

// DialOptions are those of a connection to a store.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(Codec()), grpc.MaxCallRecvMsgSize(messageMax), grpc.MaxCallSendMsgSize(messageMax),
		),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithReadBufferSize(bufferBytes),
		grpc.WithWriteBufferSize(bufferBytes),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: redialAtMost},
			MinConnectTimeout: pingTimeout,
		}),
	}
}

// Dial returns a connection to the store at addr, host:port. It connects with the first call on it.
func Dial(addr string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, DialOptions()...)
	if err != nil {
		return nil, fmt.Errorf("dial store %s: %w", addr, err)
	}
	return conn, nil
}
