package hookgate_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	hookgate "github.com/hookgate/hookgate/client/go"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// olderGateway counts what it is given to do.
type olderGateway struct {
	hookgatev1.UnimplementedAdminServiceServer
	hookgatev1.UnimplementedSubscriptionServiceServer
	capabilities []string
	statusError  error
	updates      int
}

func (g *olderGateway) GetStatus(context.Context, *hookgatev1.GetStatusRequest) (*hookgatev1.GetStatusResponse, error) {
	return &hookgatev1.GetStatusResponse{Capabilities: g.capabilities}, g.statusError
}

func (g *olderGateway) UpdateSubscription(context.Context, *hookgatev1.UpdateSubscriptionRequest) (*hookgatev1.UpdateSubscriptionResponse, error) {
	g.updates++
	return &hookgatev1.UpdateSubscriptionResponse{}, nil
}

// A gateway that ignores update_mask replaced all settings of a subscription.
func TestCapabilities(t *testing.T) {
	for _, test := range []struct {
		name    string
		gateway olderGateway
		paths   []string
		missing string
		failed  bool
		updates int
	}{
		{name: "missing", gateway: olderGateway{capabilities: []string{"etag"}}, paths: []string{"max_attempts"}, missing: "update_mask"},
		{name: "there", gateway: olderGateway{capabilities: []string{"update_mask"}}, paths: []string{"max_attempts"}, updates: 1},
		{name: "not needed", updates: 1},
		{name: "no status", gateway: olderGateway{statusError: status.Error(codes.Unimplemented, "")}, paths: []string{"max_attempts"},
			missing: "update_mask"},
		{name: "may not ask", gateway: olderGateway{statusError: status.Error(codes.PermissionDenied, "")}, paths: []string{"max_attempts"},
			updates: 1},
		{name: "cannot ask", gateway: olderGateway{statusError: status.Error(codes.Unavailable, "")}, paths: []string{"max_attempts"},
			failed: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			hookgatev1.RegisterAdminServiceServer(server, &test.gateway)
			hookgatev1.RegisterSubscriptionServiceServer(server, &test.gateway)
			go func() { _ = server.Serve(listener) }()
			defer server.Stop()
			client, err := hookgate.NewClient(listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.UpdateSubscription(context.Background(), "work", nil, test.paths...)
			var missing *hookgate.CapabilityMissingError
			switch {
			case test.missing != "":
				if !errors.As(err, &missing) || missing.Capability != test.missing || missing.Retryable() ||
					!errors.Is(err, hookgate.ReasonCapabilityMissing) || status.Code(err) != codes.Unimplemented ||
					!strings.Contains(err.Error(), "the gateway at "+client.Target()+` does not have the capability "update_mask"`) {
					t.Errorf("the error is %v", err)
				}
			case (err != nil) != test.failed:
				t.Errorf("the error is %v", err)
			}
			if test.gateway.updates != test.updates {
				t.Errorf("it was called %d times", test.gateway.updates)
			}
			_, err = client.PauseSubscription(context.Background(), "work")
			if !errors.As(err, &missing) || missing.Capability != "pause" {
				t.Errorf("without the call the error is %v", err)
			}
		})
	}
}
