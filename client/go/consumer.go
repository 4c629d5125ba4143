package hookgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// A lease is extended when a third of it has passed: two more tries fit.
	extensionsPerLease = 3
	mostBytes          = 64 << 20
	// How long a gateway may take to answer the end of a stream, before the stream is cut off: long enough for
	// acknowledgements that wait for a slow disk.
	endPatience = 10 * time.Second
	// Acknowledgements of handlers that end at about the same time go in one frame: the gateway makes each frame durable,
	// and would be kept busy by single ones. None waits for longer, or when no handler runs.
	mostAcksInFrame = 256
	acksTogether    = time.Millisecond
)

// consumer is one call of Consume. All of it belongs to the goroutine in run; handlers and the stream's reader and writer
// talk to that by channels.
type consumer struct {
	client       *Client
	subscription string
	handle       Handler
	settings     *consumeSettings
	retries      retries
	results      chan handled

	stopped bool
	final   error // Why it is over, other than by a stop.
	// When a stop begins to give back, when it ends the stream, and when it cuts it off; zero: never.
	stopAt, endAt, cutAt time.Time

	stream      *consumeStream // nil: none
	reconnectAt time.Time      // When the next one is opened.
	ackDeadline time.Duration

	begun int64
	// Not begun, all of the stream that is open: the limits that were asked for bound it.
	waiting []*Delivery
	// What handlers run for, by sequence.
	running map[int64]*running
	// By delivery id: what waits or runs, of the stream that is open.
	leases map[string]*lease
	// Not later than the first time at which a lease is to be looked at; zero: never.
	nextLease time.Time
	// Verdicts and extensions to write. Bounded by what was delivered.
	outbox []*hookgatev1.ConsumeRequest
	// When the last of them is written, if it is one of acknowledgements and could take more.
	writeAt time.Time
	// By delivery id: verdicts that the gateway has not answered, and when each of the extensions before them was asked
	// for.
	unanswered map[string]verdict
	extensions map[string][]time.Time
}

// running is an event that a handler works on.
type running struct {
	deliveryID string // The newest of the event.
	lost       bool
	lose       context.CancelCauseFunc
	again      *Delivery // The newer delivery, if the event came again on the open stream.
}

// lease is that of a delivery that has not been settled.
type lease struct {
	extendAt time.Time
	until    time.Time // Not extended from here on.
	ends     time.Time // As far as this side knows: the gateway has confirmed no more.
}

// handled says what a handler returned.
type handled struct {
	sequence int64
	err      error
}

func newConsumer(client *Client, subscription string, handle Handler, settings *consumeSettings) *consumer {
	return &consumer{
		client:       client,
		subscription: subscription,
		handle:       handle,
		settings:     settings,
		retries:      retries{backoff: settings.backoff},
		results:      make(chan handled, min(settings.concurrency, 1024)),
		ackDeadline:  30 * time.Second,
		running:      map[int64]*running{},
		leases:       map[string]*lease{},
		unanswered:   map[string]verdict{},
		extensions:   map[string][]time.Time{},
	}
}

func (c *consumer) run(ctx context.Context) error {
	stop, giveBack, closed := ctx.Done(), c.settings.giveBack, c.client.open.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var ringsAt time.Time // Zero: it is not set.
	c.reconnectAt = time.Now()
	for c.stream != nil || len(c.running) > 0 || !c.over() {
		now := time.Now()
		c.startHandlers(ctx)
		c.endStreamIfDone(now)
		var frames <-chan streamEvent
		var out chan<- *hookgatev1.ConsumeRequest
		var next *hookgatev1.ConsumeRequest
		wake := c.nextWake(now)
		if c.stream != nil {
			frames = c.stream.events
			if c.shouldWrite(now) {
				out, next = c.stream.out, c.outbox[0]
			} else if c.canWrite() && len(c.outbox) > 0 {
				wake = earlier(wake, c.writeAt)
			}
		}
		// A timer that rings too early finds nothing to do, and is set again: cheaper than to set it after each event.
		if !wake.IsZero() && (ringsAt.IsZero() || wake.Before(ringsAt)) {
			ringsAt = wake
			timer.Reset(time.Until(wake))
		}
		select {
		case <-stop:
			stop = nil
			c.stopTaking(time.Now())
			if c.settings.giveBackOnStop {
				c.giveBackNow(time.Now())
			}
		case <-giveBack:
			giveBack = nil
			c.stopTaking(time.Now())
			c.giveBackNow(time.Now())
		case <-closed:
			closed = nil
			c.final = ErrClientClosed
		case event := <-frames:
			c.onStream(ctx, event)
		case out <- next:
			c.outbox = c.outbox[1:]
		case done := <-c.results:
			c.settle(done)
			for range len(c.results) {
				c.settle(<-c.results)
			}
		case <-timer.C:
			ringsAt = time.Time{}
			c.onTime(ctx, time.Now())
		}
	}
	return c.final
}

