import { type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import { CallError, capabilityMissing } from "./errors.js";

/** An older gateway ignores these fields, in whatever request. Each is the name of the capability as well. */
const FIELDS = ["etag", "preview", "update_mask"];

/** What calls need that an older gateway does not have. */
const CALLS: Record<string, string> = {
  CancelJob: "jobs",
  DiscardConflicts: "conflicts",
  ExplainEvent: "explain",
  GetConflict: "conflicts",
  GetJob: "jobs",
  ListConflicts: "conflicts",
  ListDeliveries: "deliveries",
  ListJobs: "jobs",
  ListRefused: "refused",
  ListStreams: "streams",
  PauseSubscription: "pause",
  RedeliverEvents: "redeliver",
  ResumeSubscription: "pause",
};

/**
 * Throws a CapabilityMissingError if the gateway would ignore a field that `request` sets. `ask` is a call of GetStatus,
 * made only for such a request: these are rare, and the gateway may be another one since the last.
 */
export async function checkCapabilities(
  schema: DescMessage,
  request: Message,
  what: string,
  target: string,
  ask: () => Promise<readonly string[]>,
): Promise<void> {
  const needed = FIELDS.filter((name) => {
    const field = schema.fields.find((field) => field.name === name);
    return field !== undefined && isFieldSet(request, field);
  });
  if (needed.length === 0) return;
  let had: readonly string[] = [];
  try {
    had = await ask();
  } catch (error) {
    const code = error instanceof CallError ? error.code : "";
    // A caller without the right to ask cannot know, and is not to be kept from its work.
    if (code === "PERMISSION_DENIED") return;
    if (code !== "UNIMPLEMENTED") throw error;
  }
  for (const name of needed.filter((name) => !had.includes(name))) {
    const why = `: it would ignore the field ${name} of ${schema.name} and do the rest, so the request was not sent`;
    throw capabilityMissing(name, why, what, target);
  }
}

/** The error of a call of `method`, which names the capability if the gateway does not have the call. */
export function nameMissingCapability(error: CallError, method: string, what: string, target: string): CallError {
  const name = CALLS[method];
  if (name === undefined || error.fromGateway || error.code !== "UNIMPLEMENTED") return error;
  return capabilityMissing(name, `, which ${method}Request needs`, what, target);
}
