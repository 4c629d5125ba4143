package hookgate

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reason is the stable word by which a gateway says what went wrong. It is an error itself, so that it can be asked for:
//
//	if errors.Is(err, hookgate.ReasonSubscriptionNotFound) { ... }
//
// Gateways of later versions may have reasons that are not listed here.
type Reason string

// Error returns the word.
func (r Reason) Error() string { return string(r) }

// What a gateway may answer. The calls for which it does so are listed with the calls, in the .proto files.
const (
	ReasonInvalidRequest         Reason = "INVALID_REQUEST"
	ReasonUnauthenticated        Reason = "UNAUTHENTICATED"
	ReasonMissingRight           Reason = "MISSING_RIGHT"
	ReasonCursorOvertaken        Reason = "CURSOR_OVERTAKEN"
	ReasonCursorOfAnotherLog     Reason = "CURSOR_OF_ANOTHER_LOG"
	ReasonCursorOfAnotherHistory Reason = "CURSOR_OF_ANOTHER_HISTORY"
	ReasonEventNotFound          Reason = "EVENT_NOT_FOUND"
	ReasonUnknownSource          Reason = "UNKNOWN_SOURCE"
	ReasonQuarantineNotFound     Reason = "QUARANTINE_ENTRY_NOT_FOUND"
	ReasonConflictNotFound       Reason = "CONFLICT_NOT_FOUND"
	ReasonSubscriptionNotFound   Reason = "SUBSCRIPTION_NOT_FOUND"
	ReasonSubscriptionExists     Reason = "SUBSCRIPTION_EXISTS"
	ReasonEtagMismatch           Reason = "ETAG_MISMATCH"
	ReasonJobRunning             Reason = "JOB_RUNNING"
	ReasonJobNotFound            Reason = "JOB_NOT_FOUND"
	ReasonTooManySubscriptions   Reason = "TOO_MANY_SUBSCRIPTIONS"
	ReasonTooManyStreams         Reason = "TOO_MANY_STREAMS"
	ReasonTooManyConsumers       Reason = "TOO_MANY_CONSUMERS"
	ReasonTooManyConnections     Reason = "TOO_MANY_CONNECTIONS"
	ReasonTooManyQueries         Reason = "TOO_MANY_QUERIES"
	ReasonTooManyAnswers         Reason = "TOO_MANY_ANSWERS"
	ReasonRateLimited            Reason = "RATE_LIMITED"
	ReasonQueueFull              Reason = "QUEUE_FULL"
	ReasonStoreUnavailable       Reason = "STORE_UNAVAILABLE"
	ReasonDraining               Reason = "DRAINING"
	// Of several replicas: no leader is reached; this one lacks what another one has; not all have the version for it.
	ReasonNoLeader          Reason = "NO_LEADER"
	ReasonReplicaBehind     Reason = "REPLICA_BEHIND"
	ReasonUpgradeUnfinished Reason = "UPGRADE_UNFINISHED"
)

// errorDomain is that of the gateway's google.rpc.ErrorInfo.
const errorDomain = "hookgate"

// CallError says that a call failed, at the gateway or on the way to it. It has the gRPC status of the call: status.Code
// and status.FromError of gRPC see through it.
type CallError struct {
	// Op is what was being done, such as "cannot subscribe".
	Op string
	// Target is the gateway's address.
	Target string
	Code   codes.Code
	// Reason is empty if the error did not come from a gateway, but from the network or a proxy. ReasonCapabilityMissing is
	// this package's.
	Reason Reason
	// Message is for people, as it was received.
	Message string
	// Metadata holds what belongs to the reason, such as earliest_cursor.
	Metadata map[string]string
	// RetryDelay: the gateway asks not to be called again before this has passed. 0: it does not say.
	RetryDelay time.Duration
	// Fields says what was wrong with the fields of the request.
	Fields []FieldViolation

	status *status.Status
	// The call was refused with a token that is no longer the one in its file.
	staleToken bool
}