// over says that no further stream is opened.
func (c *consumer) over() bool { return c.stopped || c.final != nil }

func (c *consumer) canWrite() bool { return c.stream != nil && c.stream.opened && !c.stream.ended }

// shouldWrite says that the first frame of the outbox is to be written, rather than to wait for more acknowledgements.
func (c *consumer) shouldWrite(now time.Time) bool {
	if !c.canWrite() || len(c.outbox) == 0 {
		return false
	}
	acks := c.outbox[0].GetAck()
	return len(c.outbox) > 1 || acks == nil || len(acks.GetDeliveryIds()) >= mostAcksInFrame || len(c.running) == 0 ||
		c.stopped || !now.Before(c.writeAt)
}

// nextWake returns zero if there is nothing to wake up for.
func (c *consumer) nextWake(now time.Time) time.Time {
	wake := earlier(c.stopAt, c.nextLease)
	if c.stream == nil {
		if !c.over() {
			wake = earlier(wake, c.reconnectAt)
		}
		return wake
	}
	wake = earlier(earlier(wake, c.stream.silentAt), c.cutAt)
	// Once it is reached, it is for the writer, which may have to wait until the gateway takes something.
	if !c.stream.ended && !reached(c.endAt, now) {
		wake = earlier(wake, c.endAt)
	}
	return wake
}

// earlier takes a zero time for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func reached(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (c *consumer) onTime(ctx context.Context, now time.Time) {
	if reached(c.nextLease, now) {
		c.lookAtLeases(now)
	}
	if reached(c.stopAt, now) {
		c.giveBackNow(now)
	}
	if c.stream == nil {
		if !c.over() && reached(c.reconnectAt, now) {
			c.openStream(ctx, now)
		}
		return
	}
	if reached(c.stream.silentAt, now) {
		c.stream.silent, c.stream.silentAt = true, time.Time{}
		c.stream.cancel()
	}
	if reached(c.cutAt, now) {
		c.cutAt = time.Time{}
		c.stream.cancel()
	}
}

func (c *consumer) stopTaking(now time.Time) {
	if c.stopped {
		return
	}
	c.stopped = true
	c.stopAt = now.Add(c.settings.stopGrace)
	// The stream's end gives them back.
	for _, delivery := range c.waiting {
		delete(c.leases, delivery.GetDeliveryId())
	}
	c.waiting = nil
	// A call that has not reached a gateway has nothing to finish.
	if c.stream != nil && !c.stream.begun {
		c.stream.cancel()
	}
}

// giveBackNow has handlers lose their events. From here on only giveBackGrace counts.
func (c *consumer) giveBackNow(now time.Time) {
	c.stopAt = time.Time{}
	c.endAt = earlier(c.endAt, now.Add(c.settings.giveBackGrace))
	// Also if the gateway takes nothing of what is written.
	c.cutAt = earlier(c.cutAt, c.endAt.Add(endPatience))
	c.loseAll()
}

func (c *consumer) loseAll() {
	for _, running := range c.running {
		running.loseEvent()
	}
}

func (r *running) loseEvent() {
	r.lost = true
	r.lose(ErrLeaseLost)
}

// endStreamIfDone closes the sending side when a stop has nothing left to wait for.
func (c *consumer) endStreamIfDone(now time.Time) {
	if !c.stopped || c.stream == nil || !c.stream.begun || c.stream.ended {
		return
	}
	if c.stream.opened && len(c.outbox) > 0 {
		return // Written first.
	}
	if settled := len(c.running) == 0 && len(c.unanswered) == 0; settled || !c.stream.opened || reached(c.endAt, now) {
		c.stream.ended = true
		close(c.stream.out)
		c.cutAt = earlier(c.cutAt, now.Add(endPatience))
	}
}

