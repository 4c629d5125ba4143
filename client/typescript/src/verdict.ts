import { HookgateError, LeaseLostError } from "./errors.js";
import { checkNumber } from "./time.js";

/** What the gateway makes of a longer delay, and of a longer extension. */
export const LONGEST_DELAY_MS = 12 * 3_600_000;

/**
 * Thrown by a handler: its event comes again after `delayMs`; without one, after the back-off. More
 * than 12 h is 12 h. Its constructor throws a UsageError for a delay that is not a number of
 * milliseconds, 0 or more: a handler that lets this out nacks with its text as the reason.
 */
export class Nack extends HookgateError {
  readonly delayMs: number | undefined;
  constructor(reason: string, options: { delayMs?: number; cause?: unknown } = {}) {
    super(reason, { cause: options.cause });
    checkNumber("the delayMs of a Nack", options.delayMs, 0, Infinity);
    this.delayMs = options.delayMs;
  }
}

/** Thrown by a handler: its event never comes again, whatever attempts are left. */
export class DeadLetter extends HookgateError {}

/**
 * Thrown by a handler that has not handled its event, through no fault of the event: it counts as no attempt. If the event
 * is still held, the consumer stops, because only the end of its stream gives an event back.
 */
export class GiveBack extends HookgateError {
  constructor(reason = "given back") {
    super(reason);
  }
}

export type Verdict =
  | { kind: "ack" }
  | { kind: "nack"; reason: string; delayMs?: number }
  | { kind: "dead_letter"; reason: string }
  | { kind: "give_back" };

/** What a handler that threw `error` has decided. `lost`: its event was lost. Never throws. */
export function verdictOf(error: unknown, lost: boolean): Verdict {
  try {
    return judge(error, lost);
  } catch {
    // Anything can be thrown, such as an object without a prototype, of which no text can be made.
    return { kind: "nack", reason: "the handler threw something that has no text" };
  }
}

function judge(error: unknown, lost: boolean): Verdict {
  if (error instanceof GiveBack) return { kind: "give_back" };
  // The signal's reason, or what an API makes of the signal: not a verdict on the event.
  const name = (error as { name?: unknown } | null | undefined)?.name;
  if (lost && (error instanceof LeaseLostError || name === "AbortError")) return { kind: "give_back" };
  const reason = cutReason(error instanceof Error ? error.message || error.name : String(error));
  if (error instanceof DeadLetter) return { kind: "dead_letter", reason };
  const delayMs = error instanceof Nack ? error.delayMs : undefined;
  // The application may have changed it since the constructor looked at it.
  if (typeof delayMs !== "number" || Number.isNaN(delayMs)) return { kind: "nack", reason };
  return { kind: "nack", reason, delayMs: Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS) };
}

/** What a gateway keeps of a reason: 1024 bytes. */
export function cutReason(reason: string): string {
  const bytes = new TextEncoder().encode(reason); // Which replaces what is not Unicode.
  if (bytes.length <= 1024) return new TextDecoder().decode(bytes);
  let cut = 1024;
  while (((bytes[cut] ?? 0) & 0xc0) === 0x80) cut--;
  return new TextDecoder().decode(bytes.subarray(0, cut));
}
