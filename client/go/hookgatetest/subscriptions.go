package hookgatetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// subscription is a durable one.
type subscription struct {
	name     string
	settings *hookgatev1.SubscriptionSettings
	position int64
	paused   bool
	// Taken for delivery and neither acked nor dead, oldest first.
	unsettled []*entry
	acked     []int64
	dead      []*hookgatev1.DeadLetter
	last      int // Of delivery ids.
}

// entry is an unsettled event.
type entry struct {
	event      *hookgatev1.Event
	attempts   int32
	deliveryID string // "" unless it is leased.
	holder     any    // The stream that has the lease; nil: a consumer that pulled.
	due        time.Time
	reason     hookgatev1.DeliveryReason
	nackReason string
}

// Acked returns the sequences that the consumers of a durable subscription have acknowledged, in the order in which they
// did.
func (g *Gateway) Acked(name string) []int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if durable := g.durable[name]; durable != nil {
		return slices.Clone(durable.acked)
	}
	return nil
}

// DeadLetters returns what a durable subscription has given up.
func (g *Gateway) DeadLetters(name string) []*hookgatev1.DeadLetter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if durable := g.durable[name]; durable != nil {
		return slices.Clone(durable.dead)
	}
	return nil
}

// EndLeases has the ack deadline of every delivery of a durable subscription pass: extensions are answered LEASE_LOST,
// and the events come again.
func (g *Gateway) EndLeases(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if durable := g.durable[name]; durable != nil {
		for _, entry := range slices.Clone(durable.unsettled) {
			if entry.deliveryID != "" {
				durable.giveUp(entry, hookgatev1.DeliveryReason_DELIVERY_REASON_DEADLINE_PASSED, time.Now())
			}
		}
		g.notify()
	}
}

// WaitAcked blocks until a durable subscription has n acknowledged events, or ctx is done.
func (g *Gateway) WaitAcked(ctx context.Context, name string, n int) error {
	for {
		g.mu.Lock()
		changed, acked := g.changed, 0
		if durable := g.durable[name]; durable != nil {
			acked = len(durable.acked)
		}
		g.mu.Unlock()
		if acked >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("hookgatetest: %d of %d events of %s are acknowledged: %w", acked, n, name, ctx.Err())
		}
	}
}

func (d *subscription) backoff() time.Duration { return d.settings.GetMinimumBackoff().AsDuration() }

// take returns up to n deliveries that are due now, and when the next one is, if any waits.
func (d *subscription) take(g *Gateway, n int, holder any, includeRawBody bool) (taken []*hookgatev1.Delivery, next time.Time) {
	if d.paused {
		return nil, time.Time{}
	}
	now := time.Now()
	for ; d.position < g.head() && len(d.unsettled) < 10_000; d.position++ {
		if event := g.events[d.position]; event.GetSequence() > g.removed && admits(d.settings.GetFilter(), event) {
			d.unsettled = append(d.unsettled, &entry{event: event, reason: hookgatev1.DeliveryReason_DELIVERY_REASON_NEW})
		}
	}
	for _, entry := range d.unsettled {
		if entry.deliveryID != "" {
			continue
		}
		if entry.due.After(now) {
			if next.IsZero() || entry.due.Before(next) {
				next = entry.due
			}
			continue
		}
		if len(taken) >= n {
			break
		}
		d.last++
		entry.deliveryID, entry.holder = fmt.Sprintf("%s-%d", d.name, d.last), holder
		taken = append(taken, &hookgatev1.Delivery{
			DeliveryId: entry.deliveryID, Attempt: entry.attempts + 1, Reason: entry.reason, NackReason: entry.nackReason,
			LeaseExpireTime: timestamppb.New(now.Add(d.settings.GetAckDeadline().AsDuration())),
			Event:           withBody(entry.event, includeRawBody),
		})
	}
	return taken, next
}

func (d *subscription) find(deliveryID string) *entry {
	for _, entry := range d.unsettled {
		if entry.deliveryID == deliveryID && deliveryID != "" {
			return entry
		}
	}
	return nil
}

