// Package hookgatetest has a gateway in memory, for tests of programs that subscribe or consume.
//
//	gateway := hookgatetest.NewGateway(t)
//	gateway.Publish(hookgatetest.NewEvent(&openaiv1.BatchFailedWebhookEvent{
//		Data: &openaiv1.BatchFailedWebhookEvent_Data{Id: "batch_1"},
//	}))
//	client, err := hookgate.NewClient(gateway.Target())
//
// It is a real gRPC server on a loopback port, and behaves as a gateway does as far as one is used to receive events:
// cursors, filters, heartbeats, durable subscriptions with attempts, back-off and dead letters, Pull, queries. What goes
// wrong in production can be had on purpose: Disconnect, Drain, RemoveUpTo, Refuse, EndLeases. It has no senders, no
// principals and no disk; leases end when they are told to, not by time; calls for operators, jobs, and what is not said
// here are UNIMPLEMENTED.
package hookgatetest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	schemav1 "github.com/hookgate/hookgate/client/go/gen/hookgate/schema/v1"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Gateway is a gateway in memory. Safe for concurrent use.
type Gateway struct {
	server *grpc.Server
	target string

	mu sync.Mutex
	// Closed, and made again, whenever something changes that a stream may wait for.
	changed chan struct{}
	closed  bool
	epoch   string
	events  []*hookgatev1.Event // All that were published; sequence i+1 at index i.
	removed int64               // Retention has removed events up to this sequence.
	// Streams that were opened before this are to end with what interrupt says.
	generation int
	interrupt  interruption
	refusal    error
	opened     int
	durable    map[string]*subscription
}

// interruption is how all streams end.
type interruption struct {
	draining bool
	delay    time.Duration
	err      error
}

// NewGateway starts a gateway, which ends with the test.
func NewGateway(t testing.TB) *Gateway {
	t.Helper()
	gateway, err := Start()
	if err != nil {
		t.Fatalf("hookgatetest: %v", err)
	}
	t.Cleanup(gateway.Close)
	return gateway
}

// Start starts a gateway that ends with Close, for programs that are no tests.
func Start() (*Gateway, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	gateway := &Gateway{
		server:  grpc.NewServer(),
		target:  listener.Addr().String(),
		changed: make(chan struct{}),
		epoch:   "test",
		durable: map[string]*subscription{},
	}
	hookgatev1.RegisterEventServiceServer(gateway.server, &eventService{gateway: gateway})
	hookgatev1.RegisterSubscriptionServiceServer(gateway.server, &subscriptionService{gateway: gateway})
	hookgatev1.RegisterAdminServiceServer(gateway.server, &adminService{})
	go gateway.server.Serve(listener)
	return gateway, nil
}

// Close ends the gateway and all calls.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	g.notify()
	g.mu.Unlock()
	g.server.Stop()
}

// Target returns HOST:PORT of the gateway.
func (g *Gateway) Target() string { return g.target }

// NewEvent returns an event of the source "openai" with payload, a message of the package gen/hookgate/openai/v1 or any
// other that Event.payload may hold. Its type and subject are what the .proto of the message says, and fields of the
// message that have a fixed text and are empty are filled.
func NewEvent(payload proto.Message) *hookgatev1.Event {
	event := &hookgatev1.Event{Source: "openai"}
	message := event.ProtoReflect()
	arms := message.Descriptor().Oneofs().ByName("payload").Fields()
	for i := range arms.Len() {
		if arms.Get(i).Message().FullName() == payload.ProtoReflect().Descriptor().FullName() {
			payload = proto.Clone(payload)
			fill(event, payload.ProtoReflect())
			message.Set(arms.Get(i), protoreflect.ValueOfMessage(payload.ProtoReflect()))
			return event
		}
	}
	panic(fmt.Sprintf("hookgatetest: no event has a payload of %s", payload.ProtoReflect().Descriptor().FullName()))
}

