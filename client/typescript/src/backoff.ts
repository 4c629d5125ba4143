/**
 * How long is waited before a stream is opened again. The ceiling of the first wait is `initialMs`; later ceilings double,
 * up to `maximumMs`. Each wait is chosen at random between half of its ceiling and the ceiling, so that clients that lost
 * one gateway at one moment do not come back at one moment.
 */
export interface Backoff {
  /** Default 200. */
  initialMs?: number;
  /** Default 30,000. */
  maximumMs?: number;
}

/** The wait before attempt number `attempt` in a row, from 1. `random` is from 0 to 1. */
export function backoffDelay(backoff: Backoff, attempt: number, random: number): number {
  const maximum = backoff.maximumMs ?? 30_000;
  let ceiling = Math.min(backoff.initialMs ?? 200, maximum);
  for (let i = 1; i < attempt && ceiling < maximum && ceiling > 0; i++) ceiling = Math.min(ceiling * 2, maximum);
  return ceiling * (0.5 + random / 2);
}

/** How one stream ended, if that is not the end of all. */
export interface StreamEnd {
  why: Error;
  /** It brought something: an event, a delivery or a heartbeat. */
  useful: boolean;
  /** The gateway said when to come back: in Draining, and with an error. */
  reconnectDelayMs?: number;
  retryDelayMs: number;
}

/** Says when the next stream is opened, from how the ones before it ended. */
export class Retries {
  private failures = 0; // Streams in a row that brought nothing.

  constructor(private readonly backoff: Backoff) {}

  delayAfter(end: StreamEnd): number {
    if (end.reconnectDelayMs !== undefined) {
      this.failures = 0; // It was the gateway's will, not its trouble.
      return Math.max(end.reconnectDelayMs, 0);
    }
    this.failures = end.useful ? 1 : Math.min(this.failures + 1, 1000);
    return Math.max(backoffDelay(this.backoff, this.failures, Math.random()), end.retryDelayMs);
  }
}
