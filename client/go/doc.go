// Package hookgate receives webhooks from a Hookgate gateway: as a stream that is resumed where it was left, or as the
// share of a durable subscription.
//
// [Client.Subscribe] keeps the position with the caller. It reconnects by itself, with back-off, goes on exactly after
// the last event that was handled, and takes a stream that is silent for 2.5 heartbeats for dead:
//
//	client, err := hookgate.NewClient("gateway:50051", hookgate.WithTLSCA("ca.pem"), hookgate.WithTokenFile("alerts.token"))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	for event, err := range client.Subscribe(ctx, hookgate.FromEarliest(), hookgate.CursorFile("/var/lib/alerts/cursor")) {
//		if err != nil {
//			return err // It gave up: trying again would not help.
//		}
//		alert(event.GetBatchFailed().GetData().GetId())
//	}
//
// [Client.Consume] leaves the position with the gateway, which shares the events of a durable subscription among its
// consumers and delivers each until one of them has acknowledged it:
//
//	err = client.Consume(ctx, "batch-retry", func(ctx context.Context, delivery *hookgate.Delivery) error {
//		return retry(ctx, delivery.GetEvent().GetSubject()) // nil acks, an error has it come again
//	}, hookgate.Concurrency(4))
//
// Both end when their context is cancelled, and leave no goroutine behind. Each event is handled at least once; source
// and webhook_id of an event are the key by which one that comes twice is known.
//
// Errors of calls are a [*CallError], which says by a stable [Reason] what happened and whether the same call is worth
// another try.
//
// The messages are those of the package gen/hookgate/v1, whose comments are the manual of the API.
package hookgate
