// Drives the package for the suite that all client libraries have in common. The protocol stands in
// tests/clients/README.md of the repository: commands on standard input, messages on standard output.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { type DescMessage, fromJson, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import {
  api,
  CallError,
  Client,
  type ClientOptions,
  type ConsumeOptions,
  CursorStoreError,
  DeadLetter,
  type Delivery,
  type Event,
  FileCursorStore,
  GiveBack,
  Nack,
  type Start,
  type StreamOptions,
  type SubscribeOptions,
  VERSION,
} from "../src/index.js";

interface VerdictCommand {
  sequence?: number;
  delivery_id?: string;
  kind: "ack" | "nack" | "dead_letter" | "give_back" | "extend";
  reason?: string;
  delay_ms?: number;
  deadline_ms?: number;
}

interface Command extends Omit<Partial<VerdictCommand>, "kind"> {
  kind?: VerdictCommand["kind"];
  id: number;
  do: string;
  of: number;
  mode?: string;
  connection: {
    target: string;
    tls?: boolean;
    tls_ca_file?: string;
    tls_certificate_file?: string;
    tls_key_file?: string;
    token_file?: string;
    token?: string;
  };
  filter?: { sources?: string[]; types?: string[]; subjects?: string[] };
  start?: "latest" | "earliest" | { after?: string; since_ms?: number };
  cursor_file?: string;
  save_interval_ms?: number;
  heartbeat_ms?: number;
  open_timeout_ms?: number;
  backoff_initial_ms?: number;
  backoff_maximum_ms?: number;
  client_name?: string;
  include_raw_body?: boolean;
  hold?: boolean;
  json?: boolean;
  subscription?: string;
  consumer_name?: string;
  concurrency?: number;
  longest_lease_ms?: number;
  stop_grace_ms?: number;
  give_back_grace_ms?: number;
  max_events?: number;
  wait_ms?: number;
  verdicts?: VerdictCommand[];
  method?: string;
  request?: JsonValue;
  timeout_ms?: number;
}

/** What a handler of a subscription fails with. */
class HandlerFailed extends Error {}
/** The input has ended. */
class Ended extends Error {}

/** A subscribe or a consume that has not ended. */
interface Task {
  stop: AbortController;
  giveBack: AbortController;
  /** By what a verdict names: a sequence or a delivery id. */
  waiting: Map<string, (verdict: VerdictCommand | undefined) => void>;
}

const tasks = new Map<number, Task>();
const running = new Set<Promise<void>>();
let inputEnded = false;

