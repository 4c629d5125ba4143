import { type DescMessage, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import type { Event } from "./gen/hookgate/v1/event_pb.js";

/**
 * Reads an event of a type that the gateway has no message for into a message of your own: from its JSON, by protobuf's
 * JSON mapping, members that it has no field for left out. Throws if the event is a recognized one, or its body does not
 * fit.
 */
export function decodePayload<Desc extends DescMessage>(event: Event, schema: Desc): MessageShape<Desc> {
  if (event.payload.case !== "unrecognized") {
    throw new TypeError(`event ${event.sequence} has the payload ${event.payload.case ?? "none"}: it is decoded already`);
  }
  return fromJsonString(schema, event.payload.value.rawJson, { ignoreUnknownFields: true });
}
