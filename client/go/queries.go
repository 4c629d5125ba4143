package hookgate

import (
	"context"
	"iter"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/protobuf/proto"
)

// ListEvents returns the events that match request, page after page, from its page_token on. A range that is left asks
// for no further page. An error ends it.
func (c *Client) ListEvents(ctx context.Context, request *hookgatev1.ListEventsRequest) iter.Seq2[*Event, error] {
	return pages(ctx, request, c.events.ListEvents,
		func(r *hookgatev1.ListEventsRequest, token string) { r.PageToken = token }, (*hookgatev1.ListEventsResponse).GetEvents)
}

// ListRecentFailures returns what failed lately, newest first, in the way of ListEvents.
func (c *Client) ListRecentFailures(ctx context.Context, request *hookgatev1.ListRecentFailuresRequest) iter.Seq2[*Event, error] {
	return pages(ctx, request, c.events.ListRecentFailures,
		func(r *hookgatev1.ListRecentFailuresRequest, token string) { r.PageToken = token },
		(*hookgatev1.ListRecentFailuresResponse).GetEvents)
}

// GetEvent returns the event with this sequence. It fails with ReasonEventNotFound if there is none (any more).
func (c *Client) GetEvent(ctx context.Context, sequence int64) (*Event, error) {
	response, err := c.events.GetEvent(ctx, &hookgatev1.GetEventRequest{
		Key: &hookgatev1.GetEventRequest_Sequence{Sequence: sequence},
	})
	return response.GetEvent(), err
}

// GetEventByWebhookID returns the event that its sender calls webhookID, in the way of GetEvent.
func (c *Client) GetEventByWebhookID(ctx context.Context, source, webhookID string) (*Event, error) {
	response, err := c.events.GetEvent(ctx, &hookgatev1.GetEventRequest{
		Key: &hookgatev1.GetEventRequest_Webhook{
			Webhook: &hookgatev1.GetEventRequest_WebhookKey{Source: source, WebhookId: webhookID},
		},
	})
	return response.GetEvent(), err
}

// ExplainEvent tells all that is known of the event that a person has in hand by text: the id in its body, its subject,
// such as a batch's id, or its webhook-id. An event that is not there is no error.
func (c *Client) ExplainEvent(ctx context.Context, text string) (*hookgatev1.ExplainEventResponse, error) {
	return c.events.ExplainEvent(ctx, &hookgatev1.ExplainEventRequest{
		Key: &hookgatev1.ExplainEventRequest_Text{Text: text},
	})
}

// pages asks for page after page. get is a call of a stub, which takes grpc.CallOptions.
func pages[Request proto.Message, Response interface{ GetNextPageToken() string }, Item, CallOption any](
	ctx context.Context, request Request, get func(context.Context, Request, ...CallOption) (Response, error),
	setToken func(Request, string), items func(Response) []Item) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		page := proto.CloneOf(request)
		for {
			response, err := get(ctx, page)
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range items(response) {
				if !yield(item, nil) {
					return
				}
			}
			if response.GetNextPageToken() == "" {
				return
			}
			setToken(page, response.GetNextPageToken())
		}
	}
}
