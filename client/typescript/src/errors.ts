import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { durationMs } from "./time.js";

/** What a gateway may answer, as stable words. Gateways of later versions may have others. */
export type Reason =
  | "INVALID_REQUEST"
  | "UNAUTHENTICATED"
  | "MISSING_RIGHT"
  | "CURSOR_OVERTAKEN"
  | "CURSOR_OF_ANOTHER_LOG"
  | "CURSOR_OF_ANOTHER_HISTORY"
  | "EVENT_NOT_FOUND"
  | "UNKNOWN_SOURCE"
  | "QUARANTINE_ENTRY_NOT_FOUND"
  | "CONFLICT_NOT_FOUND"
  | "SUBSCRIPTION_NOT_FOUND"
  | "SUBSCRIPTION_EXISTS"
  | "ETAG_MISMATCH"
  | "JOB_RUNNING"
  | "JOB_NOT_FOUND"
  | "TOO_MANY_SUBSCRIPTIONS"
  | "TOO_MANY_STREAMS"
  | "TOO_MANY_CONSUMERS"
  | "TOO_MANY_CONNECTIONS"
  | "TOO_MANY_QUERIES"
  | "TOO_MANY_ANSWERS"
  | "RATE_LIMITED"
  | "QUEUE_FULL"
  | "STORE_UNAVAILABLE"
  | "DRAINING"
  | "NO_LEADER"
  | "REPLICA_BEHIND"
  | "UPGRADE_UNFINISHED"
  | "CAPABILITY_MISSING"
  // Keeps the words above in an editor's suggestions.
  | (string & {});

/** Reasons that say nothing about the request: it may succeed later, whatever the code. */
const OF_THE_MOMENT = new Set<Reason>([
  "DRAINING",
  "STORE_UNAVAILABLE",
  "TOO_MANY_STREAMS",
  "TOO_MANY_CONSUMERS",
  "TOO_MANY_CONNECTIONS",
  "TOO_MANY_QUERIES",
  "TOO_MANY_ANSWERS",
  "TOO_MANY_SUBSCRIPTIONS",
  "QUEUE_FULL",
  "RATE_LIMITED",
  "JOB_RUNNING",
]);

const DOMAIN = "hookgate";
const CAPABILITY_MISSING = "CAPABILITY_MISSING";

/** All errors of this package. */
export class HookgateError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Options cannot be right: found before any call. */
export class UsageError extends HookgateError {}

/** What `subscribe` and `consume` end with when their client is closed. */
export class ClientClosedError extends HookgateError {
  constructor() {
    super("the client was closed");
  }
}

/**
 * A position could not be loaded or saved, which ends a subscription: to go on without it would lose or repeat events in
 * silence. `cause` is the store's error.
 */