func (d *subscription) remove(e *entry) {
	d.unsettled = slices.DeleteFunc(d.unsettled, func(other *entry) bool { return other == e })
}

// giveUp ends a lease in a way that counts as an attempt.
func (d *subscription) giveUp(e *entry, reason hookgatev1.DeliveryReason, due time.Time) {
	e.attempts++
	e.deliveryID, e.holder, e.reason, e.due = "", nil, reason, due
	if e.attempts >= d.settings.GetMaxAttempts() {
		cause := hookgatev1.DeadLetter_CAUSE_NACKED
		if reason == hookgatev1.DeliveryReason_DELIVERY_REASON_DEADLINE_PASSED {
			cause = hookgatev1.DeadLetter_CAUSE_DEADLINE_PASSED
		}
		d.kill(e, cause)
	}
}

func (d *subscription) kill(e *entry, cause hookgatev1.DeadLetter_Cause) {
	d.remove(e)
	d.dead = append(d.dead, &hookgatev1.DeadLetter{
		Sequence: e.event.GetSequence(), Cause: cause, NackReason: e.nackReason, Attempts: max(e.attempts, 1), Event: e.event,
		DeadLetterTime: timestamppb.Now(),
	})
}

// giveBack ends the leases of a stream, which counts as no attempt.
func (d *subscription) giveBack(holder any) {
	for _, entry := range d.unsettled {
		if entry.deliveryID != "" && entry.holder == holder {
			entry.deliveryID, entry.holder = "", nil
			entry.reason = hookgatev1.DeliveryReason_DELIVERY_REASON_STREAM_ENDED
		}
	}
}

func (d *subscription) settle(acks *hookgatev1.Ack, nacks *hookgatev1.Nack, extends *hookgatev1.Extend) (results []*hookgatev1.AckResult) {
	answer := func(id string, result hookgatev1.AckResult_Result) {
		results = append(results, &hookgatev1.AckResult{DeliveryId: id, Result: result})
	}
	for _, id := range acks.GetDeliveryIds() {
		entry := d.find(id)
		if entry == nil {
			answer(id, hookgatev1.AckResult_RESULT_ALREADY)
			continue
		}
		d.remove(entry)
		d.acked = append(d.acked, entry.event.GetSequence())
		answer(id, hookgatev1.AckResult_RESULT_OK)
	}
	for _, item := range nacks.GetItems() {
		entry := d.find(item.GetDeliveryId())
		if entry == nil {
			answer(item.GetDeliveryId(), hookgatev1.AckResult_RESULT_LEASE_LOST)
			continue
		}
		entry.nackReason = item.GetReason()
		if item.GetDeadLetter() {
			entry.attempts++
			d.kill(entry, hookgatev1.DeadLetter_CAUSE_CONSUMER_DECIDED)
		} else {
			delay := d.backoff()
			if item.GetDelay() != nil {
				delay = item.GetDelay().AsDuration()
			}
			d.giveUp(entry, hookgatev1.DeliveryReason_DELIVERY_REASON_NACKED, time.Now().Add(delay))
		}
		answer(item.GetDeliveryId(), hookgatev1.AckResult_RESULT_OK)
	}
	for _, item := range extends.GetItems() {
		if d.find(item.GetDeliveryId()) == nil {
			answer(item.GetDeliveryId(), hookgatev1.AckResult_RESULT_LEASE_LOST)
		} else {
			answer(item.GetDeliveryId(), hookgatev1.AckResult_RESULT_OK)
		}
	}
	return results
}

