package hookgate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
)

func TestVersionIsThatOfTheGateway(t *testing.T) {
	text, err := os.ReadFile("../../bazel/version.bzl")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the module is not in its repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^VERSION = "(.*)"`).FindSubmatch(text)
	if found == nil || string(found[1]) != Version {
		t.Errorf("version.go says %q, bazel/version.bzl says %q", Version, found)
	}
}

func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	backoff := Backoff{Initial: 200 * time.Millisecond, Maximum: time.Second}
	for attempt, ceiling := range map[int]time.Duration{1: 200e6, 2: 400e6, 3: 800e6, 4: 1e9, 5: 1e9, 1000: 1e9} {
		if got := backoff.delay(attempt, 1); got != ceiling {
			t.Errorf("attempt %d: the longest wait is %v, want %v", attempt, got, ceiling)
		}
		if got := backoff.delay(attempt, 0); got != ceiling/2 {
			t.Errorf("attempt %d: the shortest wait is %v, want %v", attempt, got, ceiling/2)
		}
	}
	if got := (Backoff{}).delay(1000, 1); got != 30*time.Second {
		t.Errorf("the default's maximum is %v", got)
	}
}

func TestRetriesBeginAnewAfterAStreamThatWasOfUse(t *testing.T) {
	r := retries{backoff: Backoff{Initial: time.Second, Maximum: time.Hour}}
	between := func(got, low, high time.Duration, what string) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s: %v is not from %v to %v", what, got, low, high)
		}
	}
	between(r.delayAfter(streamEnd{}), 500*time.Millisecond, time.Second, "first")
	between(r.delayAfter(streamEnd{}), time.Second, 2*time.Second, "second")
	between(r.delayAfter(streamEnd{useful: true}), 500*time.Millisecond, time.Second, "after a useful one")
	between(r.delayAfter(streamEnd{retryDelay: time.Minute}), time.Minute, time.Minute, "as the gateway asked")
	between(r.delayAfter(streamEnd{draining: true, reconnectDelay: 7}), 7, 7, "after a drain")
	between(r.delayAfter(streamEnd{}), 500*time.Millisecond, time.Second, "first after a drain")
}

func TestTargets(t *testing.T) {
	for _, target := range []string{"127.0.0.1:1", "gateway.example:50051", "[::1]:50051", "dns:///gateway:1", "unix:/a",
		"passthrough:///gateway:1"} {
		if err := checkTarget(target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{"", "gateway", ":50051", "gateway:", "gateway:0", "gateway:65536", "gateway:http", "::1:50051",
		"http://gateway:50051", "https://gateway", "unix:", "dns://gateway:1"} {
		if checkTarget(target) == nil {
			t.Errorf("%q was taken", target)
		}
	}
	for target, want := range map[string]bool{"localhost:1": true, "127.1.2.3:1": true, "[::1]:1": true, "dns:///localhost:1": true,
		"unix:/a": true, "localhost.example:1": false, "10.0.0.1:1": false, "gateway:1": false, "127.0.0.1.example:1": false} {
		if isLoopback(target) != want {
			t.Errorf("isLoopback(%s) is not %v", target, want)
		}
	}
}

func gatewayError(code codes.Code, reason string) error {
	detailed, err := status.New(code, "no").WithDetails(
		&errdetails.ErrorInfo{Domain: "hookgate", Reason: reason, Metadata: map[string]string{"earliest_cursor": "e", "common_cursor": "c"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "filter", Description: "too long"}}})
	if err != nil {
		panic(err)
	}
	return detailed.Err()
}

func TestErrorsAreFinalByTheirReason(t *testing.T) {
	for _, c := range []struct {
		err       error
		retryable bool
	}{
		{gatewayError(codes.InvalidArgument, "INVALID_REQUEST"), false},
		{gatewayError(codes.OutOfRange, "CURSOR_OVERTAKEN"), false},
		{gatewayError(codes.NotFound, "SUBSCRIPTION_NOT_FOUND"), false},
		{gatewayError(codes.AlreadyExists, "SUBSCRIPTION_EXISTS"), false},
		{gatewayError(codes.Aborted, "ETAG_MISMATCH"), false},
		{gatewayError(codes.FailedPrecondition, "A_LATER_REASON"), false},
		{gatewayError(codes.FailedPrecondition, "JOB_RUNNING"), true},
		{gatewayError(codes.ResourceExhausted, "TOO_MANY_STREAMS"), true},
		{gatewayError(codes.PermissionDenied, "MISSING_RIGHT"), false},
		{gatewayError(codes.Unavailable, "DRAINING"), true},
		{status.Error(codes.NotFound, "a proxy knows no such path"), true},
		{status.Error(codes.FailedPrecondition, "a proxy"), true},
		{status.Error(codes.Unimplemented, "unknown service"), false},
		{status.Error(codes.Unauthenticated, "a proxy"), false},
		{status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 4)"), false},
		{status.Error(codes.ResourceExhausted, "a quota"), true},
		{errors.New("not of gRPC"), true},
	} {
		if got := readCallError(c.err, "cannot try", "gateway:1"); got.Retryable() != c.retryable {
			t.Errorf("%v: retryable is %v", c.err, got.Retryable())
		}
	}
}

func TestErrorsHaveWhatTheGatewaySaid(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", callError(gatewayError(codes.OutOfRange, "CURSOR_OVERTAKEN"), "cannot subscribe", "gateway:1"))
	var overtaken *CursorOvertakenError
	if !errors.As(err, &overtaken) || overtaken.EarliestCursor != "e" {
		t.Errorf("%v is not of its class: %v", err, overtaken)
	}
	var call *CallError
	if !errors.As(err, &call) || call.RetryDelay != 3*time.Second || call.Fields[0] != (FieldViolation{"filter", "too long"}) {
		t.Errorf("%v has not all details: %+v", err, call)
	}
	if !errors.Is(err, ReasonCursorOvertaken) || errors.Is(err, ReasonDraining) {
		t.Errorf("%v is not known by its reason", err)
	}
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("gRPC sees %v", status.Code(err))
	}
	if text := err.Error(); !strings.Contains(text, "gateway:1") || !strings.Contains(text, "(cursor e)") {
		t.Errorf("the text does not help: %s", text)
	}
	var foreign *ForeignCursorError
	err = callError(gatewayError(codes.FailedPrecondition, "CURSOR_OF_ANOTHER_HISTORY"), "cannot subscribe", "gateway:1")
	if !errors.As(err, &foreign) || foreign.CommonCursor != "c" {
		t.Errorf("%v is not of its class: %v", err, foreign)
	}
	// A reason of somebody else's domain is not the gateway's.
	other, _ := status.New(codes.NotFound, "no").WithDetails(&errdetails.ErrorInfo{Domain: "proxy", Reason: "SUBSCRIPTION_NOT_FOUND"})
	if errors.Is(callError(other.Err(), "cannot consume", "gateway:1"), ReasonSubscriptionNotFound) {
		t.Error("a proxy's reason was taken for the gateway's")
	}
}

func TestFileCursorStore(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	store := &FileCursorStore{Path: filepath.Join(folder, "cursor")}
	if cursor, err := store.Load(ctx); cursor != "" || err != nil {
		t.Errorf("no file: %q, %v", cursor, err)
	}
	for _, cursor := range []string{"one", "two", strings.Repeat("c", 4096)} {
		if err := store.Save(ctx, cursor); err != nil {
			t.Fatal(err)
		}
		if loaded, err := store.Load(ctx); loaded != cursor || err != nil {
			t.Errorf("%q came back as %q, %v", cursor, loaded, err)
		}
		if text, _ := os.ReadFile(store.Path); string(text) != cursor+"\n" {
			t.Errorf("the file holds %q: clients in other languages read a line", text)
		}
	}
	for _, cursor := range []string{"", "a b", "a\nb", "ü", strings.Repeat("c", 4097)} {
		if store.Save(ctx, cursor) == nil {
			t.Errorf("%q was saved", cursor)
		}
	}
	if _, err := os.Stat(store.Path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left over: %v", err)
	}
}

// To begin again in silence would lose or repeat events.
func TestDamagedCursorFilesAreRefused(t *testing.T) {
	store := &FileCursorStore{Path: filepath.Join(t.TempDir(), "cursor")}
	for _, text := range []string{"", "\n", "cut", "two words\n", "a\nb\n", "\x00\n", "a\r\n", strings.Repeat("c", 5000)} {
		if err := os.WriteFile(store.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if cursor, err := store.Load(context.Background()); err == nil || !strings.Contains(err.Error(), store.Path) {
			t.Errorf("%q: loaded %q, %v", text, cursor, err)
		}
	}
	store.Path = t.TempDir()
	if _, err := store.Load(context.Background()); err == nil {
		t.Error("a folder was taken for a cursor file")
	}
}

// The link itself was replaced by a file once, and what it led to, which was what the backup took, stayed as it was.
func TestCursorIsSavedWhereALinkLeads(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "kept"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "cursor")
	if err := os.Symlink("kept/cursor", link); err != nil {
		t.Fatal(err)
	}
	if err := (&FileCursorStore{Path: link}).Save(context.Background(), "c1"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "kept", "cursor")); string(text) != "c1\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if target, _ := os.Readlink(link); target != "kept/cursor" {
		t.Errorf("the link leads to %q", target)
	}
}

// A reason that is not UTF-8 cannot be sent: it would break the stream, and the verdict with it, for ever.
func TestReasonsAreMadeFitToSend(t *testing.T) {
	for _, reason := range []string{"bad \xff byte", strings.Repeat("é", 2000), strings.Repeat("x", 1023) + "é"} {
		cut := cutReason(reason)
		if !utf8.ValidString(cut) || len(cut) > 1024 || len(cut) < 8 {
			t.Errorf("%.20q... became %.20q... of %d bytes", reason, cut, len(cut))
		}
	}
}

func TestVerdicts(t *testing.T) {
	why := errors.New("why")
	for _, c := range []struct {
		err  error
		lost bool
		want verdictKind
	}{
		{nil, false, ack},
		{why, false, nack},
		{NackAfter(time.Second, why), false, nack},
		{DeadLetter(why), false, deadLetter},
		{fmt.Errorf("wrapped: %w", DeadLetter(why)), false, deadLetter},
		{ErrGiveBack, false, giveBack},
		{fmt.Errorf("wrapped: %w", context.Canceled), false, nack},
		{fmt.Errorf("wrapped: %w", context.Canceled), true, giveBack},
		{why, true, nack},
		{DeadLetter(nil), false, deadLetter},
	} {
		if got := verdictOf(c.err, c.lost); got.kind != c.want {
			t.Errorf("%v, lost %v: kind %v, want %v", c.err, c.lost, got.kind, c.want)
		}
	}
	if got := verdictOf(NackAfter(time.Second, why), false); got.delay.AsDuration() != time.Second || got.reason != "why" {
		t.Errorf("the delay or reason was lost: %+v", got)
	}
}

// The end of the stream waited behind what was to be written, nothing cut it off, and a timer in the past kept a core busy.
func TestAStopIsCutOffAlsoIfTheGatewayTakesNothing(t *testing.T) {
	now := time.Now()
	c := &consumer{
		settings: &consumeSettings{giveBackGrace: time.Second},
		stream:   &consumeStream{begun: true, opened: true},
		outbox:   []*hookgatev1.ConsumeRequest{{}},
		stopped:  true,
	}
	c.giveBackNow(now)
	if got := c.nextWake(now); !got.Equal(now.Add(time.Second)) {
		t.Errorf("it wakes after %v, want 1s", got.Sub(now))
	}
	later := now.Add(2 * time.Second)
	c.endStreamIfDone(later)
	if c.stream.ended {
		t.Error("it ended the stream before what is to be written")
	}
	if got, want := c.nextWake(later), now.Add(time.Second+endPatience); !got.Equal(want) {
		t.Errorf("it wakes after %v, want %v", got.Sub(now), want.Sub(now))
	}
}
