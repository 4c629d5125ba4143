package hookgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"time"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Subscribe returns the gateway's events, in order, over any number of broken streams. The stream is opened when the
// range over them begins; a second range begins again, at the stored position if there is a CursorStore.
//
// The position moves past an event when the loop asks for the next one. So an event is handled at least once; it comes
// again if the loop was left in its body (by break or return), or if the process died before the position was saved.
//
// The range ends when ctx is cancelled, without an error: at once when it waits, after the loop's body when it is in it,
// and the event counts as handled then. Otherwise it ends with one error, and a nil event, if trying again would not
// help:
//
//   - a *CallError that is not Retryable, and so for a position that is of no use a *CursorOvertakenError or a
//     *ForeignCursorError: the stored position stays as it is
//   - a *CursorStoreError, of the CursorStore
//   - ErrClientClosed
//
// Everything else (no route, a crash, a silent stream, a drain, a full gateway) is tried again for ever, with back-off,
// from the position; Observe tells of it.
func (c *Client) Subscribe(ctx context.Context, options ...SubscribeOption) iter.Seq2[*Event, error] {
	settings := subscribeSettings{
		streamSettings: defaultStreamSettings(),
		filter:         &Filter{},
		start:          FromLatest(),
		saveInterval:   time.Second,
	}
	for _, option := range options {
		option.applySubscribe(&settings)
	}
	return func(yield func(*Event, error) bool) {
		subscriber := &subscriber{client: c, settings: &settings, retries: retries{backoff: settings.backoff}}
		if err := subscriber.run(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

// errLoopLeft says that the loop over the events was left in its body.
var errLoopLeft = errors.New("the loop was left")

// subscriber is one range over a subscription's events.
type subscriber struct {
	client   *Client
	settings *subscribeSettings
	retries  retries
	position string // Everything up to here is handled. Empty: begin at settings.start.
	saved    string
	savedAt  time.Time
}

// run returns the error that is the range's last; nil if it was stopped or left.
func (s *subscriber) run(ctx context.Context, yield func(*Event, error) bool) error {
	if err := s.load(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		end, err := s.stream(ctx, yield)
		saved := s.save(ctx)
		if errors.Is(err, errLoopLeft) {
			if saved != nil {
				// Nobody takes it; what was handled comes again.
				s.client.logger.Error("hookgate: the position of a subscription that was left is not saved", "error", saved)
			}
			return nil
		}
		if err = cmpOr(err, saved); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		delay := s.retries.delayAfter(end)
		s.client.logger.Warn("hookgate: a subscription's stream broke", "error", end.why, "next_try_in", delay)
		s.settings.observer.disconnected(end.why, delay)
		if err := s.client.wait(ctx, delay); err != nil {
			return err
		}
	}
	return nil
}

func cmpOr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// wait returns early, without an error, if ctx is cancelled.
func (c *Client) wait(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-c.open.Done():
		return ErrClientClosed
	}
	return nil
}

func (s *subscriber) load(ctx context.Context) error {
	s.savedAt = time.Now()
	if s.settings.store == nil {
		return nil
	}
	cursor, err := s.settings.store.Load(ctx)
	if err != nil {
		return &CursorStoreError{"cannot load the subscription's position", err}
	}
	s.position, s.saved = cursor, cursor
	return nil
}

// save is cheap if the position is as saved.
func (s *subscriber) save(ctx context.Context) error {
	if s.settings.store == nil || s.position == s.saved {
		return nil
	}
	// What was handled is to be remembered, all the more when this is the end.
	if err := s.settings.store.Save(context.WithoutCancel(ctx), s.position); err != nil {
		return &CursorStoreError{"cannot save the subscription's position", err}
	}
	s.saved, s.savedAt = s.position, time.Now()
	return nil
}

func (s *subscriber) moveTo(cursor string) {
	if cursor != "" {
		s.position = cursor
	}
}

func (s *subscriber) request() *hookgatev1.SubscribeRequest {
	request := &hookgatev1.SubscribeRequest{
		Filter:            s.settings.filter,
		HeartbeatInterval: durationpb.New(s.settings.heartbeat),
		ClientName:        s.settings.clientName,
		IncludeRawBody:    s.settings.includeRawBody,
	}
	start := s.settings.start
	if s.position != "" {
		start = FromCursor(s.position)
	}
	start.inRequest(request)
	return request
}

// stream handles one stream's frames until it ends. An error is final.
func (s *subscriber) stream(parent context.Context, yield func(*Event, error) bool) (streamEnd, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var silent atomic.Bool
	patience, interval := s.settings.openTimeout, s.settings.patience(nil)
	watchdog := time.AfterFunc(patience, func() {
		silent.Store(true)
		cancel()
	})
	defer watchdog.Stop()

	token := s.client.token.current()
	var end streamEnd
	stream, err := s.client.events.Subscribe(ctx, s.request())
	for err == nil {
		var frame *hookgatev1.SubscribeResponse
		if frame, err = stream.Recv(); err != nil {
			break
		}
		if parent.Err() != nil {
			return end, nil
		}
		// Only the wait for a frame counts: the loop's body may take its time.
		watchdog.Stop()
		if opened := frame.GetOpened(); opened != nil {
			interval = s.settings.patience(opened.GetHeartbeatInterval())
		}
		if err := s.handle(parent, frame, &end, yield); err != nil {
			return end, err
		}
		patience = interval
		watchdog.Reset(patience)
	}
	if parent.Err() != nil {
		return end, nil
	}
	if silent.Load() && !s.client.closed() {
		end.why = s.client.unavailable("cannot subscribe", fmt.Sprintf("nothing came from the gateway for %v", patience))
		return end, nil
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	final, broke := s.client.endOfStream(err, "cannot subscribe", token)
	end.why, end.retryDelay = broke.why, broke.retryDelay
	return end, final
}

// handle returns errLoopLeft, or an error of the CursorStore.
func (s *subscriber) handle(ctx context.Context, frame *hookgatev1.SubscribeResponse, end *streamEnd, yield func(*Event, error) bool) error {
	observer := &s.settings.observer
	switch frame := frame.GetFrame().(type) {
	case *hookgatev1.SubscribeResponse_Opened_:
		// The start is fixed here: whatever is stored from now on is found from this cursor, even if the stream breaks before
		// its first event.
		if s.position == "" {
			s.moveTo(frame.Opened.GetCursor())
		}
		tell(observer.Opened, frame.Opened)
	case *hookgatev1.SubscribeResponse_EventBatch_:
		for _, event := range frame.EventBatch.GetEvents() {
			if ctx.Err() != nil {
				break
			}
			if !yield(event, nil) {
				return errLoopLeft
			}
			end.useful = true
			s.moveTo(event.GetCursor())
			if time.Since(s.savedAt) >= s.settings.saveInterval {
				if err := s.save(ctx); err != nil {
					return err
				}
			}
		}
	// Cursors of the frames below cover events that did not match as well. Everything sent before them has been handled when
	// they are read.
	case *hookgatev1.SubscribeResponse_CaughtUp_:
		s.moveTo(frame.CaughtUp.GetCursor())
		tell(observer.CaughtUp, frame.CaughtUp)
	case *hookgatev1.SubscribeResponse_Heartbeat_:
		end.useful = true
		s.moveTo(frame.Heartbeat.GetCursor())
		tell(observer.Heartbeat, frame.Heartbeat)
	case *hookgatev1.SubscribeResponse_Draining_:
		s.moveTo(frame.Draining.GetCursor())
		observer.draining(frame.Draining.GetReconnectDelay(), end)
	default:
		return nil // A frame of a newer gateway: a sign of life, and no more.
	}
	return s.save(ctx)
}
