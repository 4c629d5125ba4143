package hookgate

import (
	"context"
	"fmt"
	"slices"

	hookgatev1 "github.com/hookgate/hookgate/client/go/gen/hookgate/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ReasonCapabilityMissing is given by this package itself: see CapabilityMissingError.
const ReasonCapabilityMissing Reason = "CAPABILITY_MISSING"

// CapabilityMissingError says that the gateway is of a version that cannot do what was asked. Either it would ignore a
// field of the request (etag, preview, update_mask) and do the rest: then the request was not sent. Or it does not have
// the call. docs/capabilities.md lists the names.
type CapabilityMissingError struct {
	*CallError
	// Capability is the name of what the gateway lacks, such as "update_mask".
	Capability string
}

// Unwrap returns the *CallError.
func (e *CapabilityMissingError) Unwrap() error { return e.CallError }

// An older gateway ignores these fields, in whatever request. Each is the name of the capability as well.
var fieldCapabilities = []protoreflect.Name{"etag", "preview", "update_mask"}

// What calls need that an older gateway does not have, by the name of their requests.
var callCapabilities = map[protoreflect.Name]string{
	"CancelJobRequest":          "jobs",
	"DiscardConflictsRequest":   "conflicts",
	"ExplainEventRequest":       "explain",
	"GetConflictRequest":        "conflicts",
	"GetJobRequest":             "jobs",
	"ListConflictsRequest":      "conflicts",
	"ListDeliveriesRequest":     "deliveries",
	"ListJobsRequest":           "jobs",
	"ListRefusedRequest":        "refused",
	"ListStreamsRequest":        "streams",
	"PauseSubscriptionRequest":  "pause",
	"RedeliverEventsRequest":    "redeliver",
	"ResumeSubscriptionRequest": "pause",
}

// checkCapabilities asks the gateway whether it knows the fields of request that older ones ignore, if there is one. The
// question is put before each such call, which are rare: the gateway may be another one since the last.
func (c *Client) checkCapabilities(ctx context.Context, request proto.Message, op string) error {
	var needed []string
	message := request.ProtoReflect()
	for _, name := range fieldCapabilities {
		if field := message.Descriptor().Fields().ByName(name); field != nil && message.Has(field) {
			needed = append(needed, string(name))
		}
	}
	if len(needed) == 0 {
		return nil
	}
	response, err := c.admin.GetStatus(ctx, &hookgatev1.GetStatusRequest{})
	switch status.Code(err) {
	case codes.OK, codes.Unimplemented:
	case codes.PermissionDenied:
		return nil // A caller without the right to ask cannot know, and is not to be kept from its work.
	default:
		return err
	}
	for _, name := range needed {
		if !slices.Contains(response.GetCapabilities(), name) {
			return c.capabilityMissing(op, name, fmt.Sprintf(": it would ignore the field %s of %s and do the rest, so the "+
				"request was not sent", name, message.Descriptor().Name()))
		}
	}
	return nil
}

// nameMissingCapability is for the error of a call with request.
func (c *Client) nameMissingCapability(err error, request proto.Message, op string) error {
	name := request.ProtoReflect().Descriptor().Name()
	capability, known := callCapabilities[name]
	call, is := err.(*CallError)
	if !known || !is || call.FromGateway() || call.Code != codes.Unimplemented {
		return err
	}
	return c.capabilityMissing(op, capability, fmt.Sprintf(", which %s needs", name))
}

func (c *Client) capabilityMissing(op, name, why string) error {
	message := fmt.Sprintf("the gateway does not have the capability %q%s", name, why)
	return &CapabilityMissingError{&CallError{
		Op: op, Target: c.target, Code: codes.Unimplemented, Reason: ReasonCapabilityMissing, Message: message,
		Metadata: map[string]string{"capability": name}, status: status.New(codes.Unimplemented, message),
	}, name}
}