func (d *subscription) message(g *Gateway) *hookgatev1.Subscription {
	message := &hookgatev1.Subscription{
		Name: d.name, Settings: d.settings, PositionCursor: g.cursor(d.position), DeadLetters: int64(len(d.dead)),
		Backlog: &hookgatev1.Backlog{Events: int64(len(d.unsettled)) + g.head() - d.position},
	}
	for _, entry := range d.unsettled {
		if entry.deliveryID != "" {
			message.InFlight++
		} else if entry.attempts > 0 {
			message.AwaitingRedelivery++
		}
	}
	if d.paused {
		message.PauseTime = timestamppb.Now()
		message.Conditions = append(message.Conditions, hookgatev1.SubscriptionCondition_SUBSCRIPTION_CONDITION_PAUSED)
	}
	return message
}

type subscriptionService struct {
	hookgatev1.UnimplementedSubscriptionServiceServer
	gateway *Gateway
}

// with calls then with the subscription, locked.
func (s *subscriptionService) with(name string, then func(*subscription) error) error {
	g := s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.admit(); err != nil {
		return err
	}
	durable := g.durable[name]
	if durable == nil {
		return Error(codes.NotFound, "SUBSCRIPTION_NOT_FOUND", "there is no subscription "+name, nil)
	}
	err := then(durable)
	g.notify()
	return err
}

func withDefaults(settings *hookgatev1.SubscriptionSettings) *hookgatev1.SubscriptionSettings {
	settings = proto.CloneOf(settings)
	if settings == nil {
		settings = &hookgatev1.SubscriptionSettings{}
	}
	if settings.AckDeadline == nil {
		settings.AckDeadline = durationpb.New(30 * time.Second)
	}
	if settings.MaxAttempts == nil {
		settings.MaxAttempts = proto.Int32(10)
	}
	if settings.MinimumBackoff == nil {
		settings.MinimumBackoff = durationpb.New(time.Second)
	}
	return settings
}

// CreateSubscription makes a durable subscription.
func (s *subscriptionService) CreateSubscription(_ context.Context, request *hookgatev1.CreateSubscriptionRequest) (*hookgatev1.CreateSubscriptionResponse, error) {
	g := s.gateway
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.admit(); err != nil {
		return nil, err
	}
	if g.durable[request.GetName()] != nil {
		return nil, Error(codes.AlreadyExists, "SUBSCRIPTION_EXISTS", "there is a subscription "+request.GetName(), nil)
	}
	start := request.GetStart()
	position, err := g.position(start.GetAfterCursor(), start.GetStartTime(), start.GetStartPosition())
	if err != nil {
		return nil, err
	}
	durable := &subscription{name: request.GetName(), settings: withDefaults(request.GetSettings()), position: position}
	g.durable[request.GetName()] = durable
	return &hookgatev1.CreateSubscriptionResponse{Subscription: durable.message(g)}, nil
}

// GetSubscription returns one.
func (s *subscriptionService) GetSubscription(_ context.Context, request *hookgatev1.GetSubscriptionRequest) (*hookgatev1.GetSubscriptionResponse, error) {
	response := &hookgatev1.GetSubscriptionResponse{}
	return response, s.with(request.GetName(), func(d *subscription) error {
		response.Subscription = d.message(s.gateway)
		return nil
	})
}

// DeleteSubscription forgets one; its streams end.
func (s *subscriptionService) DeleteSubscription(_ context.Context, request *hookgatev1.DeleteSubscriptionRequest) (*hookgatev1.DeleteSubscriptionResponse, error) {
	return &hookgatev1.DeleteSubscriptionResponse{}, s.with(request.GetName(), func(d *subscription) error {
		delete(s.gateway.durable, d.name)
		return nil
	})
}

// SeekSubscription moves the position.
func (s *subscriptionService) SeekSubscription(_ context.Context, request *hookgatev1.SeekSubscriptionRequest) (*hookgatev1.SeekSubscriptionResponse, error) {
	response := &hookgatev1.SeekSubscriptionResponse{}
	return response, s.with(request.GetName(), func(d *subscription) (err error) {
		target := request.GetTarget()
		position, err := s.gateway.position(target.GetAfterCursor(), target.GetStartTime(), target.GetStartPosition())
		if err == nil {
			d.position, d.unsettled = position, nil
			response.Subscription = d.message(s.gateway)
		}
		return err
	})
}

