package hookgate

import (
	"time"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Messages of the API that this package's signatures name. Their methods and fields are those of the package
// gen/hookgate/v1.
type (
	// Event is one verified, stored, typed webhook.
	Event = hookgatev1.Event
	// Filter says which events: lists of sources, types and subjects that narrow each other.
	Filter = hookgatev1.EventFilter
	// Delivery is one handing-over of an event to a consumer.
	Delivery = hookgatev1.Delivery
	// AckResult says what became of an acknowledgement.
	AckResult = hookgatev1.AckResult
	// Subscription is a durable subscription: its settings, and how far it is behind.
	Subscription = hookgatev1.Subscription
	// SubscriptionSettings is what can be changed about a durable subscription.
	SubscriptionSettings = hookgatev1.SubscriptionSettings
	// ListedDelivery says where an event is for a durable subscription.
	ListedDelivery = hookgatev1.ListedDelivery
)

// SubscribeOption is an option of Client.Subscribe.
type SubscribeOption interface{ applySubscribe(*subscribeSettings) }

// ConsumeOption is an option of Client.Consume.
type ConsumeOption interface{ applyConsume(*consumeSettings) }

// StreamOption is an option of both.
type StreamOption interface {
	SubscribeOption
	ConsumeOption
}

// streamSettings is what Subscribe and Consume have in common.
type streamSettings struct {
	heartbeat      time.Duration
	openTimeout    time.Duration
	backoff        Backoff
	includeRawBody bool
	observer       Observer
}

func defaultStreamSettings() streamSettings {
	return streamSettings{heartbeat: 15 * time.Second, openTimeout: 20 * time.Second}
}

// heartbeats may be late once and lost never: two and a half intervals tell a dead stream from a slow network.
func (s *streamSettings) patience(confirmed *durationpb.Duration) time.Duration {
	interval := s.heartbeat
	if confirmed.IsValid() && confirmed.AsDuration() > 0 {
		interval = confirmed.AsDuration()
	}
	return interval * 5 / 2
}

type subscribeSettings struct {
	streamSettings
	filter       *Filter
	start        Start
	store        CursorStore
	saveInterval time.Duration
	clientName   string
}

type consumeSettings struct {
	streamSettings
	name           string
	concurrency    int
	maxEvents      int64
	longestLease   time.Duration
	stopGrace      time.Duration
	giveBackGrace  time.Duration
	giveBack       <-chan struct{}
	giveBackOnStop bool
}

type (
	streamOption    func(*streamSettings)
	subscribeOption func(*subscribeSettings)
	consumeOption   func(*consumeSettings)
)

func (o streamOption) applySubscribe(s *subscribeSettings)    { o(&s.streamSettings) }
func (o streamOption) applyConsume(s *consumeSettings)        { o(&s.streamSettings) }
func (o subscribeOption) applySubscribe(s *subscribeSettings) { o(s) }
func (o consumeOption) applyConsume(s *consumeSettings)       { o(s) }

// HeartbeatInterval sets the longest silence of a living stream; the gateway takes 100 ms to 10 min. A stream that is
// silent for 2.5 times as long is dead: it is given up and opened again. Default 15 s.
func HeartbeatInterval(interval time.Duration) StreamOption {
	return streamOption(func(s *streamSettings) { s.heartbeat = interval })
}

// OpenTimeout sets how long connecting and opening a stream may take. Default 20 s.
func OpenTimeout(timeout time.Duration) StreamOption {
	return streamOption(func(s *streamSettings) { s.openTimeout = timeout })
}

// RetryBackoff sets how long is waited before a stream is opened again. Default 200 ms to 30 s.
func RetryBackoff(backoff Backoff) StreamOption {
	return streamOption(func(s *streamSettings) { s.backoff = backoff })
}

// IncludeRawBody has the gateway fill Event.raw_body: the body exactly as it was received and signed.
func IncludeRawBody() StreamOption {
	return streamOption(func(s *streamSettings) { s.includeRawBody = true })
}

// Observe has observer told what happens besides events.
func Observe(observer Observer) StreamOption {
	return streamOption(func(s *streamSettings) { s.observer = observer })
}

// Observer is told what happens to a stream. Its functions are called one at a time, between events, and should return
// soon; any may be nil. After a stop none is called but Settled.
type Observer struct {
	// Opened: a subscription's stream is open.
	Opened func(*hookgatev1.SubscribeResponse_Opened)
	// ConsumeOpened: a consumer's stream is open.
	ConsumeOpened func(*hookgatev1.ConsumeResponse_Opened)
	// CaughtUp: all that was stored has been handled. For a subscription.
	CaughtUp func(*hookgatev1.SubscribeResponse_CaughtUp)
	// Heartbeat: a subscription's stream is alive; how far it is behind.
	Heartbeat func(*hookgatev1.SubscribeResponse_Heartbeat)
	// ConsumeHeartbeat: a consumer's stream is alive; how far the durable subscription is behind, and why nothing may come.
	ConsumeHeartbeat func(*hookgatev1.ConsumeResponse_Heartbeat)
	// Draining: the gateway is about to end the stream, and says how long to wait before the next one.
	Draining func(delay time.Duration)
	// Disconnected: the stream broke, or could not be opened; the next try comes after delay.
	Disconnected func(why error, delay time.Duration)
	// Settled: the gateway has answered a consumer's verdict on a delivery. RESULT_OK is durable.
	Settled func(*AckResult)
}

// tell calls one of an Observer's functions.
func tell[T any](listener func(T), what T) {
	if listener != nil {
		listener(what)
	}
}

func (o *Observer) disconnected(why error, delay time.Duration) {
	if o.Disconnected != nil {
		o.Disconnected(why, delay)
	}
}

// draining reads when to come back, and tells.
func (o *Observer) draining(delay *durationpb.Duration, end *streamEnd) {
	if delay.IsValid() {
		end.draining, end.reconnectDelay = true, delay.AsDuration()
	}
	tell(o.Draining, end.reconnectDelay)
}

// Start is a place in a gateway's log. It is an option of Client.Subscribe, for when there is no position yet, and where
// Client.CreateSubscription and Client.SeekSubscription put a durable subscription.
type Start struct {
	position hookgatev1.StartPosition
	cursor   string
	time     time.Time
}

// FromLatest starts with the next event that is stored. The default of Client.Subscribe.
func FromLatest() Start { return Start{position: hookgatev1.StartPosition_START_POSITION_LATEST} }

// FromEarliest starts with the oldest event that is still held.
func FromEarliest() Start { return Start{position: hookgatev1.StartPosition_START_POSITION_EARLIEST} }

// FromCursor starts exactly after an event that was handled before: Event.cursor.
func FromCursor(cursor string) Start { return Start{cursor: cursor} }

// FromTime starts with the earliest event that was received at or after t.
func FromTime(t time.Time) Start { return Start{time: t} }

func (s Start) applySubscribe(settings *subscribeSettings) { settings.start = s }

func (s Start) inRequest(request *hookgatev1.SubscribeRequest) {
	switch {
	case s.cursor != "":
		request.Start = &hookgatev1.SubscribeRequest_AfterCursor{AfterCursor: s.cursor}
	case !s.time.IsZero():
		request.Start = &hookgatev1.SubscribeRequest_StartTime{StartTime: timestamppb.New(s.time)}
	default:
		request.Start = &hookgatev1.SubscribeRequest_StartPosition{StartPosition: s.position}
	}
}

func (s Start) proto() *hookgatev1.SubscriptionStart {
	switch {
	case s.cursor != "":
		return &hookgatev1.SubscriptionStart{Start: &hookgatev1.SubscriptionStart_AfterCursor{AfterCursor: s.cursor}}
	case !s.time.IsZero():
		return &hookgatev1.SubscriptionStart{Start: &hookgatev1.SubscriptionStart_StartTime{StartTime: timestamppb.New(s.time)}}
	}
	return &hookgatev1.SubscriptionStart{Start: &hookgatev1.SubscriptionStart_StartPosition{StartPosition: s.position}}
}

// Types admits events of these types alone: exact ("batch.failed"), or everything below a name ("batch.*").
func Types(types ...string) SubscribeOption {
	return subscribeOption(func(s *subscribeSettings) { s.filter.Types = append(s.filter.Types, types...) })
}

// Sources admits events of these sources alone.
func Sources(sources ...string) SubscribeOption {
	return subscribeOption(func(s *subscribeSettings) { s.filter.Sources = append(s.filter.Sources, sources...) })
}

// Subjects admits events with these subjects alone.
func Subjects(subjects ...string) SubscribeOption {
	return subscribeOption(func(s *subscribeSettings) { s.filter.Subjects = append(s.filter.Subjects, subjects...) })
}

// Cursors keeps the position in store: the subscription begins where it was left, wherever else it would start.
func Cursors(store CursorStore) SubscribeOption {
	return subscribeOption(func(s *subscribeSettings) { s.store = store })
}

// CursorFile keeps the position in the file at path: Cursors(&FileCursorStore{Path: path}).
func CursorFile(path string) SubscribeOption { return Cursors(&FileCursorStore{Path: path}) }

// SaveInterval sets how often the position is saved within a long frame of events; it is also saved after each frame.
// What was handled since then comes again if the process dies. 0: after each event. Default 1 s.
func SaveInterval(interval time.Duration) SubscribeOption {
	return subscribeOption(func(s *subscribeSettings) { s.saveInterval = interval })
}

// ClientName says who asks, for the gateway's logs. At most 200 bytes.
func ClientName(name string) SubscribeOption {
	return subscribeOption(func(s *subscribeSettings) { s.clientName = name })
}

// ConsumerName sets who consumes, as the gateway shows it. Consumers of one name share one limit, that of the last one
// that opened a stream; so each process should have its own. Default: UniqueConsumerName().
func ConsumerName(name string) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.name = name })
}

