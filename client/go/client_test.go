package hookgate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	hookgate "github.com/hookgate/hookgate/client/go"
	openaiv1 "github.com/hookgate/hookgate/client/go/gen/hookgate/openai/v1"
	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"github.com/hookgate/hookgate/client/go/hookgatetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// guarded is a gateway that knows its callers by tokens.
type guarded struct {
	hookgatev1.UnimplementedEventServiceServer
	mu    sync.Mutex
	token string
	seen  []string
}

func (g *guarded) check(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, strings.Join(md.Get("authorization"), ","))
	if g.token != "" && g.seen[len(g.seen)-1] != "Bearer "+g.token {
		return hookgatetest.Error(codes.Unauthenticated, "UNAUTHENTICATED", "no such token", nil)
	}
	return nil
}

func (g *guarded) GetEvent(ctx context.Context, _ *hookgatev1.GetEventRequest) (*hookgatev1.GetEventResponse, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, status.Error(codes.Internal, "the call has no deadline")
	}
	return &hookgatev1.GetEventResponse{Event: &hookgatev1.Event{Sequence: 1}}, g.check(ctx)
}

// Subscribe ends each stream at once, as if its token was taken away.
func (g *guarded) Subscribe(_ *hookgatev1.SubscribeRequest, stream grpc.ServerStreamingServer[hookgatev1.SubscribeResponse]) error {
	if err := g.check(stream.Context()); err != nil {
		return err
	}
	return stream.Send(&hookgatev1.SubscribeResponse{Frame: &hookgatev1.SubscribeResponse_EventBatch_{
		EventBatch: &hookgatev1.SubscribeResponse_EventBatch{Events: []*hookgatev1.Event{{Sequence: 1, Cursor: "c"}}}}})
}

func serve(t *testing.T, service *guarded, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	hookgatev1.RegisterEventServiceServer(server, service)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenFileIsReadForEachCall(t *testing.T) {
	service := &guarded{}
	file := filepath.Join(t.TempDir(), "token")
	writeFile(t, file, " one\n")
	client := newClient(t, serve(t, service), hookgate.WithTokenFile(file))
	for _, token := range []string{"one", "two"} {
		writeFile(t, file, token+"\n")
		if _, err := client.GetEvent(bounded(t), 1); err != nil {
			t.Fatal(err)
		}
		equal(t, service.seen[len(service.seen)-1], "Bearer "+token, "header")
	}
}

// A gateway that took away the old token ended every subscription for good, though the new one was in its file.
func TestStreamRefusedWithAnOldTokenIsOpenedWithTheNewOne(t *testing.T) {
	service := &guarded{token: "new"}
	file := filepath.Join(t.TempDir(), "token")
	writeFile(t, file, "old")
	client := newClient(t, serve(t, service), hookgate.WithTokenFile(file))
	if err := ends(t, client); !errors.Is(err, hookgate.ReasonUnauthenticated) {
		t.Errorf("with the old token it ended with %v", err)
	}
	replaced := hookgate.WithDialOptions(grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc,
		conn *grpc.ClientConn, method string, streamer grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		stream, err := streamer(ctx, desc, conn, method, options...)
		writeFile(t, file, "new") // When the first stream was opened already.
		return stream, err
	}))
	writeFile(t, file, "old")
	client = newClient(t, serve(t, service), hookgate.WithTokenFile(file), replaced)
	wantSequences(t, take(t, client, 1), 1, 1)
}

func TestOptionsThatCannotBeRightAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "no PEM and no token")
	for what, options := range map[string][]hookgate.ClientOption{
		"a token in the clear":      {hookgate.WithToken("secret")},
		"no token file":             {hookgate.WithTLS(), hookgate.WithTokenFile(file + "x")},
		"a token with blanks":       {hookgate.WithTLS(), hookgate.WithTokenFile(file)},
		"no certificates":           {hookgate.WithTLSCA(file)},
		"a key that is none":        {hookgate.WithTLSCertificate(file, file)},
		"a certificate without key": {hookgate.WithTLSCertificate(file, "")},
	} {
		client, err := hookgate.NewClient("gateway.example:50051", options...)
		if err == nil {
			client.Close()
			t.Errorf("%s: taken", what)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the message has the token: %v", what, err)
		}
	}
}