func (c *consumer) openStream(ctx context.Context, now time.Time) {
	c.stream = newConsumeStream(ctx, c.client, &hookgatev1.ConsumeRequest_Open{
		Subscription: c.subscription,
		ConsumerName: c.settings.name,
		Limits: &hookgatev1.FlowLimits{
			MaxOutstandingMessages: ptr(int64(c.settings.concurrency)),
			MaxOutstandingBytes:    ptr(int64(mostBytes)),
		},
		HeartbeatInterval: durationpb.New(c.settings.heartbeat),
		IncludeRawBody:    c.settings.includeRawBody,
	})
	c.stream.patience = c.settings.openTimeout
	c.stream.interval = c.settings.patience(nil)
	c.stream.silentAt = now.Add(c.settings.openTimeout)
}

func ptr[T any](value T) *T { return &value }

func (c *consumer) onStream(ctx context.Context, event streamEvent) {
	switch {
	case event.frame != nil:
		c.onFrame(event.frame)
		if c.stream.silentAt.IsZero() {
			return // It has been cut off.
		}
		c.stream.patience = c.stream.interval
		c.stream.silentAt = time.Now().Add(c.stream.interval)
	case event.ended:
		c.onEnd(ctx, event.err)
	default:
		c.stream.begun = true
		if c.over() && !c.stopped {
			c.stream.cancel()
		}
	}
}

func (c *consumer) onFrame(frame *hookgatev1.ConsumeResponse) {
	var observer Observer // After a stop, nothing is told.
	if !c.over() {
		observer = c.settings.observer
	}
	switch frame := frame.GetFrame().(type) {
	case *hookgatev1.ConsumeResponse_Opened_:
		c.stream.opened = true
		c.stream.interval = c.settings.patience(frame.Opened.GetHeartbeatInterval())
		if deadline := frame.Opened.GetAckDeadline(); deadline.IsValid() && deadline.AsDuration() > 0 {
			c.ackDeadline = deadline.AsDuration()
		}
		tell(observer.ConsumeOpened, frame.Opened)
	case *hookgatev1.ConsumeResponse_Deliveries_:
		c.stream.end.useful = true
		c.accept(frame.Deliveries.GetDeliveries(), time.Now())
	case *hookgatev1.ConsumeResponse_AckResults_:
		c.onResults(frame.AckResults.GetResults())
	case *hookgatev1.ConsumeResponse_Heartbeat_:
		c.stream.end.useful = true
		tell(observer.ConsumeHeartbeat, frame.Heartbeat)
	case *hookgatev1.ConsumeResponse_Draining_:
		observer.draining(frame.Draining.GetReconnectDelay(), &c.stream.end)
	}
}

func (c *consumer) accept(deliveries []*Delivery, now time.Time) {
	if c.over() {
		return // Given back when the stream ends.
	}
	for _, delivery := range deliveries {
		c.leases[delivery.GetDeliveryId()] = &lease{
			extendAt: now.Add(c.ackDeadline / extensionsPerLease),
			until:    now.Add(c.settings.longestLease),
			ends:     now.Add(c.ackDeadline),
		}
		c.takeOver(delivery)
	}
	c.nextLease = earlier(c.nextLease, now.Add(c.ackDeadline/extensionsPerLease))
}

// takeOver: of one event only the newest delivery matters.
func (c *consumer) takeOver(delivery *Delivery) {
	sequence := delivery.GetEvent().GetSequence()
	if running := c.running[sequence]; running != nil {
		delete(c.leases, running.deliveryID)
		running.deliveryID, running.again = delivery.GetDeliveryId(), delivery
		return
	}
	for i, other := range c.waiting {
		if other.GetEvent().GetSequence() == sequence {
			delete(c.leases, other.GetDeliveryId())
			c.waiting[i] = delivery
			return
		}
	}
	c.waiting = append(c.waiting, delivery)
}

func (c *consumer) startHandlers(ctx context.Context) {
	for len(c.waiting) > 0 && len(c.running) < c.settings.concurrency && !c.over() {
		delivery := c.waiting[0]
		c.waiting = c.waiting[1:]
		// A stop lets handlers finish.
		handlerContext, lose := context.WithCancelCause(context.WithoutCancel(ctx))
		c.running[delivery.GetEvent().GetSequence()] = &running{deliveryID: delivery.GetDeliveryId(), lose: lose}
		go c.runHandler(handlerContext, delivery)
		if c.begun++; c.begun == c.settings.maxEvents {
			c.stopTaking(time.Now())
		}
	}
}