// Concurrency sets how many deliveries are handled at a time, each in a goroutine; no more than these are taken.
// Default 1.
func Concurrency(n int) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.concurrency = max(n, 1) })
}

// MaxEvents has Consume stop after so many deliveries have been begun.
func MaxEvents(n int64) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.maxEvents = n })
}

// LongestLease sets how long one delivery's lease is extended, from its arrival: a handler that hangs for longer loses
// it, which counts as an attempt. Default 1 h.
func LongestLease(d time.Duration) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.longestLease = d })
}

// StopGrace sets how long a stop waits for handlers and for the gateway's answers before it gives back what is left.
// Default 30 s.
func StopGrace(d time.Duration) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.stopGrace = d })
}

// GiveBackGrace sets how long giving back waits for handlers whose event is lost to them, before it gives the event back
// all the same. Default 10 s.
func GiveBackGrace(d time.Duration) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.giveBackGrace = d })
}

// GiveBackOnStop has a stop not wait for handlers: they lose their events when the context of Consume is cancelled, and
// the events are given back as soon as they have returned, or GiveBackGrace has passed. That counts as no attempt.
func GiveBackOnStop() ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.giveBackOnStop = true })
}

// GiveBackWhen stops the consumer as GiveBackOnStop does when done is closed, before or after the context of Consume is
// cancelled: for a second signal of a person who does not want to wait.
func GiveBackWhen(done <-chan struct{}) ConsumeOption {
	return consumeOption(func(s *consumeSettings) { s.giveBack = done })
}