func fill(event *hookgatev1.Event, message protoreflect.Message) {
	if unrecognized, is := message.Interface().(*hookgatev1.UnrecognizedEvent); is {
		event.Type, event.Subject = unrecognized.GetType(), unrecognized.GetSubject()
		return
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Kind() == protoreflect.MessageKind && !field.IsList() && !field.IsMap() && message.Has(field) {
			fill(event, message.Get(field).Message())
		}
		if field.Kind() != protoreflect.StringKind || field.IsList() {
			continue
		}
		rules, _ := proto.GetExtension(field.Options(), schemav1.E_Field).(*schemav1.FieldRules)
		if rules.GetLiteral() != "" && rules.GetRequired() && message.Get(field).String() == "" {
			message.Set(field, protoreflect.ValueOfString(rules.GetLiteral()))
		}
		if field.Name() == "type" && rules.GetLiteral() != "" {
			event.Type = message.Get(field).String()
		}
		if rules.GetSubject() {
			event.Subject = message.Get(field).String()
		}
	}
}

// Publish stores copies of events, as if their webhooks had come, and returns the sequence of the last one. What is
// absent is made up: webhook_id, source and times.
func (g *Gateway) Publish(events ...*hookgatev1.Event) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, event := range events {
		event = proto.CloneOf(event)
		event.Sequence = int64(len(g.events)) + 1
		event.Cursor = g.cursor(event.Sequence)
		event.Durability = hookgatev1.Durability_DURABILITY_LOCAL_DISK
		if event.Source == "" {
			event.Source = "openai"
		}
		if event.WebhookId == "" {
			event.WebhookId = fmt.Sprintf("wh_%d", event.Sequence)
		}
		if event.ReceiveTime == nil {
			event.ReceiveTime = timestamppb.Now()
		}
		if event.WebhookTime == nil {
			event.WebhookTime = event.ReceiveTime
		}
		g.events = append(g.events, event)
	}
	g.notify()
	return int64(len(g.events))
}

// Disconnect breaks all streams, as a crash of the gateway does.
func (g *Gateway) Disconnect() {
	g.end(interruption{err: status.Error(codes.Unavailable, "the connection was lost")})
}

// Drain ends all streams as a gateway does that goes down, and says to come back after delay.
func (g *Gateway) Drain(delay time.Duration) {
	g.end(interruption{draining: true, delay: delay, err: Error(codes.Unavailable, "DRAINING", "the gateway goes down", nil)})
}

// Refuse has every call end with err, and breaks all streams with it; nil: no more. See Error.
func (g *Gateway) Refuse(err error) {
	g.mu.Lock()
	g.refusal = err
	g.mu.Unlock()
	if err != nil {
		g.end(interruption{err: err})
	}
}

// RemoveUpTo has retention remove all events up to sequence: older cursors are overtaken.
func (g *Gateway) RemoveUpTo(sequence int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removed = min(max(g.removed, sequence), int64(len(g.events)))
}

// ReplaceLog forgets all events, as if the data folder was replaced: cursors of before are those of another log.
func (g *Gateway) ReplaceLog() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events, g.removed, g.epoch = nil, 0, g.epoch+"'"
	clear(g.durable)
	g.notify()
}

// StreamsOpened returns how many streams clients have opened so far.
func (g *Gateway) StreamsOpened() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// Error returns an error as gateways give it, for Refuse.
func Error(code codes.Code, reason, message string, metadata map[string]string) error {
	detailed, err := status.New(code, message).WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: "hookgate", Metadata: metadata})
	if err != nil {
		panic("hookgatetest: " + err.Error())
	}
	return detailed.Err()
}

func (g *Gateway) end(how interruption) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.generation++
	g.interrupt = how
	g.notify()
}

// notify needs mu, as all below.
func (g *Gateway) notify() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *Gateway) cursor(sequence int64) string {
	return g.epoch + "." + strconv.FormatInt(sequence, 10)
}

func (g *Gateway) head() int64 { return int64(len(g.events)) }

func (g *Gateway) admit() error {
	if g.closed {
		return status.Error(codes.Unavailable, "the gateway was closed")
	}
	return g.refusal
}