func (c *consumer) runHandler(ctx context.Context, delivery *Delivery) {
	done := handled{delivery.GetEvent().GetSequence(), errGoexit}
	defer func() { c.results <- done }()
	done.err = c.handle(ctx, delivery)
}

func (c *consumer) settle(done handled) {
	running := c.running[done.sequence]
	delete(c.running, done.sequence)
	verdict := verdictOf(done.err, running.lost)
	running.lose(nil) // Nobody listens any more.
	switch {
	case verdict.kind != giveBack:
		delete(c.leases, running.deliveryID)
		c.unanswered[running.deliveryID] = verdict
		c.send(running.deliveryID, verdict)
	case !running.lost:
		c.stopTaking(time.Now()) // The lease stays, and is extended, until the stream ends.
	case running.again != nil && !c.over():
		c.waiting = slices.Insert(c.waiting, 0, running.again)
	}
}

// send puts a verdict into the outbox, beside others that wait there.
func (c *consumer) send(deliveryID string, v verdict) {
	if v.kind != ack {
		item := nackItem(deliveryID, v)
		c.outbox = append(c.outbox, &hookgatev1.ConsumeRequest{
			Frame: &hookgatev1.ConsumeRequest_Nack{Nack: &hookgatev1.Nack{Items: []*hookgatev1.Nack_Item{item}}},
		})
		return
	}
	if len(c.outbox) > 0 {
		last := c.outbox[len(c.outbox)-1].GetAck()
		if last != nil && len(last.GetDeliveryIds()) < mostAcksInFrame {
			last.DeliveryIds = append(last.DeliveryIds, deliveryID)
			return
		}
	}
	c.writeAt = time.Now().Add(acksTogether)
	c.outbox = append(c.outbox, &hookgatev1.ConsumeRequest{
		Frame: &hookgatev1.ConsumeRequest_Ack{Ack: &hookgatev1.Ack{DeliveryIds: []string{deliveryID}}},
	})
}

func (c *consumer) onResults(results []*AckResult) {
	for _, result := range results {
		id := result.GetDeliveryId()
		asked, isExtension := c.extensions[id]
		if !isExtension {
			delete(c.unanswered, id)
			tell(c.settings.observer.Settled, result)
			continue
		}
		if len(asked) == 1 {
			delete(c.extensions, id)
		} else {
			c.extensions[id] = asked[1:]
		}
		lease := c.leases[id]
		if lease == nil {
			continue
		}
		switch result.GetResult() {
		case hookgatev1.AckResult_RESULT_ALREADY, hookgatev1.AckResult_RESULT_LEASE_LOST, hookgatev1.AckResult_RESULT_UNKNOWN:
			delete(c.leases, id)
			c.loseDelivery(id)
		default:
			if ends := asked[0].Add(c.ackDeadline); ends.After(lease.ends) {
				lease.ends = ends
			}
		}
	}
}

// loseDelivery tells the handler, if there is one.
func (c *consumer) loseDelivery(deliveryID string) {
	c.waiting = slices.DeleteFunc(c.waiting, func(d *Delivery) bool { return d.GetDeliveryId() == deliveryID })
	for _, running := range c.running {
		if running.deliveryID == deliveryID {
			running.again = nil
			running.loseEvent()
			return
		}
	}
}

// lookAtLeases ends those that have run out, and has those extended whose time has come.
func (c *consumer) lookAtLeases(now time.Time) {
	var items []*hookgatev1.Extend_Item
	c.nextLease = time.Time{}
	for id, lease := range c.leases {
		if !now.Before(lease.ends) {
			delete(c.leases, id)
			c.loseDelivery(id)
			continue
		}
		if c.canWrite() && !now.Before(lease.extendAt) && now.Before(lease.until) {
			lease.extendAt = now.Add(c.ackDeadline / extensionsPerLease)
			items = append(items, &hookgatev1.Extend_Item{DeliveryId: id})
			c.extensions[id] = append(c.extensions[id], now)
		}
		c.nextLease = earlier(c.nextLease, lease.ends)
		if c.canWrite() && now.Before(lease.until) && lease.extendAt.Before(lease.until) {
			c.nextLease = earlier(c.nextLease, lease.extendAt)
		}
	}
	if len(items) > 0 {
		c.outbox = append(c.outbox, &hookgatev1.ConsumeRequest{
			Frame: &hookgatev1.ConsumeRequest_Extend{Extend: &hookgatev1.Extend{Items: items}},
		})
	}
}

