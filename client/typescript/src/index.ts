/**
 * Receives webhooks from a Hookgate gateway: as a stream that is resumed where it was left (Client.subscribe), or as the
 * share of a durable subscription (Client.consume).
 */
export { type Backoff } from "./backoff.js";
export { Client, type ClientOptions, type PullVerdict, type UnaryOptions } from "./client.js";
export { type ConnectionOptions } from "./connection.js";
export { type ConsumeOptions, type ConsumeState, type Handler, uniqueConsumerName } from "./consumer.js";
export { type CursorStore, FileCursorStore, MemoryCursorStore } from "./cursor-store.js";
export {
  CallError,
  CapabilityMissingError,
  ClientClosedError,
  CursorOvertakenError,
  CursorStoreError,
  EventNotFoundError,
  type FieldViolation,
  ForeignCursorError,
  HookgateError,
  LeaseLostError,
  type Reason,
  SubscriptionNotFoundError,
  UsageError,
} from "./errors.js";
export { type Disconnected, type Draining, type StreamOptions } from "./options.js";
export { decodePayload } from "./payload.js";
export { type Start, type SubscribeOptions, type SubscribeState } from "./subscribe.js";
export { DeadLetter, GiveBack, Nack } from "./verdict.js";
export { VERSION } from "./version.js";
/** The messages of the API, whose comments are its manual. */
export * as api from "./api.js";
export type { Event } from "./gen/hookgate/v1/event_pb.js";
export type { AckResult, Delivery, Subscription } from "./gen/hookgate/v1/subscription_service_pb.js";