// position returns the sequence after which a stream or subscription starts.
func (g *Gateway) position(cursor string, from *timestamppb.Timestamp, end hookgatev1.StartPosition) (int64, error) {
	earliest := map[string]string{"earliest_cursor": g.cursor(g.removed)}
	switch {
	case cursor != "":
		epoch, number, found := strings.Cut(cursor, ".")
		sequence, err := strconv.ParseInt(number, 10, 64)
		if !found || err != nil {
			return 0, Error(codes.InvalidArgument, "INVALID_REQUEST", "not a cursor", nil)
		}
		if epoch != g.epoch || sequence > g.head() {
			return 0, Error(codes.FailedPrecondition, "CURSOR_OF_ANOTHER_LOG", "the cursor is of another log", earliest)
		}
		if sequence < g.removed {
			return 0, Error(codes.OutOfRange, "CURSOR_OVERTAKEN", "retention has removed events after the cursor", earliest)
		}
		return sequence, nil
	case from != nil:
		for _, event := range g.events[g.removed:] {
			if !event.GetReceiveTime().AsTime().Before(from.AsTime()) {
				return event.GetSequence() - 1, nil
			}
		}
		return g.head(), nil
	case end == hookgatev1.StartPosition_START_POSITION_EARLIEST:
		return g.removed, nil
	case end == hookgatev1.StartPosition_START_POSITION_LATEST:
		return g.head(), nil
	}
	return 0, Error(codes.InvalidArgument, "INVALID_REQUEST", "there is no start", nil)
}

func admits(filter *hookgatev1.EventFilter, event *hookgatev1.Event) bool {
	matches := func(list []string, text string) bool { return len(list) == 0 || slices.Contains(list, text) }
	return matches(filter.GetSources(), event.GetSource()) && matches(filter.GetSubjects(), event.GetSubject()) &&
		(len(filter.GetTypes()) == 0 || slices.ContainsFunc(filter.GetTypes(), func(pattern string) bool {
			below, is := strings.CutSuffix(pattern, "*")
			return pattern == event.GetType() || is && strings.HasPrefix(event.GetType(), below)
		}))
}

func withBody(event *hookgatev1.Event, include bool) *hookgatev1.Event {
	if include || event.GetRawBody() == nil {
		return event
	}
	event = proto.CloneOf(event)
	event.RawBody = nil
	return event
}

func heartbeat(asked *durationpb.Duration) (time.Duration, error) {
	if asked == nil {
		return 15 * time.Second, nil
	}
	if interval := asked.AsDuration(); interval >= 100*time.Millisecond && interval <= 10*time.Minute {
		return interval, nil
	}
	return 0, Error(codes.InvalidArgument, "INVALID_REQUEST", "heartbeat_interval is from 100 ms to 10 min", nil)
}

type eventService struct {
	hookgatev1.UnimplementedEventServiceServer
	gateway *Gateway
}

