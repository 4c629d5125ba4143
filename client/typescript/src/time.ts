import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { UsageError } from "./errors.js";

export function durationMs(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

export function durationFromMs(ms: number): Duration {
  checkNumber("a duration", ms, 0, LONGEST_DURATION_MS);
  const whole = BigInt(Math.round(ms)); // Nobody needs less than a millisecond here.
  return create(DurationSchema, { seconds: whole / 1000n, nanos: Number(whole % 1000n) * 1_000_000 });
}

/** 10,000 years, the most that a Duration of protobuf holds. */
const LONGEST_DURATION_MS = 315_576_000_000_000;

/**
 * A UsageError unless `value` is a number from `least` to `most`, which may be Infinity. Undefined, for an option that is
 * not given, is right. Numbers often come from the environment, and Number("") and Number("2x") are not what was meant.
 */
export function checkNumber(what: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (typeof value === "number" && value >= least && value <= most)) return;
  const upTo = most === Infinity ? "or more" : `to ${most}`;
  throw new UsageError(`${what} is ${String(value)}; use a number, ${least} ${upTo}`);
}

/** The same for one that has to be whole. */
export function checkWhole(what: string, value: number | undefined, least: number, most: number): void {
  checkNumber(what, value, least, most);
  if (value !== undefined && !Number.isInteger(value)) {
    throw new UsageError(`${what} is ${value}; use a whole number`);
  }
}

/** Later than any wait that a program outlives, and the most that setTimeout takes. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A timer that is set again and again; it calls `ring` once each time. */
export class Alarm {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly ring: () => void) {}

  set(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.ring, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
  }

  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

/** Waits, or returns early once one of the signals is aborted. */
export async function sleep(ms: number, ...signals: (AbortSignal | undefined)[]): Promise<void> {
  const { promise, resolve } = deferred();
  const alarm = new Alarm(resolve);
  alarm.set(ms);
  const forget = signals.map((signal) => onAbort(signal, resolve));
  await promise;
  alarm.clear();
  for (const each of forget) each();
}

/** Calls `then` when `signal` is aborted, at once if it is; the function returned forgets it. */
export function onAbort(signal: AbortSignal | undefined, then: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    then();
    return () => {};
  }
  signal.addEventListener("abort", then, { once: true });
  return () => signal.removeEventListener("abort", then);
}

export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (why: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (why: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