// PauseSubscription has nothing handed out.
func (s *subscriptionService) PauseSubscription(_ context.Context, request *hookgatev1.PauseSubscriptionRequest) (*hookgatev1.PauseSubscriptionResponse, error) {
	response := &hookgatev1.PauseSubscriptionResponse{}
	return response, s.with(request.GetName(), func(d *subscription) error {
		d.paused = true
		response.Subscription = d.message(s.gateway)
		return nil
	})
}

// ResumeSubscription ends a pause.
func (s *subscriptionService) ResumeSubscription(_ context.Context, request *hookgatev1.ResumeSubscriptionRequest) (*hookgatev1.ResumeSubscriptionResponse, error) {
	response := &hookgatev1.ResumeSubscriptionResponse{}
	return response, s.with(request.GetName(), func(d *subscription) error {
		d.paused = false
		response.Subscription = d.message(s.gateway)
		return nil
	})
}

// ListDeadLetters returns all on one page.
func (s *subscriptionService) ListDeadLetters(_ context.Context, request *hookgatev1.ListDeadLettersRequest) (*hookgatev1.ListDeadLettersResponse, error) {
	response := &hookgatev1.ListDeadLettersResponse{}
	return response, s.with(request.GetSubscription(), func(d *subscription) error {
		response.DeadLetters = slices.Clone(d.dead)
		return nil
	})
}

// Acknowledge settles deliveries.
func (s *subscriptionService) Acknowledge(_ context.Context, request *hookgatev1.AcknowledgeRequest) (*hookgatev1.AcknowledgeResponse, error) {
	response := &hookgatev1.AcknowledgeResponse{}
	return response, s.with(request.GetSubscription(), func(d *subscription) error {
		response.Results = d.settle(request.GetAck(), request.GetNack(), request.GetExtend())
		return nil
	})
}

// Pull hands out deliveries.
func (s *subscriptionService) Pull(ctx context.Context, request *hookgatev1.PullRequest) (*hookgatev1.PullResponse, error) {
	g := s.gateway
	timer := time.NewTimer(request.GetWait().AsDuration())
	defer timer.Stop()
	for {
		var taken []*hookgatev1.Delivery
		g.mu.Lock()
		err := g.admit()
		durable := g.durable[request.GetSubscription()]
		if err == nil && durable == nil {
			err = Error(codes.NotFound, "SUBSCRIPTION_NOT_FOUND", "there is no subscription "+request.GetSubscription(), nil)
		}
		var next time.Time
		if err == nil {
			taken, next = durable.take(g, int(request.GetMaxEvents()), nil, request.GetIncludeRawBody())
		}
		changed := g.changed
		g.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if len(taken) > 0 {
			return &hookgatev1.PullResponse{Deliveries: taken}, nil
		}
		due, stop := after(next)
		select {
		case <-changed:
		case <-due:
		case <-timer.C:
			stop()
			return &hookgatev1.PullResponse{}, nil
		case <-ctx.Done():
			stop()
			return nil, ctx.Err()
		}
		stop()
	}
}

// after returns a channel that is ready at next; never if that is zero.
func after(next time.Time) (<-chan time.Time, func()) {
	if next.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(next))
	return timer.C, func() { timer.Stop() }
}

