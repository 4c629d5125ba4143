package hookgate_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hookgate "github.com/hookgate/hookgate/client/go"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"github.com/hookgate/hookgate/client/go/hookgatetest"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

// newSubscription starts a gateway with n events and a durable subscription "work" to all of them.
func newSubscription(t *testing.T, n int, settings *hookgate.SubscriptionSettings) (*hookgatetest.Gateway, *hookgate.Client) {
	t.Helper()
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, n)
	if _, err := client.CreateSubscription(bounded(t), "work", hookgate.FromEarliest(), settings); err != nil {
		t.Fatal(err)
	}
	return gateway, client
}

// consuming is a Consume that runs.
type consuming struct {
	stop context.CancelFunc
	end  chan error
}

func consume(t *testing.T, client *hookgate.Client, handler hookgate.Handler, options ...hookgate.ConsumeOption) *consuming {
	t.Helper()
	ctx, stop := context.WithCancel(bounded(t))
	c := &consuming{stop: stop, end: make(chan error, 1)}
	go func() { c.end <- client.Consume(ctx, "work", handler, append(options, quick)...) }()
	return c
}

func (c *consuming) wait(t *testing.T) error {
	t.Helper()
	return receive(t, c.end, "the end of Consume")
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-bounded(t).Done():
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

func waitAcked(t *testing.T, gateway *hookgatetest.Gateway, n int) {
	t.Helper()
	if err := gateway.WaitAcked(bounded(t), "work", n); err != nil {
		t.Fatal(err)
	}
}

func TestConsumerHandlesEachEvent(t *testing.T) {
	gateway, client := newSubscription(t, 500, nil)
	var running, most, handled atomic.Int64
	c := consume(t, client, func(context.Context, *hookgate.Delivery) error {
		now := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		handled.Add(1)
		runtime.Gosched()
		return nil
	}, hookgate.Concurrency(8))
	waitAcked(t, gateway, 500)
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	equal(t, handled.Load(), 500, "handled")
	if most.Load() > 8 {
		t.Errorf("%d handlers ran at a time", most.Load())
	}
}

func TestWhatAHandlerReturnsDecides(t *testing.T) {
	gateway, client := newSubscription(t, 4, &hookgate.SubscriptionSettings{MinimumBackoff: durationpb.New(time.Millisecond)})
	var mu sync.Mutex
	reasons := map[int64]string{}
	c := consume(t, client, func(_ context.Context, d *hookgate.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if d.GetAttempt() > 1 {
			reasons[d.GetEvent().GetSequence()] = d.GetNackReason()
			return nil
		}
		switch d.GetEvent().GetSequence() {
		case 2:
			return errors.New("not now \xff")
		case 3:
			return hookgate.DeadLetter(errors.New("nobody can"))
		case 4:
			return hookgate.NackAfter(time.Millisecond, errors.New("in a while"))
		}
		return nil
	}, hookgate.Concurrency(2))
	waitAcked(t, gateway, 3)
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	if reasons[2] != "not now \uFFFD" || reasons[4] != "in a while" || len(reasons) != 2 {
		t.Errorf("came again: %v", reasons)
	}
	dead := gateway.DeadLetters("work")
	if len(dead) != 1 || dead[0].GetSequence() != 3 || dead[0].GetNackReason() != "nobody can" {
		t.Errorf("dead letters: %v", dead)
	}
}

// A stop that cancelled its handlers, or did not wait for the acknowledgement, had the work done twice.
func TestStopWaitsForHandlers(t *testing.T) {
	gateway, client := newSubscription(t, 3, nil)
	begun, finish := make(chan int64, 3), make(chan struct{})
	var lost atomic.Bool
	c := consume(t, client, func(ctx context.Context, d *hookgate.Delivery) error {
		begun <- d.GetEvent().GetSequence()
		<-finish
		lost.Store(ctx.Err() != nil)
		return nil
	})
	equal(t, receive(t, begun, "a delivery"), 1, "first sequence")
	c.stop()
	select {
	case err := <-c.end:
		t.Fatalf("Consume returned %v while a handler ran", err)
	default:
	}
	close(finish)
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	if lost.Load() {
		t.Error("the handler's context was cancelled")
	}
	if acked := gateway.Acked("work"); len(acked) != 1 || acked[0] != 1 {
		t.Errorf("acknowledged: %v", acked)
	}
}

func TestStopGivesBackAfterItsGrace(t *testing.T) {
	gateway, client := newSubscription(t, 1, nil)
	begun := make(chan struct{})
	c := consume(t, client, func(ctx context.Context, _ *hookgate.Delivery) error {
		close(begun)
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, hookgate.ErrLeaseLost) {
			t.Errorf("the cause is %v", cause)
		}
		return ctx.Err()
	}, hookgate.StopGrace(time.Millisecond))
	receive(t, begun, "a delivery")
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	// It came to no verdict: the next consumer gets it as attempt 1.
	delivery := pull(t, client)
	equal(t, delivery.GetAttempt(), 1, "attempt")
	equal(t, len(gateway.Acked("work")), 0, "acknowledged")
}

