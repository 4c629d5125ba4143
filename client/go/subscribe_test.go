package hookgate_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	hookgate "github.com/hookgate/hookgate/client/go"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"github.com/hookgate/hookgate/client/go/hookgatetest"
	"google.golang.org/grpc/codes"
)

// take ranges over a subscription until it has n events, and leaves it.
func take(t *testing.T, client *hookgate.Client, n int, options ...hookgate.SubscribeOption) (sequences []int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	for event, err := range client.Subscribe(ctx, append(options, quick)...) {
		if err != nil {
			t.Fatal(err)
		}
		if sequences = append(sequences, event.GetSequence()); len(sequences) == n {
			cancel() // Handled, unlike by a break.
		}
	}
	return sequences
}

func wantSequences(t *testing.T, got []int64, first, last int64) {
	t.Helper()
	if int64(len(got)) != last-first+1 {
		t.Fatalf("got %v, want %d to %d", got, first, last)
	}
	for i, sequence := range got {
		if sequence != first+int64(i) {
			t.Fatalf("got %v, want %d to %d", got, first, last)
		}
	}
}

// Streams that break neither lose nor repeat an event.
func TestSubscriptionSurvivesBrokenStreams(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 20)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var got []int64
	disconnected := 0
	observer := hookgate.Observer{Disconnected: func(error, time.Duration) { disconnected++ }}
	for event, err := range client.Subscribe(ctx, hookgate.FromEarliest(), hookgate.Observe(observer), quick) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, event.GetSequence())
		switch {
		case len(got) == 400:
			cancel()
		case len(got)%40 == 0:
			gateway.Drain(time.Millisecond)
			publish(gateway, 20)
		case len(got)%20 == 0:
			gateway.Disconnect()
			publish(gateway, 20)
		}
	}
	wantSequences(t, got, 1, 400)
	equal(t, disconnected, 19, "broken streams that the application was told of")
}

func TestStoredPositionIsGoneOnFrom(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 10)
	store := &hookgate.MemoryCursorStore{}
	options := []hookgate.SubscribeOption{hookgate.FromEarliest(), hookgate.Cursors(store), hookgate.SaveInterval(0)}
	wantSequences(t, take(t, client, 4, options...), 1, 4)
	wantSequences(t, take(t, client, 6, options...), 5, 10)
}

// The event at which a loop is left may not have been handled.
func TestEventAtWhichTheLoopIsLeftComesAgain(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 5)
	store := &hookgate.MemoryCursorStore{}
	for event, err := range client.Subscribe(bounded(t), hookgate.FromEarliest(), hookgate.Cursors(store)) {
		if err != nil {
			t.Fatal(err)
		}
		if event.GetSequence() == 3 {
			break
		}
	}
	wantSequences(t, take(t, client, 3, hookgate.FromEarliest(), hookgate.Cursors(store)), 3, 5)
}

// A second range over the same sequence begins again; it must not go on with the state of the first one.
func TestEachRangeIsASubscriptionOfItsOwn(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 2)
	events := client.Subscribe(bounded(t), hookgate.FromEarliest())
	for range 2 {
		for event, err := range events {
			if err != nil {
				t.Fatal(err)
			}
			equal(t, event.GetSequence(), 1, "first sequence")
			break
		}
	}
}

func TestFilters(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 3)
	gateway.Publish(&hookgate.Event{Type: "invoice.paid", Source: "stripe", Subject: "in_1"})
	got := take(t, client, 1, hookgate.FromEarliest(), hookgate.Types("invoice.*"), hookgate.Sources("stripe"), hookgate.Subjects("in_1"))
	wantSequences(t, got, 4, 4)
	got = take(t, client, 2, hookgate.FromCursor("test.1"), hookgate.Types("batch.failed"))
	wantSequences(t, got, 2, 3)
}

// ends ranges until the subscription gives up.
func ends(t *testing.T, client *hookgate.Client, options ...hookgate.SubscribeOption) error {
	t.Helper()
	var last error
	for event, err := range client.Subscribe(bounded(t), append(options, quick)...) {
		if last != nil {
			t.Fatalf("%v, %v came after the error %v", event, err, last)
		}
		last = err
	}
	if last == nil {
		t.Fatal("it ended without an error")
	}
	return last
}