// newCertificate returns a certificate for 127.0.0.1 that is its own authority.
func newCertificate(t *testing.T) (certificate tls.Certificate, pemText string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// The file of trusted certificates was read once, so a gateway with a certificate of a new authority was out of reach
// until the client's process was restarted.
func TestCAFileIsReadForEachConnection(t *testing.T) {
	certificate, right := newCertificate(t)
	_, wrong := newCertificate(t)
	target := serve(t, &guarded{}, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	file := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, file, wrong)
	client := newClient(t, target, hookgate.WithTLSCA(file), hookgate.WithToken("secret"))
	_, err := client.GetEvent(bounded(t), 1)
	var call *hookgate.CallError
	if !errors.As(err, &call) || call.Code != codes.Unavailable || !call.Retryable() || !strings.Contains(err.Error(), "WithTLSCA") {
		t.Fatalf("with the wrong authority: %v", err)
	}
	writeFile(t, file, right)
	for err != nil && bounded(t).Err() == nil {
		_, err = client.GetEvent(bounded(t), 1)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestUnaryCallsExplainThemselves(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	_, err := client.GetEvent(bounded(t), 7)
	if !errors.Is(err, hookgate.ReasonEventNotFound) {
		t.Errorf("not known by its reason: %v", err)
	}
	if _, err = client.GetSubscription(bounded(t), "none"); !errors.Is(err, hookgate.ReasonSubscriptionNotFound) {
		t.Errorf("not known by its reason: %v", err)
	}
	var call *hookgate.CallError
	if _, err = client.Admin().ListQuarantined(bounded(t), &hookgatev1.ListQuarantinedRequest{}); !errors.As(err, &call) || call.Code != codes.Unimplemented {
		t.Errorf("a stub's call gives %v", err)
	}
}

func TestQueries(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	client := newClient(t, gateway.Target())
	publish(gateway, 3)
	var got []int64
	for event, err := range client.ListEvents(bounded(t), &hookgatev1.ListEventsRequest{Order: hookgatev1.Order_ORDER_OLDEST_FIRST}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, event.GetSequence())
	}
	wantSequences(t, got, 1, 3)
	event, err := client.GetEventByWebhookID(bounded(t), "openai", "wh_2")
	if err != nil || event.GetSequence() != 2 || event.GetBatchFailed().GetData().GetId() != "batch_2" || event.GetType() != "batch.failed" {
		t.Errorf("got %v, %v", event, err)
	}
	for _, err := range client.ListRecentFailures(bounded(t), &hookgatev1.ListRecentFailuresRequest{}) {
		var call *hookgate.CallError
		if !errors.As(err, &call) {
			t.Errorf("the error of a page is %v", err)
		}
	}
}

func TestPayloads(t *testing.T) {
	failed := hookgatetest.NewEvent(&openaiv1.BatchFailedWebhookEvent{Data: &openaiv1.BatchFailedWebhookEvent_Data{Id: "b"}})
	equal(t, hookgate.PayloadName(failed), "batch_failed", "name")
	equal(t, failed.GetSubject(), "b", "subject")
	if _, is := hookgate.Payload(failed).(*openaiv1.BatchFailedWebhookEvent); !is {
		t.Errorf("the payload is %T", hookgate.Payload(failed))
	}
	into := &openaiv1.BatchFailedWebhookEvent{}
	if err := hookgate.DecodePayload(failed, into); err != nil || into.GetData().GetId() != "b" {
		t.Errorf("decoded %v, %v", into, err)
	}
	if err := hookgate.DecodePayload(failed, &openaiv1.BatchExpiredWebhookEvent{}); !errors.Is(err, hookgate.ErrOtherPayload) {
		t.Errorf("another message: %v", err)
	}
	unknown := &hookgate.Event{Payload: &hookgatev1.Event_Unrecognized{Unrecognized: &hookgatev1.UnrecognizedEvent{RawJson: `"text"`}}}
	value := &wrapperspb.StringValue{}
	if err := hookgate.DecodePayload(unknown, value); err != nil || value.GetValue() != "text" {
		t.Errorf("decoded %v, %v", value, err)
	}
	if hookgate.Payload(&hookgate.Event{}) != nil || hookgate.Payload(nil) != nil || hookgate.PayloadName(&hookgate.Event{}) != "" {
		t.Error("an event without payload has one")
	}
}