func pull(t *testing.T, client *hookgate.Client) *hookgate.Delivery {
	t.Helper()
	deliveries, err := client.Pull(bounded(t), hookgate.PullRequest{
		Subscription: "work", ConsumerName: "puller", MaxEvents: 1, Wait: time.Minute,
	})
	if err != nil || len(deliveries) != 1 {
		t.Fatalf("pulled %v, %v", deliveries, err)
	}
	return deliveries[0]
}

func TestGiveBackNow(t *testing.T) {
	for name, stop := range map[string]func(*consuming, chan struct{}){
		"on stop": func(c *consuming, _ chan struct{}) { c.stop() },
		"when":    func(_ *consuming, now chan struct{}) { close(now) },
	} {
		t.Run(name, func(t *testing.T) {
			_, client := newSubscription(t, 1, nil)
			begun, now := make(chan struct{}), make(chan struct{})
			option := hookgate.GiveBackWhen(now)
			if name == "on stop" {
				option = hookgate.GiveBackOnStop()
			}
			c := consume(t, client, func(ctx context.Context, _ *hookgate.Delivery) error {
				close(begun)
				<-ctx.Done()
				return hookgate.ErrGiveBack
			}, option)
			receive(t, begun, "a delivery")
			stop(c, now)
			if err := c.wait(t); err != nil {
				t.Error(err)
			}
			equal(t, pull(t, client).GetAttempt(), 1, "attempt")
		})
	}
}

// deafGateway delivers many events on each stream, and takes nothing after Open.
type deafGateway struct {
	hookgatev1.UnimplementedSubscriptionServiceServer
}