func TestOvertakenPositionIsAnErrorThatSaysWhereToGoOn(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 10)
	store := &hookgate.MemoryCursorStore{}
	take(t, client, 2, hookgate.FromEarliest(), hookgate.Cursors(store), hookgate.SaveInterval(0))
	gateway.RemoveUpTo(7)
	var overtaken *hookgate.CursorOvertakenError
	if err := ends(t, client, hookgate.Cursors(store)); !errors.As(err, &overtaken) {
		t.Fatalf("not of its class: %v", err)
	}
	wantSequences(t, take(t, client, 3, hookgate.FromCursor(overtaken.EarliestCursor)), 8, 10)
	cursor, _ := store.Load(context.Background())
	equal(t, cursor, "test.2", "the stored position")

	gateway.ReplaceLog()
	var foreign *hookgate.ForeignCursorError
	if err := ends(t, client, hookgate.Cursors(store)); !errors.As(err, &foreign) || foreign.EarliestCursor == "" {
		t.Fatalf("not of its class: %v", err)
	}
}

// Rights that are taken away end a subscription that is open; a gateway that is full does not.
func TestFinalRefusalEndsTheSubscription(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 1)
	gateway.Refuse(hookgatetest.Error(codes.ResourceExhausted, "TOO_MANY_STREAMS", "full", nil))
	tries := 0
	observer := hookgate.Observer{
		Disconnected: func(why error, _ time.Duration) {
			if tries++; tries == 3 {
				gateway.Refuse(nil)
			}
			if !errors.Is(why, hookgate.ReasonTooManyStreams) {
				t.Errorf("why: %v", why)
			}
		},
		CaughtUp: func(*hookgatev1.SubscribeResponse_CaughtUp) {
			gateway.Refuse(hookgatetest.Error(codes.PermissionDenied, "MISSING_RIGHT", "no longer", nil))
		},
	}
	err := func() (last error) {
		for _, err := range client.Subscribe(bounded(t), hookgate.FromEarliest(), hookgate.Observe(observer), quick) {
			last = err
		}
		return last
	}()
	if !errors.Is(err, hookgate.ReasonMissingRight) {
		t.Errorf("it ended with %v", err)
	}
	equal(t, tries, 3, "tries at a full gateway")
}

func TestCursorStoreThatFailsEndsTheSubscription(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 1)
	full := errors.New("the disk is full")
	var store *hookgate.CursorStoreError
	err := ends(t, client, hookgate.FromEarliest(), hookgate.Cursors(hookgate.CursorFuncs{
		SaveFunc: func(context.Context, string) error { return full },
	}))
	if !errors.As(err, &store) || !errors.Is(err, full) {
		t.Errorf("it ended with %v", err)
	}
	err = ends(t, client, hookgate.Cursors(hookgate.CursorFuncs{
		LoadFunc: func(context.Context) (string, error) { return "", full },
	}))
	if !errors.As(err, &store) || !errors.Is(err, full) {
		t.Errorf("it ended with %v", err)
	}
}

// A gateway that takes the connection and says nothing more was waited for until the end of days.
func TestSilentStreamIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := newClient(t, listener.Addr().String())
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var why error
	observer := hookgate.Observer{Disconnected: func(err error, _ time.Duration) {
		why = err
		cancel()
	}}
	for _, err := range client.Subscribe(ctx, hookgate.OpenTimeout(50*time.Millisecond), hookgate.Observe(observer)) {
		t.Fatalf("it ended with %v", err)
	}
	var call *hookgate.CallError
	if !errors.As(why, &call) || call.Code != codes.Unavailable || !strings.Contains(why.Error(), "nothing came") {
		t.Errorf("why: %v", why)
	}
}

func TestHeartbeatsKeepAStreamAndMoveThePosition(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 3)
	store := &hookgate.MemoryCursorStore{}
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	beats := 0
	observer := hookgate.Observer{Heartbeat: func(beat *hookgatev1.SubscribeResponse_Heartbeat) {
		if beats++; beats == 3 {
			cancel()
		}
	}}
	for event, err := range client.Subscribe(ctx, hookgate.FromEarliest(), hookgate.Types("other"), hookgate.Cursors(store),
		hookgate.HeartbeatInterval(100*time.Millisecond), hookgate.Observe(observer)) {
		t.Fatal(event, err)
	}
	equal(t, gateway.StreamsOpened(), 1, "streams")
	cursor, _ := store.Load(context.Background())
	equal(t, cursor, "test.3", "the position, past events that do not match")
}

func TestClosedClientEndsTheSubscription(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 1)
	for _, err := range client.Subscribe(bounded(t), hookgate.FromEarliest()) {
		if err == nil {
			client.Close()
		} else if !errors.Is(err, hookgate.ErrClientClosed) {
			t.Fatal(err)
		}
	}
	if err := ends(t, client); !errors.Is(err, hookgate.ErrClientClosed) {
		t.Errorf("a later one ended with %v", err)
	}
}