// onEnd: the stream is over, and the gateway has back what was delivered on it. What was not answered is sent again on
// the next stream.
func (c *consumer) onEnd(ctx context.Context, err error) {
	stream := c.stream
	stream.close()
	c.stream, c.cutAt = nil, time.Time{}
	c.loseAll()
	for _, running := range c.running {
		running.again = nil
	}
	c.waiting, c.outbox = nil, nil
	clear(c.leases)
	clear(c.extensions)
	c.nextLease = time.Time{}
	for id, verdict := range c.unanswered {
		c.send(id, verdict)
	}
	if c.over() {
		return
	}
	if stream.silent && !c.client.closed() {
		stream.end.why = c.client.unavailable("cannot consume", fmt.Sprintf("nothing came from the gateway for %v", stream.patience))
	} else {
		var broke streamEnd
		if c.final, broke = c.client.endOfStream(err, "cannot consume", stream.token); c.final != nil {
			return
		}
		stream.end.why, stream.end.retryDelay = broke.why, broke.retryDelay
	}
	delay := c.retries.delayAfter(stream.end)
	c.reconnectAt = time.Now().Add(delay)
	c.client.logger.WarnContext(ctx, "hookgate: a consumer's stream broke", "subscription", c.subscription,
		"error", stream.end.why, "next_try_in", delay)
	c.settings.observer.disconnected(stream.end.why, delay)
}

// consumeStream is one call, with a goroutine that opens it and reads, and one that writes.
type consumeStream struct {
	cancel  context.CancelFunc
	events  chan streamEvent
	out     chan *hookgatev1.ConsumeRequest // Closed: the sending side is to be closed.
	written chan struct{}                   // Closed when the writer has ended.
	token   string

	// Of the consumer's goroutine.
	begun  bool // The call has reached a gateway, and Open is on its way.
	opened bool // The gateway has answered Open.
	ended  bool // out is closed.
	// When it is given up unless a frame comes, how long that is then, and how long it will be from the next frame on.
	silentAt           time.Time
	patience, interval time.Duration
	silent             bool
	end                streamEnd
}

// streamEvent: a frame, the end, or, with neither, the beginning.
type streamEvent struct {
	frame *hookgatev1.ConsumeResponse
	ended bool
	err   error // nil: the gateway ended it without one.
}

func newConsumeStream(parent context.Context, client *Client, open *hookgatev1.ConsumeRequest_Open) *consumeStream {
	// A stop ends the stream by closing it, not by cancelling: that would look like a crash.
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stream := &consumeStream{
		cancel:  cancel,
		events:  make(chan streamEvent),
		out:     make(chan *hookgatev1.ConsumeRequest),
		written: make(chan struct{}),
		token:   client.token.current(),
	}
	go stream.read(ctx, client.subscriptions, open)
	return stream
}

// read gives every frame to the consumer, which takes them until the end.
func (s *consumeStream) read(ctx context.Context, stub hookgatev1.SubscriptionServiceClient, open *hookgatev1.ConsumeRequest_Open) {
	call, err := stub.Consume(ctx)
	if err != nil {
		close(s.written)
		s.events <- streamEvent{ended: true, err: err}
		return
	}
	// If this fails, Recv says why.
	_ = call.Send(&hookgatev1.ConsumeRequest{Frame: &hookgatev1.ConsumeRequest_Open_{Open: open}})
	go s.write(call)
	s.events <- streamEvent{}
	for {
		frame, err := call.Recv()
		if errors.Is(err, io.EOF) {
			s.events <- streamEvent{ended: true}
			return
		}
		if err != nil {
			s.events <- streamEvent{ended: true, err: err}
			return
		}
		s.events <- streamEvent{frame: frame}
	}
}

func (s *consumeStream) write(call hookgatev1.SubscriptionService_ConsumeClient) {
	defer close(s.written)
	for frame := range s.out {
		_ = call.Send(frame) // If this fails, Recv says why.
	}
	_ = call.CloseSend()
}

// close waits for the goroutines of a stream that has ended.
func (s *consumeStream) close() {
	s.cancel()
	if !s.ended {
		close(s.out)
	}
	<-s.written
}
