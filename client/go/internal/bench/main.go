// Command bench is the Go side of the bench of client libraries. tests/clients/bench/README.md of the repository says what
// a worker does and prints.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	hookgate "github.com/hookgate/hookgate/client/go"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

var (
	target       = flag.String("target", "", "HOST:PORT of the gateway")
	by           = flag.String("by", "library", "library or bare")
	do           = flag.String("do", "", "subscribe, consume, hold, watch_subscribe or watch_consume")
	events       = flag.Int64("events", 0, "how many are read in a pass, or held")
	passes       = flag.Int64("passes", 1, "how often subscribe reads them")
	concurrency  = flag.Int("concurrency", 1, "how many deliveries are in flight")
	subscription = flag.String("subscription", "", "the durable subscription")
)

// handledBytes is what a handler does with an event: something that cannot be left out.
var handledBytes atomic.Int64

func handle(event *hookgate.Event) { handledBytes.Add(int64(len(event.GetSubject()))) }

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	library := *by == "library"
	began, cpuBefore := time.Now(), cpuSeconds()
	report := func(events int64) {
		fmt.Printf("{\"events\": %d, \"seconds\": %f, \"cpu_seconds\": %f}\n", events, time.Since(began).Seconds(),
			cpuSeconds()-cpuBefore)
	}
	switch *do {
	case "subscribe":
		for range *passes {
			if err := either(library, subscribeByLibrary, subscribeBare); err != nil {
				return err
			}
		}
		report(*events * *passes)
		return nil
	case "consume":
		if err := either(library, consumeByLibrary, consumeBare); err != nil {
			return err
		}
		report(*events)
		return nil
	case "hold":
		return either(library, holdByLibrary, holdBare)
	case "watch_subscribe":
		return withClient(watchSubscribe)
	case "watch_consume":
		return withClient(watchConsume)
	}
	return fmt.Errorf("there is no -do=%s", *do)
}

func either(library bool, byLibrary func(*hookgate.Client) error, bare func(grpc.ClientConnInterface) error) error {
	if library {
		return withClient(byLibrary)
	}
	conn, err := grpc.NewClient(*target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	return bare(conn)
}

func withClient(do func(*hookgate.Client) error) error {
	client, err := hookgate.NewClient(*target)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client)
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func memoryKiB(field string) int64 {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), field); found {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				panic(err)
			}
			return kib
		}
	}
	panic("/proc/self/status does not tell")
}

func reportHeld(beforeKiB int64) {
	fmt.Printf("{\"held\": %d, \"before_kib\": %d, \"kib\": %d, \"peak_kib\": %d}\n", *events, beforeKiB,
		memoryKiB("VmRSS:"), memoryKiB("VmHWM:"))
}

func awaitEndOfInput() { _, _ = io.Copy(io.Discard, os.Stdin) }

// untilEndOfInput is cancelled then.
func untilEndOfInput() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		awaitEndOfInput()
		cancel()
	}()
	return ctx
}

func subscribeByLibrary(client *hookgate.Client) error {
	var seen int64
	for event, err := range client.Subscribe(context.Background(), hookgate.FromEarliest()) {
		if err != nil {
			return err
		}
		handle(event)
		if seen++; seen == *events {
			break
		}
	}
	return nil
}

func subscribeBare(conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request := &hookgatev1.SubscribeRequest{}
	request.Start = &hookgatev1.SubscribeRequest_StartPosition{StartPosition: hookgatev1.StartPosition_START_POSITION_EARLIEST}
	stream, err := hookgatev1.NewEventServiceClient(conn).Subscribe(ctx, request)
	if err != nil {
		return err
	}
	for seen := int64(0); seen < *events; {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, event := range response.GetEventBatch().GetEvents() {
			handle(event)
			seen++
		}
	}
	return nil
}

func consumeByLibrary(client *hookgate.Client) error {
	return client.Consume(context.Background(), *subscription, func(_ context.Context, delivery *hookgate.Delivery) error {
		handle(delivery.GetEvent())
		return nil
	}, hookgate.Concurrency(*concurrency), hookgate.MaxEvents(*events))
}

func openConsume(ctx context.Context, conn grpc.ClientConnInterface) (hookgatev1.SubscriptionService_ConsumeClient, error) {
	stream, err := hookgatev1.NewSubscriptionServiceClient(conn).Consume(ctx)
	if err != nil {
		return nil, err
	}
	outstanding := int64(*concurrency)
	return stream, stream.Send(&hookgatev1.ConsumeRequest{Frame: &hookgatev1.ConsumeRequest_Open_{
		Open: &hookgatev1.ConsumeRequest_Open{
			Subscription: *subscription,
			ConsumerName: "bare",
			Limits:       &hookgatev1.FlowLimits{MaxOutstandingMessages: &outstanding},
		},
	}})
}

// consumeBare acks the deliveries of a frame in one.
func consumeBare(conn grpc.ClientConnInterface) error {
	stream, err := openConsume(context.Background(), conn)
	if err != nil {
		return err
	}
	for acked := int64(0); acked < *events; {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		acked += int64(len(response.GetAckResults().GetResults()))
		var ids []string
		for _, delivery := range response.GetDeliveries().GetDeliveries() {
			handle(delivery.GetEvent())
			ids = append(ids, delivery.GetDeliveryId())
		}
		if len(ids) == 0 {
			continue
		}
		ack := &hookgatev1.ConsumeRequest{Frame: &hookgatev1.ConsumeRequest_Ack{Ack: &hookgatev1.Ack{DeliveryIds: ids}}}
		if err := stream.Send(ack); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func holdByLibrary(client *hookgate.Client) error {
	beforeKiB := memoryKiB("VmRSS:")
	ctx := untilEndOfInput()
	var held atomic.Int64
	return client.Consume(ctx, *subscription, func(context.Context, *hookgate.Delivery) error {
		if held.Add(1) == *events {
			reportHeld(beforeKiB)
		}
		<-ctx.Done()
		return nil
	}, hookgate.Concurrency(*concurrency))
}

func holdBare(conn grpc.ClientConnInterface) error {
	beforeKiB := memoryKiB("VmRSS:")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := openConsume(ctx, conn)
	if err != nil {
		return err
	}
	var held []*hookgate.Delivery
	for int64(len(held)) < *events {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		held = append(held, response.GetDeliveries().GetDeliveries()...)
	}
	reportHeld(beforeKiB)
	awaitEndOfInput()
	return nil
}

func printOpened() { fmt.Println(`{"opened": true}`) }

func printEvent(event *hookgate.Event) { fmt.Printf("{\"event\": %q}\n", event.GetWebhookId()) }

func watchSubscribe(client *hookgate.Client) error {
	observer := hookgate.Observer{Opened: func(*hookgatev1.SubscribeResponse_Opened) { printOpened() }}
	for event, err := range client.Subscribe(untilEndOfInput(), hookgate.Observe(observer)) {
		if err != nil {
			return err
		}
		printEvent(event)
	}
	return nil
}

func watchConsume(client *hookgate.Client) error {
	observer := hookgate.Observer{ConsumeOpened: func(*hookgatev1.ConsumeResponse_Opened) { printOpened() }}
	return client.Consume(untilEndOfInput(), *subscription, func(_ context.Context, delivery *hookgate.Delivery) error {
		printEvent(delivery.GetEvent())
		return nil
	}, hookgate.Observe(observer))
}
