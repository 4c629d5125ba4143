package hookgate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Handler handles one delivery. What it returns decides:
//
//   - nil: the event is done with
//   - an error: it comes again after the subscription's back-off, which counts as an attempt; the error's text is kept
//     with the event, and shown with its next delivery
//   - NackAfter(delay, err): the same after delay
//   - DeadLetter(err): it never comes again, whatever attempts are left
//   - ErrGiveBack: it was not handled, through no fault of the event, which counts as no attempt
//
// Its context is cancelled, with ErrLeaseLost as the cause, from the moment when the event may be offered to another
// consumer: its stream has ended, its lease was lost or has run out, or a stop gives it back. What is returned then is
// told to the gateway all the same, which takes a late acknowledgement if nobody else has settled the event; but an error
// that is context.Canceled is taken for ErrGiveBack. Cancelling the context of Consume does not cancel it.
//
// A panic ends the process, as elsewhere: for the gateway that is a lost stream.
type Handler func(ctx context.Context, delivery *Delivery) error

// ErrLeaseLost is the cause of the end of a handler's context: the event may be with another consumer.
var ErrLeaseLost = errors.New("hookgate: the lease of the event was lost")

// ErrGiveBack is returned by a handler that has not handled its event, through no fault of the event. If the event is
// still held, the consumer stops as if its context were cancelled, because only the end of its stream gives an event
// back; until then the lease is extended.
var ErrGiveBack = errors.New("hookgate: given back")

// errGoexit is the verdict on an event whose handler has ended its goroutine.
var errGoexit = errors.New("the handler ended its goroutine")

type deadLetterError struct{ error }

func (e deadLetterError) Unwrap() error { return e.error }

// DeadLetter wraps err, which a handler returns to give its event up: it becomes a dead letter, with err's text as the
// reason.
func DeadLetter(err error) error { return deadLetterError{orUnknown(err)} }

type nackError struct {
	error
	delay time.Duration
}

func (e nackError) Unwrap() error { return e.error }

// NackAfter wraps err, which a handler returns to have its event come again after delay, from 0 to 12 h.
func NackAfter(delay time.Duration, err error) error { return nackError{orUnknown(err), delay} }

func orUnknown(err error) error {
	if err == nil {
		return errors.New("no reason was given")
	}
	return err
}

// verdict is what a handler has decided about one delivery.
type verdict struct {
	kind   verdictKind
	reason string
	delay  *durationpb.Duration
}

type verdictKind int

const (
	ack verdictKind = iota
	nack
	deadLetter
	giveBack
)

func verdictOf(err error, lost bool) verdict {
	if err == nil {
		return verdict{kind: ack}
	}
	if errors.Is(err, ErrGiveBack) || lost && errors.Is(err, context.Canceled) {
		return verdict{kind: giveBack}
	}
	result := verdict{kind: nack, reason: cutReason(err.Error())}
	var later nackError
	if errors.As(err, &deadLetterError{}) {
		result.kind = deadLetter
	} else if errors.As(err, &later) {
		result.delay = durationpb.New(max(later.delay, 0)) // Less is refused, and the stream with it.
	}
	return result
}

// cutReason keeps of a reason what a gateway keeps, and what can be sent at all: a text that is not UTF-8 would break the
// stream.
func cutReason(reason string) string {
	const most = 1024
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= most {
		return reason
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(reason[cut]) {
		cut--
	}
	return reason[:cut]
}

func nackItem(deliveryID string, v verdict) *hookgatev1.Nack_Item {
	item := &hookgatev1.Nack_Item{DeliveryId: deliveryID, Reason: v.reason}
	if v.kind == deadLetter {
		item.Next = &hookgatev1.Nack_Item_DeadLetter{DeadLetter: true}
	} else if v.delay != nil {
		item.Next = &hookgatev1.Nack_Item_Delay{Delay: v.delay}
	}
	return item
}

// UniqueConsumerName returns "HOST-PID-RANDOM": a consumer name that no other process has, and that tells where to look.
func UniqueConsumerName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '_'
		}
		return r
	}, host)
	// Containers have process ids, and often host names, in common.
	return fmt.Sprintf("%.100s-%d-%012x", host, os.Getpid(), rand.Uint64N(1<<48))
}

// Consume works off a durable subscription: the gateway keeps its position, and shares its events among all consumers.
// handle is called for one delivery at a time, or as many as Concurrency says, each in its own goroutine.
//
// An event is acknowledged only after its handler said so, so each is handled at least once. It comes twice if a stream
// breaks, or a lease ends, before the gateway has the acknowledgement. Within one Consume no event is handled twice at a
// time: when one comes again while its handler runs, what that handler returns counts for the newer delivery, unless it
// is ErrGiveBack: then the event is handled again. While a handler runs, the lease of its event is extended, up to
// LongestLease.
//
// Consume blocks until ctx is cancelled, which stops it gracefully: it takes nothing more, gives back what has not begun,
// lets the handlers that run finish, and acknowledges what they did; what has not finished after StopGrace is given back.
// Then it returns nil. GiveBackOnStop and GiveBackWhen are the other way to stop. None of it counts as an attempt.
//
// It returns an error if trying again would not help: a *CallError that is not Retryable, such as one with
// ReasonSubscriptionNotFound, or ErrClientClosed. Everything else is tried again for ever, with back-off; Observe tells
// of it. Either way it returns when no handler runs any more.
func (c *Client) Consume(ctx context.Context, subscription string, handle Handler, options ...ConsumeOption) error {
	settings := consumeSettings{
		streamSettings: defaultStreamSettings(),
		concurrency:    1,
		longestLease:   time.Hour,
		stopGrace:      30 * time.Second,
		giveBackGrace:  10 * time.Second,
	}
	for _, option := range options {
		option.applyConsume(&settings)
	}
	if settings.name == "" {
		settings.name = UniqueConsumerName()
	}
	return newConsumer(c, subscription, handle, &settings).run(ctx)
}