// FieldViolation says what is wrong with one field of a request.
type FieldViolation struct {
	Field       string // Its path, such as "filter.types[0]".
	Description string
}

// CursorOvertakenError says that retention has removed events after the cursor: they are lost to its subscriber, which
// may go on with what is still held.
type CursorOvertakenError struct {
	*CallError
	// EarliestCursor is the position from which the oldest event still held follows.
	EarliestCursor string
}

// Unwrap returns the *CallError.
func (e *CursorOvertakenError) Unwrap() error { return e.CallError }

// ForeignCursorError says that the cursor is not one of the gateway's log as it is: its data folder was replaced, it is
// another gateway (ReasonCursorOfAnotherLog), or the log was put back to an older state (ReasonCursorOfAnotherHistory).
// The same cursor is refused for ever.
type ForeignCursorError struct {
	*CallError
	EarliestCursor string
	// CommonCursor is the last position that both states of the log have; empty if it is not known.
	CommonCursor string
}

// Unwrap returns the *CallError.
func (e *ForeignCursorError) Unwrap() error { return e.CallError }

// CursorStoreError says that a position could not be loaded or saved, which ends a subscription: to go on without it
// would lose or repeat events in silence.
type CursorStoreError struct {
	Op  string
	Err error
}

func (e *CursorStoreError) Error() string { return "hookgate: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the store's error.
func (e *CursorStoreError) Unwrap() error { return e.Err }

// ErrClientClosed is what Subscribe and Consume end with when their Client is closed.
var ErrClientClosed = errors.New("hookgate: the client was closed")

// GRPCStatus returns the status of the call.
func (e *CallError) GRPCStatus() *status.Status { return e.status }

// Is reports whether target is the error's Reason.
func (e *CallError) Is(target error) bool {
	reason, is := target.(Reason)
	return is && reason != "" && reason == e.Reason
}

// FromGateway reports whether a gateway answered, rather than the way to it failed.
func (e *CallError) FromGateway() bool { return e.Reason != "" }

// Retryable reports whether the same call may succeed if it is made again. Of a gateway's errors the reason decides; one
// that this version does not know is judged by its code. An error that comes from elsewhere is final only if it is about
// the caller, not about the cursor or the subscription, which only a gateway can judge; and if a message is larger than
// this side takes, since it would come again.
func (e *CallError) Retryable() bool {
	if e.isTooLargeMessage() {
		return false
	}
	switch e.Reason {
	case ReasonDraining, ReasonStoreUnavailable, ReasonTooManyStreams, ReasonTooManyConsumers, ReasonTooManyConnections,
		ReasonTooManyQueries, ReasonTooManyAnswers, ReasonTooManySubscriptions, ReasonQueueFull, ReasonRateLimited,
		ReasonJobRunning:
		return true
	}
	switch e.Code {
	case codes.Unauthenticated:
		return e.staleToken
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unimplemented:
		return false
	case codes.NotFound, codes.OutOfRange, codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted:
		return !e.FromGateway()
	}
	return true
}

// Error says what happened, at which gateway, and the next safe step.
func (e *CallError) Error() string {
	var text strings.Builder
	text.WriteString("hookgate: " + e.Op)
	if e.Reason == ReasonCapabilityMissing {
		fmt.Fprintf(&text, ": the gateway at %s ", e.Target)
	} else if e.FromGateway() {
		fmt.Fprintf(&text, ": the gateway at %s answered: ", e.Target)
	} else {
		fmt.Fprintf(&text, " at %s: ", e.Target)
	}
	message := strings.TrimRight(e.Message, ".")
	if e.Reason == ReasonCapabilityMissing {
		message = strings.TrimPrefix(message, "the gateway ")
	}
	text.WriteString(message)
	if step := e.nextStep(); step != "" {
		text.WriteString(". " + step)
	}
	return text.String()
}

// By gRPC itself, on this side. It is the only one that has no code of its own.
func (e *CallError) isTooLargeMessage() bool {
	return !e.FromGateway() && e.Code == codes.ResourceExhausted && strings.Contains(e.Message, "larger than max")
}

func (e *CallError) startAnew() string {
	if cursor := e.Metadata["earliest_cursor"]; cursor != "" {
		return "start from the earliest event (cursor " + cursor + ")"
	}
	return "start from the earliest event"
}

func (e *CallError) nextStep() string {
	switch e.Reason {
	case ReasonCursorOvertaken:
		return "Retention has removed events after this cursor: they are lost to this subscriber. To go on " +
			"with the events that are still stored, " + e.startAnew()
	case ReasonCursorOfAnotherLog:
		return "The gateway's log is not the one that gave this cursor: its data folder was replaced, or this is another " +
			"gateway. If that is intended, " + e.startAnew()
	case ReasonCursorOfAnotherHistory:
		step := "The gateway's log was put back to an older state, so events that this subscriber has handled may be gone, " +
			"and others have their sequences. To go on, "
		if common := e.Metadata["common_cursor"]; common != "" {
			step += "start where both are still the same (cursor " + common + "), or "
		}
		return step + e.startAnew()
	}
	switch e.Code {
	case codes.InvalidArgument:
		return "Correct the request; the same one will be refused again"
	case codes.Unauthenticated:
		return "Show a token, or a client certificate, that the gateway's operator has given you"
	case codes.PermissionDenied:
		return "Ask the gateway's operator for access"
	case codes.Unimplemented:
		return "Check that " + e.Target + " is the gRPC port of a gateway (default 50051) that is not older than this client"
	case codes.Unavailable, codes.DeadlineExceeded:
		switch {
		case e.FromGateway():
			return "Try again later"
		case strings.Contains(e.Message, "does not look like a TLS handshake"):
			return "The server does not use TLS at " + e.Target + ": turn TLS off, or correct the address"
		case strings.Contains(e.Message, "x509:"):
			return "Perhaps no CA that this client trusts has signed the gateway's certificate: give it the " +
				"certificate of the CA that has (WithTLSCA)"
		}
		return "Check that a gateway runs there, that " + e.Target + " is its gRPC address, and whether it uses TLS"
	case codes.ResourceExhausted:
		if e.isTooLargeMessage() {
			return "Trying again would not help: do not request raw bodies, or give the client a larger limit for messages that it " +
				"receives (WithDialOptions)"
		}
		return "Try again later"
	}
	return ""
}

// callError makes of gRPC's error err the error for callers: a *CallError, or one that holds it. nil for nil.
func callError(err error, op, target string) error {
	call := readCallError(err, op, target)
	if call == nil {
		return nil
	}
	switch call.Reason {
	case ReasonCursorOvertaken:
		return &CursorOvertakenError{call, call.Metadata["earliest_cursor"]}
	case ReasonCursorOfAnotherLog, ReasonCursorOfAnotherHistory:
		return &ForeignCursorError{call, call.Metadata["earliest_cursor"], call.Metadata["common_cursor"]}
	}
	return call
}

func readCallError(err error, op, target string) *CallError {
	if err == nil {
		return nil
	}
	if already := (*CallError)(nil); errors.As(err, &already) {
		return already
	}
	received := status.Convert(err)
	call := &CallError{Op: op, Target: target, Code: received.Code(), Message: received.Message(), status: received}
	// Details that cannot be read are left out.
	for _, detail := range received.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == errorDomain {
				call.Reason = Reason(detail.GetReason())
				call.Metadata = maps.Clone(detail.GetMetadata())
			}
		case *errdetails.RetryInfo:
			if delay := detail.GetRetryDelay(); delay.IsValid() {
				call.RetryDelay = max(delay.AsDuration(), 0)
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				call.Fields = append(call.Fields, FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		}
	}
	return call
}