function write(message: object): void {
  const line = Buffer.from(JSON.stringify(message) + "\n");
  for (let written = 0; written < line.length; ) {
    try {
      written += writeSync(1, line, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

/** The members of `object` that are there. */
function present<T extends object>(object: T): { [K in keyof T]-?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}

function connect(c: Command): Client {
  const at = c.connection;
  return new Client(
    present({
      target: at.target,
      tls: at.tls,
      tlsCa: at.tls_ca_file,
      tlsCertificate: at.tls_certificate_file,
      tlsKey: at.tls_key_file,
      tokenFile: at.token_file,
      token: at.token,
    }) as ClientOptions,
  );
}

function describe(error: unknown): object {
  if (error instanceof CallError) {
    const { code, reason, retryable, metadata, message } = error;
    return { kind: "call", code, reason, retryable, metadata, message };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CursorStoreError) return { kind: "cursor_store", message };
  if (error instanceof HandlerFailed) return { kind: "handler", message };
  return { kind: "usage", message };
}

function expect(task: Task, key: string): Promise<VerdictCommand | undefined> {
  return new Promise((resolve) => {
    if (inputEnded) resolve(undefined);
    task.waiting.set(key, resolve);
  });
}

function start(c: Command, run: (task: Task) => Promise<void>): void {
  const task: Task = { stop: new AbortController(), giveBack: new AbortController(), waiting: new Map() };
  tasks.set(c.id, task);
  track(async () => {
    let end: object = { ok: true };
    try {
      await run(task);
    } catch (error) {
      if (!(error instanceof Ended)) end = { error: describe(error) };
    }
    tasks.delete(c.id);
    write({ id: c.id, end });
  });
}

function track(run: () => Promise<void>): void {
  const promise = run().finally(() => running.delete(promise));
  running.add(promise);
}

function answer(c: Command, call: (client: Client) => Promise<object>): void {
  track(async () => {
    try {
      await using client = connect(c);
      write({ id: c.id, answer: await call(client) });
    } catch (error) {
      write({ id: c.id, end: { error: describe(error) } });
    }
  });
}

function streamOptions(c: Command, task: Task): StreamOptions {
  return {
    ...present({
      heartbeatIntervalMs: c.heartbeat_ms,
      openTimeoutMs: c.open_timeout_ms,
      includeRawBody: c.include_raw_body,
    }),
    backoff: present({ initialMs: c.backoff_initial_ms, maximumMs: c.backoff_maximum_ms }),
    signal: task.stop.signal,
  };
}

function stateMessage(c: Command, state: { state: string; frame?: object; why?: Error; delayMs?: number }): object {
  const { cursor, capabilities } = (state.frame ?? {}) as { cursor?: string; capabilities?: string[] };
  return {
    id: c.id,
    state: state.state,
    ...(cursor === undefined ? {} : { cursor }),
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(state.delayMs === undefined ? {} : { delay_ms: Math.round(state.delayMs) }),
    ...(state.why === undefined ? {} : { error: describe(state.why) }),
  };
}

function eventObject(event: Event, c: Command): object {
  const payload = event.payload.case;
  return {
    sequence: Number(event.sequence),
    cursor: event.cursor,
    source: event.source,
    webhook_id: event.webhookId,
    type: event.type,
    subject: event.subject,
    payload: api.EventSchema.fields.find((field) => field.localName === payload)?.name ?? "",
    ...(c.include_raw_body ? { raw_body: Buffer.from(event.rawBody).toString("base64") } : {}),
    ...(c.json ? { json: toJson(api.EventSchema, event) } : {}),
  };
}

function deliveryObject(delivery: Delivery, c: Command): object {
  return {
    delivery_id: delivery.deliveryId,
    attempt: delivery.attempt,
    reason: api.DeliveryReason[delivery.reason],
    nack_reason: delivery.nackReason,
    event: delivery.event === undefined ? {} : eventObject(delivery.event, c),
  };
}

async function subscribe(c: Command, task: Task): Promise<void> {
  await using client = connect(c);
  let from: Start | undefined;
  if (typeof c.start === "string") from = c.start;
  else if (c.start?.after !== undefined) from = { after: c.start.after };
  else if (c.start?.since_ms !== undefined) from = { since: new Date(c.start.since_ms) };
  const options: SubscribeOptions = {
    ...streamOptions(c, task),
    ...present({ ...c.filter, from, saveIntervalMs: c.save_interval_ms, clientName: c.client_name }),
    ...(c.cursor_file === undefined ? {} : { cursors: new FileCursorStore(c.cursor_file) }),
    onState: (state) => write(stateMessage(c, state)),
  };
  for await (const event of client.subscribe(options)) {
    const verdict = c.hold ? expect(task, String(event.sequence)) : undefined;
    write({ id: c.id, event: eventObject(event, c) });
    if (verdict === undefined) continue;
    const judged = await verdict;
    if (judged === undefined) throw new Ended();
    if (judged.kind === "nack") throw new HandlerFailed(judged.reason);
  }
}

function handlerError(verdict: VerdictCommand): Error | undefined {
  const reason = verdict.reason ?? "";
  switch (verdict.kind) {
    case "nack":
      return new Nack(reason, present({ delayMs: verdict.delay_ms }));
    case "dead_letter":
      return new DeadLetter(reason);
    case "give_back":
      return new GiveBack();
    default:
      return undefined;
  }
}

async function consume(c: Command, task: Task): Promise<void> {
  await using client = connect(c);
  const options: ConsumeOptions = {
    ...streamOptions(c, task),
    ...present({
      consumerName: c.consumer_name,
      concurrency: c.concurrency,
      longestLeaseMs: c.longest_lease_ms,
      stopGraceMs: c.stop_grace_ms,
      giveBackGraceMs: c.give_back_grace_ms,
    }),
    giveBackSignal: task.giveBack.signal,
    onState: (state) => write(stateMessage(c, state)),
  };
  await client.consume(
    c.subscription ?? "",
    async (delivery, { signal }) => {
      const verdict = expect(task, delivery.deliveryId);
      write({ id: c.id, delivery: deliveryObject(delivery, c) });
      signal.addEventListener("abort", () => write({ id: c.id, lost: { delivery_id: delivery.deliveryId } }));
      const judged = await verdict;
      if (judged === undefined) throw new GiveBack();
      const error = handlerError(judged);
      if (error !== undefined) throw error;
    },
    options,
  );
}

async function pull(c: Command, client: Client): Promise<object> {
  const deliveries = await client.pull(c.subscription ?? "", {
    consumerName: c.consumer_name ?? "",
    maxEvents: c.max_events ?? 0,
    ...present({ waitMs: c.wait_ms, includeRawBody: c.include_raw_body }),
  });
  return { deliveries: deliveries.map((delivery) => deliveryObject(delivery, c)) };
}

async function settle(c: Command, client: Client): Promise<object> {
  const results = await client.acknowledge(
    c.subscription ?? "",
    (c.verdicts ?? []).map((verdict) => {
      const id = verdict.delivery_id ?? "";
      if (verdict.kind === "ack") return { ack: id };
      if (verdict.kind === "extend") return { extend: id, ...present({ deadlineMs: verdict.deadline_ms }) };
      return { nack: id, error: handlerError(verdict) };
    }),
  );
  return {
    results: results.map((result) => ({
      delivery_id: result.deliveryId,
      result: api.AckResult_Result[result.result],
    })),
  };
}

async function call(c: Command, client: Client): Promise<object> {
  const [serviceName = "", methodName = ""] = (c.method ?? "").split(".");
  const services = {
    EventService: [api.EventService, client.events],
    SubscriptionService: [api.SubscriptionService, client.subscriptions],
    AdminService: [api.AdminService, client.admin],
  } as const;
  const service = services[serviceName as keyof typeof services];
  const method = service?.[0].methods.find((each) => each.name === methodName);
  if (service === undefined || method === undefined) throw new Error(`there is no method ${c.method}`);
  const request: Message = fromJson(method.input as DescMessage, c.request ?? {});
  type Unary = (request: Message, options: object) => Promise<Message>;
  const stub = service[1] as unknown as Record<string, Unary | undefined>;
  const response = await stub[method.localName]?.(request, present({ timeoutMs: c.timeout_ms }));
  return toJson(method.output as DescMessage, response as Message) as object;
}

function obey(c: Command): void {
  const task = tasks.get(c.of);
  switch (c.do) {
    case "verdict": {
      const key = c.delivery_id ?? String(c.sequence);
      const resolve = task?.waiting.get(key);
      task?.waiting.delete(key);
      resolve?.(c as VerdictCommand);
      break;
    }
    case "stop":
      if (c.mode === "give_back") task?.giveBack.abort();
      task?.stop.abort();
      break;
    case "subscribe":
      start(c, (task) => subscribe(c, task));
      break;
    case "consume":
      start(c, (task) => consume(c, task));
      break;
    case "pull":
      answer(c, (client) => pull(c, client));
      break;
    case "settle":
      answer(c, (client) => settle(c, client));
      break;
    case "call":
      answer(c, (client) => call(c, client));
      break;
    default:
      throw new Error(`there is no command ${c.do}`);
  }
}

write({ ready: { language: "typescript", version: VERSION } });
for await (const line of createInterface({ input: process.stdin })) obey(JSON.parse(line) as Command);
inputEnded = true;
for (const task of tasks.values()) {
  for (const resolve of task.waiting.values()) resolve(undefined);
  task.giveBack.abort();
  task.stop.abort();
}
// What does not end by itself is left.
setTimeout(() => process.exit(0), 8000).unref();
await Promise.all(running);
process.exit(0);
