package hookgate_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	hookgate "github.com/hookgate/hookgate/client/go"
	openaiv1 "github.com/hookgate/hookgate/client/go/gen/hookgate/openai/v1"
	"github.com/hookgate/hookgate/client/go/hookgatetest"
)

// A goroutine that outlives Subscribe, Consume and Close would go on for ever in a service that makes many of them.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := goroutinesLeft(10 * time.Second); left != "" && code == 0 {
		fmt.Println("goroutines are left:\n" + left)
		code = 1
	}
	os.Exit(code)
}

// goroutinesLeft returns the stacks of goroutines of this module and of gRPC, besides this one, that do not end within
// patience.
func goroutinesLeft(patience time.Duration) string {
	deadline := time.Now().Add(patience)
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		var left []string
		for i, stack := range strings.Split(string(stacks), "\n\n") {
			if i > 0 && (strings.Contains(stack, "hookgate/client/go") || strings.Contains(stack, "google.golang.org/grpc")) {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
		runtime.Gosched()
	}
}

// bounded returns a context that ends with the test, or after a time that no test takes.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T, target string, options ...hookgate.ClientOption) *hookgate.Client {
	t.Helper()
	client, err := hookgate.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// quick has streams opened again without a wait that a test would notice.
var quick = hookgate.RetryBackoff(hookgate.Backoff{Initial: time.Millisecond, Maximum: 10 * time.Millisecond})

// publish stores n events of batches that failed: batch_1, batch_2 and so on by their sequences.
func publish(gateway *hookgatetest.Gateway, n int) {
	for range n {
		sequence := gateway.Publish() + 1
		gateway.Publish(hookgatetest.NewEvent(&openaiv1.BatchFailedWebhookEvent{
			Data: &openaiv1.BatchFailedWebhookEvent_Data{Id: fmt.Sprintf("batch_%d", sequence)},
		}))
	}
}

func equal[T comparable](t *testing.T, got, want T, what string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