// Consume hands out deliveries over a stream.
func (s *subscriptionService) Consume(stream grpc.BidiStreamingServer[hookgatev1.ConsumeRequest, hookgatev1.ConsumeResponse]) error {
	g := s.gateway
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if open == nil || open.GetConsumerName() == "" {
		return Error(codes.InvalidArgument, "INVALID_REQUEST", "Open comes first, and names the consumer", nil)
	}
	interval, err := heartbeat(open.GetHeartbeatInterval())
	if err != nil {
		return err
	}
	limit := 1000
	if open.GetLimits() != nil && open.GetLimits().MaxOutstandingMessages != nil {
		limit = int(open.GetLimits().GetMaxOutstandingMessages())
	}
	requests := make(chan *hookgatev1.ConsumeRequest)
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		defer close(requests)
		for {
			request, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- request:
			case <-gone:
				return
			}
		}
	}()
	var generation int
	var opened *hookgatev1.ConsumeResponse_Opened
	if err := s.with(open.GetSubscription(), func(d *subscription) error {
		g.opened++
		generation = g.generation
		opened = &hookgatev1.ConsumeResponse_Opened{
			Epoch: g.epoch, Subscription: d.name, ConsumerName: open.GetConsumerName(), Limits: open.GetLimits(),
			AckDeadline: d.settings.GetAckDeadline(), HeartbeatInterval: durationpb.New(interval),
		}
		return nil
	}); err != nil {
		return err
	}
	holder := new(int)
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if durable := g.durable[open.GetSubscription()]; durable != nil {
			durable.giveBack(holder)
			g.notify()
		}
	}()
	if err := stream.Send(&hookgatev1.ConsumeResponse{Frame: &hookgatev1.ConsumeResponse_Opened_{Opened: opened}}); err != nil {
		return err
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		var frame hookgatev1.ConsumeResponse
		g.mu.Lock()
		changed, closed, interrupted, interrupt := g.changed, g.closed, g.generation != generation, g.interrupt
		durable := g.durable[open.GetSubscription()]
		var taken []*hookgatev1.Delivery
		var next time.Time
		var backlog *hookgatev1.Backlog
		if durable != nil && !interrupted {
			held := 0
			for _, entry := range durable.unsettled {
				if entry.deliveryID != "" && entry.holder == holder {
					held++
				}
			}
			taken, next = durable.take(g, limit-held, holder, open.GetIncludeRawBody())
			backlog = durable.message(g).GetBacklog()
		}
		g.mu.Unlock()
		switch {
		case closed:
			return status.Error(codes.Unavailable, "the gateway was closed")
		case interrupted && interrupt.draining:
			frame.Frame = &hookgatev1.ConsumeResponse_Draining_{Draining: &hookgatev1.ConsumeResponse_Draining{
				ReconnectDelay: durationpb.New(interrupt.delay)}}
			if err := stream.Send(&frame); err != nil {
				return err
			}
			return interrupt.err
		case interrupted:
			return interrupt.err
		case durable == nil:
			return Error(codes.NotFound, "SUBSCRIPTION_NOT_FOUND", "the subscription was deleted", nil)
		case len(taken) > 0:
			frame.Frame = &hookgatev1.ConsumeResponse_Deliveries_{Deliveries: &hookgatev1.ConsumeResponse_Deliveries{Deliveries: taken}}
		default:
			due, stop := after(next)
			select {
			case <-stream.Context().Done():
				stop()
				return stream.Context().Err()
			case <-changed:
				stop()
				continue
			case <-due:
				continue
			case request, more := <-requests:
				stop()
				if !more {
					return nil // The client has closed its side, or is gone.
				}
				var results []*hookgatev1.AckResult
				if err := s.with(open.GetSubscription(), func(d *subscription) error {
					results = d.settle(request.GetAck(), request.GetNack(), request.GetExtend())
					return nil
				}); err != nil {
					return err
				}
				if request.GetFlow() != nil {
					limit = int(request.GetFlow().GetMaxOutstandingMessages())
					continue
				}
				frame.Frame = &hookgatev1.ConsumeResponse_AckResults_{AckResults: &hookgatev1.ConsumeResponse_AckResults{Results: results}}
			case <-timer.C:
				stop()
				frame.Frame = &hookgatev1.ConsumeResponse_Heartbeat_{Heartbeat: &hookgatev1.ConsumeResponse_Heartbeat{
					Backlog: backlog, ServerTime: timestamppb.Now()}}
			}
		}
		if err := stream.Send(&frame); err != nil {
			return err
		}
		timer.Reset(interval)
	}
}
