package opentelemetry_test

import (
	"context"
	"errors"
	"log"
	"os/signal"
	"syscall"

	hookgate "github.com/hookgate/hookgate/client/go"
	"github.com/hookgate/hookgate/client/go/opentelemetry"
)

// Each handler runs in a span that goes on with the event's trace. The SDK, with an exporter, is set up elsewhere.
func ExampleHandler() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	client, err := hookgate.NewClient("127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	handle := func(ctx context.Context, delivery *hookgate.Delivery) error {
		batch := delivery.GetEvent().GetBatchFailed()
		if batch == nil {
			return hookgate.DeadLetter(errors.New("not a failed batch"))
		}
		log.Println("batch", batch.GetData().GetId(), "failed")
		return nil
	}
	if err := client.Consume(ctx, "billing", opentelemetry.Handler(handle)); err != nil {
		log.Fatal(err)
	}
}