export class CursorStoreError extends HookgateError {
  constructor(what: string, cause: unknown) {
    super(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The lease of a handler's event was lost: the event may be with another consumer. The reason of a handler's signal. */
export class LeaseLostError extends HookgateError {
  constructor() {
    super("the lease of the event was lost");
  }
}

/** What is wrong with one field of a request. */
export interface FieldViolation {
  /** Its path, such as "filter.types[0]". */
  field: string;
  description: string;
}

/** A call failed, at the gateway or on the way to it. */
export class CallError extends HookgateError {
  /** gRPC's name of the code, such as "NOT_FOUND". */
  readonly code: string;
  /** Empty if the error did not come from a gateway, but from the network or a proxy. */
  readonly reason: Reason;
  /** What belongs to the reason, such as `earliest_cursor`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The gateway asks not to be called again before this has passed. 0: it does not say. */
  readonly retryDelayMs: number;
  /** What was wrong with the fields of the request. */
  readonly fields: readonly FieldViolation[];
  /** As it was received. */
  readonly rawMessage: string;
  /** Whether the same call may succeed if it is made again. */
  readonly retryable: boolean;

  constructor(
    readonly target: string,
    what: string,
    error: ConnectError,
    details: ErrorDetails,
    staleToken: boolean,
  ) {
    super(explain(target, what, error, details), { cause: error });
    this.code = codeName(error.code);
    this.reason = details.reason;
    this.metadata = details.metadata;
    this.retryDelayMs = details.retryDelayMs;
    this.fields = details.fields;
    this.rawMessage = error.rawMessage;
    this.retryable = isRetryable(error, details.reason, staleToken);
  }

  /** Whether a gateway answered, rather than the way to it failed. */
  get fromGateway(): boolean {
    return this.reason !== "";
  }
}

/**
 * Retention has removed events after the cursor (CURSOR_OVERTAKEN): they are lost to its subscriber, which may go on with
 * what is still held.
 */
export class CursorOvertakenError extends CallError {
  /** The position from which the oldest event still held follows. */
  get earliestCursor(): string {
    return this.metadata["earliest_cursor"] ?? "";
  }
}

/**
 * The cursor is not one of the gateway's log as it is: its data folder was replaced, it is another gateway
 * (CURSOR_OF_ANOTHER_LOG), or the log was put back to an older state (CURSOR_OF_ANOTHER_HISTORY). The same cursor is
 * refused for ever.
 */
export class ForeignCursorError extends CallError {
  get earliestCursor(): string {
    return this.metadata["earliest_cursor"] ?? "";
  }
  /** The last position that both states of the log have; empty if it is not known. */
  get commonCursor(): string {
    return this.metadata["common_cursor"] ?? "";
  }
}

/** SUBSCRIPTION_NOT_FOUND: there is no durable subscription of this name (any more). */
export class SubscriptionNotFoundError extends CallError {}

/** EVENT_NOT_FOUND: it was never stored, or retention has removed it. */
export class EventNotFoundError extends CallError {}

/**
 * CAPABILITY_MISSING: the gateway is of a version that cannot do what was asked. Either it would ignore a field of the
 * request (etag, preview, update_mask) and do the rest: then the request was not sent. Or it does not have the call.
 * docs/capabilities.md lists the names. This package makes it itself.
 */
export class CapabilityMissingError extends CallError {
  /** What the gateway lacks, such as "update_mask". */
  get capability(): string {
    return this.metadata["capability"] ?? "";
  }
}

/** A CapabilityMissingError; `why` goes on with "the gateway does not have the capability NAME". */
export function capabilityMissing(name: string, why: string, what: string, target: string): CapabilityMissingError {
  const error = new ConnectError(`the gateway does not have the capability "${name}"${why}`, Code.Unimplemented);
  const details = { reason: CAPABILITY_MISSING, metadata: { capability: name }, retryDelayMs: 0, fields: [] };
  return new CapabilityMissingError(target, what, error, details, false);
}

const CLASSES: Record<string, typeof CallError> = {
  CURSOR_OVERTAKEN: CursorOvertakenError,
  CURSOR_OF_ANOTHER_LOG: ForeignCursorError,
  CURSOR_OF_ANOTHER_HISTORY: ForeignCursorError,
  SUBSCRIPTION_NOT_FOUND: SubscriptionNotFoundError,
  EVENT_NOT_FOUND: EventNotFoundError,
};

/** Makes of what a call threw the error for callers. `what` says what failed, such as "cannot subscribe". */
export function callError(thrown: unknown, what: string, target: string, staleToken = false): CallError {
  if (thrown instanceof CallError) return thrown;
  let error = ConnectError.from(thrown, Code.Unavailable);
  const details = readDetails(error);
  // The transport takes a connection that was reset for ABORTED, or for CANCELLED if Node.js ends its streams by that code;
  // other gRPC libraries say UNAVAILABLE. What the application has cancelled has another text.
  const lost =
    (error.code === Code.Aborted && error.cause !== undefined) ||
    (error.code === Code.Canceled && error.rawMessage.startsWith("http/2 stream closed with error code"));
  if (lost && details.reason === "") {
    error = new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error.cause);
  }
  return new (CLASSES[details.reason] ?? CallError)(target, what, error, details, staleToken);
}

interface ErrorDetails {
  reason: Reason;
  metadata: Record<string, string>;
  retryDelayMs: number;
  fields: FieldViolation[];
}

function readDetails(error: ConnectError): ErrorDetails {
  const info = error.findDetails(ErrorInfoSchema).find((info) => info.domain === DOMAIN);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const fields = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  return {
    reason: info?.reason ?? "",
    metadata: { ...info?.metadata },
    retryDelayMs: retry === undefined ? 0 : Math.max(durationMs(retry), 0),
    fields: fields.map(({ field, description }) => ({ field, description })),
  };
}

function codeName(code: Code): string {
  // Code.NotFound is "NotFound" by its number.
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase().replace("CANCELED", "CANCELLED");
}

/** By this side itself. It is the only one that has no code of its own. */
function isTooLargeMessage(error: ConnectError, reason: Reason): boolean {
  return reason === "" && error.code === Code.ResourceExhausted && error.rawMessage.includes("larger than");
}

function isRetryable(error: ConnectError, reason: Reason, staleToken: boolean): boolean {
  if (isTooLargeMessage(error, reason)) return false;
  if (OF_THE_MOMENT.has(reason)) return true;
  switch (error.code) {
    case Code.Unauthenticated:
      return staleToken;
    case Code.InvalidArgument:
    case Code.PermissionDenied:
    case Code.Unimplemented:
      return false;
    case Code.NotFound:
    case Code.OutOfRange:
    case Code.FailedPrecondition:
    case Code.AlreadyExists:
    case Code.Aborted:
      return reason === "";
    default:
      return true;
  }
}

function explain(target: string, what: string, error: ConnectError, details: ErrorDetails): string {
  const message = error.rawMessage.replace(/\.+$/, "");
  const step = nextStep(target, error, details);
  if (details.reason === CAPABILITY_MISSING) {
    return `${what}: ${message.replace("the gateway", `the gateway at ${target}`)}. ${step}`;
  }
  const where = details.reason === "" ? ` at ${target}: ` : `: the gateway at ${target} answered: `;
  return what + where + message + (step === "" ? "" : `. ${step}`);
}

function nextStep(target: string, error: ConnectError, { reason, metadata }: ErrorDetails): string {
  const cursor = metadata["earliest_cursor"];
  const startAnew = "start from the earliest event" + (cursor === undefined ? "" : ` (cursor ${cursor})`);
  switch (reason) {
    case "CURSOR_OVERTAKEN":
      return (
          'Retention has removed events after this cursor: they are lost to this subscriber. To go on with ' +
          `the events that are still stored, ${startAnew}`);
    case "CURSOR_OF_ANOTHER_LOG":
      return (
        "The gateway's log is not the one that gave this cursor: its data folder was replaced, or this is another " +
        `gateway. If that is intended, ${startAnew}`
      );
    case "CURSOR_OF_ANOTHER_HISTORY": {
      const common = metadata["common_cursor"];
      return (
        "The gateway's log was put back to an older state, so events that this subscriber has handled may be gone, and " +
        "others have their sequences. To go on, " +
        (common === undefined ? "" : `start where both are still the same (cursor ${common}), or `) +
        startAnew
      );
    }
  }
  switch (error.code) {
    case Code.InvalidArgument:
      return "Correct the request; the same one will be refused again";
    case Code.Unauthenticated:
      return "Show a token, or a client certificate, that the gateway's operator has given you";
    case Code.PermissionDenied:
      return "Ask the gateway's operator for access";
    case Code.Unimplemented:
      return `Check that ${target} is the gRPC port of a gateway (default 50051) that is not older than this client`;
    case Code.ResourceExhausted:
      return isTooLargeMessage(error, reason) ?
          'Trying again would not help: do not request raw bodies' :
          'Try again later';
    case Code.Unavailable:
    case Code.DeadlineExceeded:
      return reason === '' ? `Check that a gateway runs there, that ${
                                 target} is its gRPC address, and whether it uses TLS` :
                             'Try again later';
    default:
      return /certificate/i.test(error.rawMessage) ?
          'Perhaps no CA that this client trusts has signed the gateway\'s certificate: give it the ' +
              'certificate of the CA that has (tlsCa)' :
          '';
  }
}
