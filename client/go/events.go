package hookgate

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// ErrOtherPayload says that an event's payload is not of the message that was asked for.
var ErrOtherPayload = errors.New("hookgate: the event has another payload")

// Payload returns the decoded body of event: a *openaiv1.BatchFailedWebhookEvent, say, or an
// *hookgatev1.UnrecognizedEvent. nil if it is of a type that this version of the package does not know; the event's Type
// and Subject are there all the same.
func Payload(event *Event) proto.Message {
	message := event.ProtoReflect()
	if !message.IsValid() {
		return nil
	}
	arm := message.WhichOneof(message.Descriptor().Oneofs().ByName("payload"))
	if arm == nil {
		return nil
	}
	return message.Get(arm).Message().Interface()
}

// PayloadName returns the name of the field of Event.payload that is set, such as "batch_failed"; "" if none is.
func PayloadName(event *Event) string {
	message := event.ProtoReflect()
	arm := message.WhichOneof(message.Descriptor().Oneofs().ByName("payload"))
	if arm == nil {
		return ""
	}
	return string(arm.Name())
}

// DecodePayload reads the payload of event into target, a message of the caller's own for a type that the gateway has no
// message for: from the JSON of an unrecognized event, by protobuf's JSON mapping, members that target has no field for
// left out; or from a google.protobuf.Any. ErrOtherPayload if the event has a payload of another message.
func DecodePayload(event *Event, target proto.Message) error {
	if unrecognized := event.GetUnrecognized(); unrecognized != nil {
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(unrecognized.GetRawJson()), target); err != nil {
			return fmt.Errorf("hookgate: cannot read event %d (%s) as %s: %w", event.GetSequence(), event.GetType(), nameOf(target), err)
		}
		return nil
	}
	payload := Payload(event)
	if packed, is := payload.(*anypb.Any); is {
		if packed.MessageIs(target) {
			return packed.UnmarshalTo(target)
		}
		return fmt.Errorf("%w: %s, not %s", ErrOtherPayload, packed.MessageName(), nameOf(target))
	}
	if payload == nil || nameOf(payload) != nameOf(target) {
		return fmt.Errorf("%w: event %d is of the type %q, not %s", ErrOtherPayload, event.GetSequence(), event.GetType(), nameOf(target))
	}
	proto.Reset(target)
	proto.Merge(target, payload)
	return nil
}

func nameOf(message proto.Message) protoreflect.FullName {
	return message.ProtoReflect().Descriptor().FullName()
}
