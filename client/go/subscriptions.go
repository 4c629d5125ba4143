package hookgate

import (
	"context"
	"iter"
	"time"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// CreateSubscription makes a durable subscription that begins at start. settings may be nil: all events, and defaults.
// It fails with ReasonSubscriptionExists if there is one of this name.
func (c *Client) CreateSubscription(ctx context.Context, name string, start Start, settings *SubscriptionSettings) (*Subscription, error) {
	response, err := c.subscriptions.CreateSubscription(ctx, &hookgatev1.CreateSubscriptionRequest{
		Name: name, Settings: settings, Start: start.proto(),
	})
	return response.GetSubscription(), err
}

// GetSubscription returns settings, backlog and consumers. It fails with ReasonSubscriptionNotFound if there is none.
func (c *Client) GetSubscription(ctx context.Context, name string) (*Subscription, error) {
	response, err := c.subscriptions.GetSubscription(ctx, &hookgatev1.GetSubscriptionRequest{Name: name})
	return response.GetSubscription(), err
}

// ListSubscriptions returns all of them, by name, without their consumers.
func (c *Client) ListSubscriptions(ctx context.Context) iter.Seq2[*Subscription, error] {
	return pages(ctx, &hookgatev1.ListSubscriptionsRequest{}, c.subscriptions.ListSubscriptions,
		func(r *hookgatev1.ListSubscriptionsRequest, token string) { r.PageToken = token },
		(*hookgatev1.ListSubscriptionsResponse).GetSubscriptions)
}

// UpdateSubscription changes those of the settings that paths name, such as "max_attempts" or "filter.types"; without
// paths all of them. What is absent in settings gets its default.
func (c *Client) UpdateSubscription(ctx context.Context, name string, settings *SubscriptionSettings, paths ...string) (*Subscription, error) {
	request := &hookgatev1.UpdateSubscriptionRequest{Name: name, Settings: settings}
	if len(paths) > 0 {
		request.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
	}
	response, err := c.subscriptions.UpdateSubscription(ctx, request)
	return response.GetSubscription(), err
}

// DeleteSubscription ends the streams of its consumers, and forgets the subscription, its position and its dead letters.
func (c *Client) DeleteSubscription(ctx context.Context, name string) error {
	_, err := c.subscriptions.DeleteSubscription(ctx, &hookgatev1.DeleteSubscriptionRequest{Name: name})
	return err
}

// SeekSubscription moves the position to start.
func (c *Client) SeekSubscription(ctx context.Context, name string, start Start) (*Subscription, error) {
	response, err := c.subscriptions.SeekSubscription(ctx, &hookgatev1.SeekSubscriptionRequest{Name: name, Target: start.proto()})
	return response.GetSubscription(), err
}

// PauseSubscription has nothing more handed out until ResumeSubscription, whatever restarts in between.
func (c *Client) PauseSubscription(ctx context.Context, name string) (*Subscription, error) {
	response, err := c.subscriptions.PauseSubscription(ctx, &hookgatev1.PauseSubscriptionRequest{Name: name})
	return response.GetSubscription(), err
}

// ResumeSubscription ends a pause.
func (c *Client) ResumeSubscription(ctx context.Context, name string) (*Subscription, error) {
	response, err := c.subscriptions.ResumeSubscription(ctx, &hookgatev1.ResumeSubscriptionRequest{Name: name})
	return response.GetSubscription(), err
}

// ListDeliveries returns what became of the events that were delivered.
func (c *Client) ListDeliveries(ctx context.Context, request *hookgatev1.ListDeliveriesRequest) iter.Seq2[*ListedDelivery, error] {
	return pages(ctx, request, c.subscriptions.ListDeliveries,
		func(r *hookgatev1.ListDeliveriesRequest, token string) { r.PageToken = token },
		(*hookgatev1.ListDeliveriesResponse).GetDeliveries)
}

// ListDeadLetters returns what was given up, oldest sequence first.
func (c *Client) ListDeadLetters(ctx context.Context, request *hookgatev1.ListDeadLettersRequest) iter.Seq2[*hookgatev1.DeadLetter, error] {
	return pages(ctx, request, c.subscriptions.ListDeadLetters,
		func(r *hookgatev1.ListDeadLettersRequest, token string) { r.PageToken = token },
		(*hookgatev1.ListDeadLettersResponse).GetDeadLetters)
}

// PullRequest says what Client.Pull takes.
type PullRequest struct {
	Subscription string
	// ConsumerName is who takes them, as the gateway shows it. Required.
	ConsumerName string
	// MaxEvents is from 1 to 1000. What the consumer name holds already counts against it.
	MaxEvents int
	// Wait is how long to wait for the first; at most 1 min. 0: not at all.
	Wait           time.Duration
	IncludeRawBody bool
}

// Pull takes deliveries at once, for programs that cannot stream; there may be more than it returns. Their leases end at
// their deadline: Acknowledge them, or extend them, before.
func (c *Client) Pull(ctx context.Context, request PullRequest) ([]*Delivery, error) {
	response, err := c.subscriptions.Pull(ctx, &hookgatev1.PullRequest{
		Subscription:   request.Subscription,
		ConsumerName:   request.ConsumerName,
		MaxEvents:      int32(min(request.MaxEvents, 1<<30)),
		Wait:           durationpb.New(request.Wait),
		IncludeRawBody: request.IncludeRawBody,
	})
	return response.GetDeliveries(), err
}

// Verdict is what is told of one delivery: Acked, Nacked, or Extended.
type Verdict struct {
	deliveryID string
	isExtend   bool
	extendBy   time.Duration
	verdict    verdict
}

// Acked says that the delivery's event is done with.
func Acked(deliveryID string) Verdict { return Verdict{deliveryID: deliveryID} }

// Nacked says that it is not: err decides as what a Handler returns. nil and ErrGiveBack are a Nack as well.
func Nacked(deliveryID string, err error) Verdict {
	v := verdictOf(orUnknown(err), false)
	if v.kind == giveBack {
		v = verdict{kind: nack, reason: ErrGiveBack.Error()}
	}
	return Verdict{deliveryID: deliveryID, verdict: v}
}

// Extended asks for more time: the lease ends after d, from 5 s to 12 h. 0: the subscription's ack deadline.
func Extended(deliveryID string, d time.Duration) Verdict {
	return Verdict{deliveryID: deliveryID, isExtend: true, extendBy: d}
}

// Acknowledge tells verdicts on deliveries of Pull; at most 10,000 of a kind. It returns when that is durable, with one
// result for each, in the order of the verdicts.
func (c *Client) Acknowledge(ctx context.Context, subscription string, verdicts ...Verdict) ([]*AckResult, error) {
	request := &hookgatev1.AcknowledgeRequest{
		Subscription: subscription, Ack: &hookgatev1.Ack{}, Nack: &hookgatev1.Nack{}, Extend: &hookgatev1.Extend{},
	}
	// The answer has acks first, then nacks, then extensions.
	var order [3][]int
	for i, v := range verdicts {
		switch {
		case v.isExtend:
			item := &hookgatev1.Extend_Item{DeliveryId: v.deliveryID}
			if v.extendBy > 0 {
				item.Deadline = durationpb.New(v.extendBy)
			}
			request.Extend.Items = append(request.Extend.Items, item)
			order[2] = append(order[2], i)
		case v.verdict.kind == ack:
			request.Ack.DeliveryIds = append(request.Ack.DeliveryIds, v.deliveryID)
			order[0] = append(order[0], i)
		default:
			request.Nack.Items = append(request.Nack.Items, nackItem(v.deliveryID, v.verdict))
			order[1] = append(order[1], i)
		}
	}
	response, err := c.subscriptions.Acknowledge(ctx, request)
	if err != nil {
		return nil, err
	}
	results := make([]*AckResult, len(verdicts))
	answered := response.GetResults()
	for _, kind := range order {
		for _, i := range kind {
			if len(answered) == 0 {
				return results, nil // A gateway that answers less than it was asked.
			}
			results[i], answered = answered[0], answered[1:]
		}
	}
	return results, nil
}
