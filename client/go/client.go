package hookgate

import (
	"context"
	"log/slog"
	"time"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// An event of 64 MiB, the largest that a gateway can be configured to take, comes with its raw body and, if its type is
	// unknown, with the same bytes as text; what is left is for framing.
	maxReceivedBytes = 256 << 20
	// How long a unary call may take whose context has no deadline.
	callTimeout = 20 * time.Second
)

// Client is a connection to one gateway, on which any number of calls and streams run. Safe for concurrent use.
type Client struct {
	target string
	conn   *grpc.ClientConn
	token  *tokenCredentials // nil: none
	logger *slog.Logger
	// Cancelled by Close.
	open  context.Context
	close context.CancelFunc

	events        hookgatev1.EventServiceClient
	subscriptions hookgatev1.SubscriptionServiceClient
	admin         hookgatev1.AdminServiceClient
}

// NewClient makes a client of the gateway whose gRPC port is at target, "HOST:PORT" or another name of gRPC's. It
// connects when the first call is made, and again whenever needed. By default it does so in plain text, which is for
// loopback, or for a path that something else encrypts: see WithTLS and WithTLSCA.
//
// It fails if target or the options cannot be right: a certificate that cannot be read, a token that would travel in the
// clear.
//
// Calls never go through an HTTP proxy, whatever HTTPS_PROXY says: that is meant for the web. A dialer of
// grpc.WithContextDialer, given by WithDialOptions, can use one.
func NewClient(target string, options ...ClientOption) (*Client, error) {
	if err := checkTarget(target); err != nil {
		return nil, err
	}
	settings := clientSettings{logger: slog.New(slog.DiscardHandler)}
	for _, option := range options {
		option(&settings)
	}
	dial, token, err := settings.credentials(target)
	if err != nil {
		return nil, err
	}
	client := &Client{target: target, token: token, logger: settings.logger}
	dial = append(dial,
		grpc.WithUserAgent("hookgate-go/"+Version),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		// Finds a vanished peer below the calls. Gentle enough for a server with gRPC's default rules, since heartbeats flow in
		// between.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// Streams have a back-off of their own. gRPC's would come on top of it, and grow to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceivedBytes)),
		grpc.WithChainUnaryInterceptor(client.explainCalls))
	client.conn, err = grpc.NewClient(target, append(dial, settings.dial...)...)
	if err != nil {
		return nil, err
	}
	client.open, client.close = context.WithCancel(context.Background())
	client.events = hookgatev1.NewEventServiceClient(client.conn)
	client.subscriptions = hookgatev1.NewSubscriptionServiceClient(client.conn)
	client.admin = hookgatev1.NewAdminServiceClient(client.conn)
	return client, nil
}

// Close ends the connection. Streams that are open end with ErrClientClosed, and what a consumer holds is lost to it as
// by a crash: cancel their contexts and wait for them before. It may be called again.
func (c *Client) Close() error {
	if c.closed() {
		return nil
	}
	c.close()
	return c.conn.Close()
}

func (c *Client) closed() bool { return c.open.Err() != nil }

// Target returns the gateway's address.
func (c *Client) Target() string { return c.target }

// Events returns the stub of all calls about events. As on the other stubs, unary calls fail with a *CallError, and take
// 20 s at most if their context has no deadline; Pull takes its wait longer.
func (c *Client) Events() hookgatev1.EventServiceClient { return c.events }

// Subscriptions returns the stub of all calls about durable subscriptions, their dead letters and jobs.
func (c *Client) Subscriptions() hookgatev1.SubscriptionServiceClient { return c.subscriptions }

// Admin returns the stub of the calls for operators.
func (c *Client) Admin() hookgatev1.AdminServiceClient { return c.admin }

// explainCalls bounds unary calls, does not send what the gateway would ignore, and makes their errors *CallErrors.
func (c *Client) explainCalls(ctx context.Context, method string, request, response any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		patience := callTimeout
		if pull, is := request.(*hookgatev1.PullRequest); is {
			patience += max(pull.GetWait().AsDuration(), 0)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	op := "cannot call " + method
	message, is := request.(proto.Message)
	if !is {
		return c.explain(invoke(ctx, method, request, response, conn, options...), op)
	}
	if err := c.checkCapabilities(ctx, message, op); err != nil {
		return err
	}
	return c.nameMissingCapability(c.explain(invoke(ctx, method, request, response, conn, options...), op), message, op)
}

// explain makes of gRPC's error the one for callers. op says what failed, such as "cannot subscribe".
func (c *Client) explain(err error, op string) error {
	return callError(err, op, c.target)
}

// endOfStream says how a stream ended: with a final error, or with an end after which another stream is opened. token is
// the one that it was opened with.
func (c *Client) endOfStream(err error, op, token string) (final error, end streamEnd) {
	if c.closed() {
		return ErrClientClosed, streamEnd{}
	}
	if err == nil {
		return nil, streamEnd{why: c.unavailable(op, "the gateway ended the stream")}
	}
	call := readCallError(err, op, c.target)
	call.staleToken = c.token.changedSince(token)
	why := callError(call, op, c.target)
	if !call.Retryable() {
		return why, streamEnd{}
	}
	return nil, streamEnd{why: why, retryDelay: call.RetryDelay}
}

// unavailable is the error of a stream that has ended without one of its own.
func (c *Client) unavailable(op, message string) error {
	return callError(status.Error(codes.Unavailable, message), op, c.target)
}
