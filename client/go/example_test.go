package hookgate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	hookgate "github.com/hookgate/hookgate/client/go"
	openaiv1 "github.com/hookgate/hookgate/client/go/gen/hookgate/openai/v1"
	"github.com/hookgate/hookgate/client/go/hookgatetest"
)

// newGateway stands for a real one, so that the examples run.
func newGateway(batches ...string) *hookgatetest.Gateway {
	gateway, err := hookgatetest.Start()
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range batches {
		gateway.Publish(hookgatetest.NewEvent(&openaiv1.BatchFailedWebhookEvent{Data: &openaiv1.BatchFailedWebhookEvent_Data{Id: id}}))
	}
	return gateway
}

func ExampleClient_Subscribe() {
	gateway := newGateway("batch_1", "batch_2")
	defer gateway.Close()
	folder, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(folder)

	client, err := hookgate.NewClient(gateway.Target()) // Elsewhere: hookgate.WithTLSCA("ca.pem"), hookgate.WithTokenFile("token")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for event, err := range client.Subscribe(ctx, hookgate.FromEarliest(), hookgate.Types("batch.failed"),
		hookgate.CursorFile(filepath.Join(folder, "cursor"))) {
		if err != nil {
			log.Fatal(err) // It gave up: trying again would not help.
		}
		fmt.Println(event.GetBatchFailed().GetData().GetId(), "failed")
		if event.GetSequence() == 2 {
			stop()
		}
	}
	// Output:
	// batch_1 failed
	// batch_2 failed
}

func ExampleClient_Consume() {
	gateway := newGateway("batch_1", "batch_2")
	defer gateway.Close()
	client, err := hookgate.NewClient(gateway.Target())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := context.WithCancel(context.Background()) // A service: signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := client.CreateSubscription(ctx, "batch-retry", hookgate.FromEarliest(), nil); err != nil &&
		!errors.Is(err, hookgate.ReasonSubscriptionExists) {
		log.Fatal(err)
	}

	err = client.Consume(ctx, "batch-retry", func(ctx context.Context, delivery *hookgate.Delivery) error {
		fmt.Println("creates again", delivery.GetEvent().GetSubject())
		if delivery.GetEvent().GetSequence() == 2 {
			stop()
		}
		return nil // Done. An error: again, after a back-off; hookgate.DeadLetter(err): never again.
	}, hookgate.Concurrency(1))
	fmt.Println("stopped:", err)
	fmt.Println("acknowledged:", gateway.Acked("batch-retry"))
	// Output:
	// creates again batch_1
	// creates again batch_2
	// stopped: <nil>
	// acknowledged: [1 2]
}

func ExampleCursorOvertakenError() {
	gateway := newGateway("batch_1", "batch_2", "batch_3")
	defer gateway.Close()
	gateway.RemoveUpTo(2)
	client, err := hookgate.NewClient(gateway.Target())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for _, err := range client.Subscribe(context.Background(), hookgate.FromCursor("test.1")) {
		var overtaken *hookgate.CursorOvertakenError
		if errors.As(err, &overtaken) {
			fmt.Println("events are lost; go on from", overtaken.EarliestCursor)
		}
	}
	// Output:
	// events are lost; go on from test.2
}