// Subscribe streams events.
func (s *eventService) Subscribe(request *hookgatev1.SubscribeRequest, stream grpc.ServerStreamingServer[hookgatev1.SubscribeResponse]) error {
	g := s.gateway
	interval, err := heartbeat(request.GetHeartbeatInterval())
	if err != nil {
		return err
	}
	g.mu.Lock()
	if err := g.admit(); err != nil {
		g.mu.Unlock()
		return err
	}
	position, err := g.position(request.GetAfterCursor(), request.GetStartTime(), request.GetStartPosition())
	if err != nil {
		g.mu.Unlock()
		return err
	}
	g.opened++
	generation := g.generation
	opened := &hookgatev1.SubscribeResponse_Opened{
		Epoch: g.epoch, Cursor: g.cursor(position), EarliestSequence: g.removed + 1, HeadSequence: g.head(),
		HeartbeatInterval: durationpb.New(interval),
	}
	g.mu.Unlock()
	if err := stream.Send(&hookgatev1.SubscribeResponse{Frame: &hookgatev1.SubscribeResponse_Opened_{Opened: opened}}); err != nil {
		return err
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for caughtUp := false; ; {
		g.mu.Lock()
		changed, closed, interrupted, interrupt := g.changed, g.closed, g.generation != generation, g.interrupt
		batch := &hookgatev1.SubscribeResponse_EventBatch{}
		for ; !interrupted && position < g.head() && len(batch.Events) < 100; position++ {
			if event := g.events[position]; admits(request.GetFilter(), event) {
				batch.Events = append(batch.Events, withBody(event, request.GetIncludeRawBody()))
			}
		}
		head, cursor := g.head(), g.cursor(position)
		g.mu.Unlock()
		var frame hookgatev1.SubscribeResponse
		switch {
		case closed:
			return status.Error(codes.Unavailable, "the gateway was closed")
		case interrupted && interrupt.draining:
			frame.Frame = &hookgatev1.SubscribeResponse_Draining_{Draining: &hookgatev1.SubscribeResponse_Draining{
				Cursor: cursor, ReconnectDelay: durationpb.New(interrupt.delay)}}
			if err := stream.Send(&frame); err != nil {
				return err
			}
			return interrupt.err
		case interrupted:
			return interrupt.err
		case len(batch.Events) > 0:
			frame.Frame = &hookgatev1.SubscribeResponse_EventBatch_{EventBatch: batch}
		case position == head && !caughtUp:
			caughtUp = true
			frame.Frame = &hookgatev1.SubscribeResponse_CaughtUp_{CaughtUp: &hookgatev1.SubscribeResponse_CaughtUp{
				Cursor: cursor, HeadSequence: head}}
		case position < head:
			continue
		default:
			select {
			case <-stream.Context().Done():
				return stream.Context().Err()
			case <-changed:
				continue
			case <-timer.C:
			}
			frame.Frame = &hookgatev1.SubscribeResponse_Heartbeat_{Heartbeat: &hookgatev1.SubscribeResponse_Heartbeat{
				Cursor: cursor, HeadSequence: head, Lag: head - position, ServerTime: timestamppb.Now()}}
		}
		if err := stream.Send(&frame); err != nil {
			return err
		}
		timer.Reset(interval)
	}
}

// ListEvents returns all events that match on one page.
func (s *eventService) ListEvents(_ context.Context, request *hookgatev1.ListEventsRequest) (*hookgatev1.ListEventsResponse, error) {
	g := s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.admit(); err != nil {
		return nil, err
	}
	response := &hookgatev1.ListEventsResponse{}
	for _, event := range g.events[g.removed:] {
		received := event.GetReceiveTime().AsTime()
		if admits(request.GetFilter(), event) &&
			(request.StartTime == nil || !received.Before(request.StartTime.AsTime())) &&
			(request.EndTime == nil || received.Before(request.EndTime.AsTime())) {
			response.Events = append(response.Events, withBody(event, request.GetIncludeRawBody()))
		}
	}
	if request.GetOrder() != hookgatev1.Order_ORDER_OLDEST_FIRST {
		slices.Reverse(response.Events)
	}
	return response, nil
}

// GetEvent returns one event.
func (s *eventService) GetEvent(_ context.Context, request *hookgatev1.GetEventRequest) (*hookgatev1.GetEventResponse, error) {
	g := s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.admit(); err != nil {
		return nil, err
	}
	for _, event := range g.events[g.removed:] {
		if event.GetSequence() == request.GetSequence() || request.GetWebhook() != nil &&
			event.GetSource() == request.GetWebhook().GetSource() && event.GetWebhookId() == request.GetWebhook().GetWebhookId() {
			return &hookgatev1.GetEventResponse{Event: withBody(event, request.GetIncludeRawBody())}, nil
		}
	}
	return nil, Error(codes.NotFound, "EVENT_NOT_FOUND", "there is no such event", nil)
}

type adminService struct {
	hookgatev1.UnimplementedAdminServiceServer
}

// GetStatus says what the client looks at before a call with one of these fields.
func (*adminService) GetStatus(context.Context, *hookgatev1.GetStatusRequest) (*hookgatev1.GetStatusResponse, error) {
	return &hookgatev1.GetStatusResponse{Capabilities: []string{"etag", "preview", "update_mask"}}, nil
}
