import type { Backoff } from "./backoff.js";
import { checkNumber } from "./time.js";

/** What `subscribe` and `consume` have in common. */
export interface StreamOptions {
  /** Stops it, by way of abort: at once when it waits, after the handler when that runs. */
  signal?: AbortSignal;
  /**
   * The longest silence of a living stream; the gateway takes 100 ms to 10 min. One that is silent for 2.5 times as long is
   * dead: it is given up and opened again. Default 15,000.
   */
  heartbeatIntervalMs?: number;
  /** How long connecting and opening a stream may take. Default 20,000. */
  openTimeoutMs?: number;
  backoff?: Backoff;
  /** Fill Event.rawBody: the body exactly as it was received and signed. */
  includeRawBody?: boolean;
}

/** UsageError if a number in them cannot be right. */
export function checkStreamOptions({ heartbeatIntervalMs, openTimeoutMs, backoff }: StreamOptions): void {
  checkNumber("heartbeatIntervalMs", heartbeatIntervalMs, 1, 2 ** 31);
  checkNumber("openTimeoutMs", openTimeoutMs, 1, Infinity);
  checkNumber("backoff.initialMs", backoff?.initialMs, 0, Infinity);
  checkNumber("backoff.maximumMs", backoff?.maximumMs, 0, Infinity);
}

/** Heartbeats may be late once and lost never: two and a half intervals tell a dead stream from a slow network. */
export const INTERVALS_UNTIL_DEAD = 2.5;
export const HEARTBEAT_INTERVAL_MS = 15_000;
export const OPEN_TIMEOUT_MS = 20_000;

/** The stream broke, or could not be opened; the next try comes after `delayMs`. */
export interface Disconnected {
  state: "disconnected";
  why: Error;
  delayMs: number;
}

/** The gateway is about to end the stream, and says how long to wait before the next one. */
export interface Draining {
  state: "draining";
  delayMs: number;
}