func (deafGateway) Consume(stream hookgatev1.SubscriptionService_ConsumeServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	var deliveries []*hookgate.Delivery
	for i := range 500 {
		id := fmt.Sprintf("d%d", i)
		deliveries = append(deliveries, &hookgate.Delivery{DeliveryId: id, Event: &hookgate.Event{Sequence: int64(i + 1)}})
	}
	for _, response := range []*hookgatev1.ConsumeResponse{
		{Frame: &hookgatev1.ConsumeResponse_Opened_{Opened: &hookgatev1.ConsumeResponse_Opened{}}},
		{Frame: &hookgatev1.ConsumeResponse_Deliveries_{Deliveries: &hookgatev1.ConsumeResponse_Deliveries{Deliveries: deliveries}}},
	} {
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

// Consume never returned once it had more to write than the connection held.
func TestStopOutlivesAGatewayThatTakesNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Windows of a fixed size: those that gRPC sets by itself may grow to hold all nacks.
	server := grpc.NewServer(grpc.InitialWindowSize(1<<16), grpc.InitialConnWindowSize(1<<16))
	hookgatev1.RegisterSubscriptionServiceServer(server, deafGateway{})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	begun := make(chan struct{}, 500)
	// Of the 10 s that a gateway has after the grace, all but 100 ms have passed when the stop comes.
	// Its silence ends the stream much later.
	c := consume(t, newClient(t, listener.Addr().String()), func(context.Context, *hookgate.Delivery) error {
		begun <- struct{}{}
		return errors.New(strings.Repeat("x", 1024))
	}, hookgate.Concurrency(500), hookgate.HeartbeatInterval(10*time.Minute), hookgate.GiveBackOnStop(),
		hookgate.GiveBackGrace(100*time.Millisecond-10*time.Second))
	for range 500 {
		receive(t, begun, "a delivery")
	}
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
}

func TestLeaseIsExtendedAndItsLossIsTold(t *testing.T) {
	gateway, client := newSubscription(t, 1, &hookgate.SubscriptionSettings{AckDeadline: durationpb.New(300 * time.Millisecond)})
	deliveries := make(chan *hookgate.Delivery, 1)
	told := make(chan error, 1)
	release := make(chan struct{})
	c := consume(t, client, func(ctx context.Context, d *hookgate.Delivery) error {
		if d.GetAttempt() == 1 {
			deliveries <- d
			<-ctx.Done()
			told <- context.Cause(ctx)
			<-release
			return ctx.Err() // Not the fault of the event: it is handled again.
		}
		deliveries <- d
		return nil
	})
	receive(t, deliveries, "a delivery")
	// Otherwise the same consumer would have it again at once, and nothing would be lost to it.
	if _, err := client.PauseSubscription(bounded(t), "work"); err != nil {
		t.Fatal(err)
	}
	gateway.EndLeases("work")
	if cause := receive(t, told, "the loss"); !errors.Is(cause, hookgate.ErrLeaseLost) {
		t.Errorf("the cause is %v", cause)
	}
	close(release)
	if _, err := client.ResumeSubscription(bounded(t), "work"); err != nil {
		t.Fatal(err)
	}
	equal(t, receive(t, deliveries, "the second delivery").GetAttempt(), 2, "attempt")
	waitAcked(t, gateway, 1)
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
}

// One event was handled by two handlers of one process at a time, when its stream broke while the first one ran.
func TestEventThatComesAgainIsNotHandledTwiceAtATime(t *testing.T) {
	gateway, client := newSubscription(t, 1, nil)
	begun, finish := make(chan struct{}, 8), make(chan struct{})
	var calls, running, most atomic.Int64
	reopened := make(chan struct{}, 8)
	c := consume(t, client, func(ctx context.Context, _ *hookgate.Delivery) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		begun <- struct{}{}
		if calls.Add(1) == 1 {
			<-ctx.Done() // By the broken stream.
			<-finish
		}
		return nil // Done all the same.
	}, hookgate.Concurrency(4), hookgate.Observe(hookgate.Observer{
		ConsumeOpened: func(*hookgatev1.ConsumeResponse_Opened) { reopened <- struct{}{} },
	}))
	receive(t, reopened, "the stream")
	receive(t, begun, "a delivery")
	gateway.Disconnect()
	receive(t, reopened, "the second stream")
	// It is on its way again. Should it come after the handler has ended, it is handled once more, and rightly.
	for ctx := bounded(t); ; {
		subscription, err := client.GetSubscription(ctx, "work")
		if err != nil {
			t.Fatal(err)
		}
		if subscription.GetInFlight() > 0 {
			break
		}
	}
	close(finish)
	waitAcked(t, gateway, 1)
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	equal(t, most.Load(), 1, "handlers of the event at a time")
}

func TestConsumerSurvivesBrokenStreams(t *testing.T) {
	gateway, client := newSubscription(t, 200, nil)
	var n atomic.Int64
	c := consume(t, client, func(context.Context, *hookgate.Delivery) error {
		switch now := n.Add(1); {
		case now%50 == 0:
			gateway.Disconnect()
		case now == 75:
			gateway.Drain(time.Millisecond)
		}
		return nil
	}, hookgate.Concurrency(4))
	waitAcked(t, gateway, 200)
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
}

func TestDeletedSubscriptionEndsItsConsumer(t *testing.T) {
	_, client := newSubscription(t, 0, nil)
	opened := make(chan struct{}, 1)
	c := consume(t, client, func(context.Context, *hookgate.Delivery) error { return nil }, hookgate.Observe(hookgate.Observer{
		ConsumeOpened: func(*hookgatev1.ConsumeResponse_Opened) { opened <- struct{}{} },
	}))
	receive(t, opened, "the stream")
	if err := client.DeleteSubscription(bounded(t), "work"); err != nil {
		t.Fatal(err)
	}
	if err := c.wait(t); !errors.Is(err, hookgate.ReasonSubscriptionNotFound) {
		t.Errorf("it ended with %v", err)
	}
}

// A handler that calls t.FailNow, or runtime.Goexit, left its place taken for ever, and Consume never returned.
func TestHandlerThatEndsItsGoroutineIsANack(t *testing.T) {
	gateway, client := newSubscription(t, 1, &hookgate.SubscriptionSettings{MinimumBackoff: durationpb.New(time.Millisecond)})
	c := consume(t, client, func(_ context.Context, d *hookgate.Delivery) error {
		if d.GetAttempt() == 1 {
			runtime.Goexit()
		}
		if !strings.Contains(d.GetNackReason(), "goroutine") {
			t.Errorf("the reason is %q", d.GetNackReason())
		}
		return nil
	})
	waitAcked(t, gateway, 1)
	c.stop()
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
}

func TestClosedClientEndsItsConsumer(t *testing.T) {
	_, client := newSubscription(t, 1, nil)
	begun := make(chan struct{})
	c := consume(t, client, func(ctx context.Context, _ *hookgate.Delivery) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	receive(t, begun, "a delivery")
	client.Close()
	if err := c.wait(t); !errors.Is(err, hookgate.ErrClientClosed) {
		t.Errorf("it ended with %v", err)
	}
}

func TestMaxEvents(t *testing.T) {
	gateway, client := newSubscription(t, 10, nil)
	err := client.Consume(bounded(t), "work", func(context.Context, *hookgate.Delivery) error { return nil },
		hookgate.MaxEvents(3), hookgate.Concurrency(2))
	if err != nil {
		t.Error(err)
	}
	equal(t, len(gateway.Acked("work")), 3, "acknowledged")
}

func TestPullAndAcknowledge(t *testing.T) {
	gateway, client := newSubscription(t, 3, nil)
	deliveries, err := client.Pull(bounded(t), hookgate.PullRequest{Subscription: "work", ConsumerName: "a", MaxEvents: 3})
	if err != nil || len(deliveries) != 3 {
		t.Fatalf("pulled %v, %v", deliveries, err)
	}
	results, err := client.Acknowledge(bounded(t), "work",
		hookgate.Extended(deliveries[0].GetDeliveryId(), time.Minute),
		hookgate.Nacked("no-such-delivery", errors.New("why")),
		hookgate.Acked(deliveries[1].GetDeliveryId()),
		hookgate.Nacked(deliveries[2].GetDeliveryId(), hookgate.DeadLetter(errors.New("why"))))
	if err != nil {
		t.Fatal(err)
	}
	want := []hookgatev1.AckResult_Result{hookgatev1.AckResult_RESULT_OK, hookgatev1.AckResult_RESULT_LEASE_LOST,
		hookgatev1.AckResult_RESULT_OK, hookgatev1.AckResult_RESULT_OK}
	for i, result := range results {
		equal(t, result.GetResult(), want[i], "result in the order of the verdicts")
	}
	equal(t, len(gateway.DeadLetters("work")), 1, "dead letters")
}
