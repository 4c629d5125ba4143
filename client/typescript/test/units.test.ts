import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { backoffDelay, Retries, type StreamEnd } from "../src/backoff.js";
import { nackItem } from "../src/consumer.js";
import { callError } from "../src/errors.js";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import {
  Client,
  CursorOvertakenError,
  DeadLetter,
  FileCursorStore,
  ForeignCursorError,
  GiveBack,
  LeaseLostError,
  Nack,
  UsageError,
  VERSION,
} from "../src/index.js";
import { parseTarget } from "../src/target.js";
import { durationFromMs } from "../src/time.js";
import { cutReason, verdictOf } from "../src/verdict.js";

function temporaryFolder(t: { after(done: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "hookgate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("the version is the gateway's", (t) => {
  const file = new URL("../../../../bazel/version.bzl", import.meta.url);
  if (!existsSync(file)) return t.skip("the package is not in its repository");
  assert.equal(/^VERSION = "(.*)"/m.exec(readFileSync(file, "utf8"))?.[1], VERSION);
  const packed = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  assert.equal(packed.version, VERSION);
});

test("the back-off doubles up to its maximum", () => {
  const backoff = { initialMs: 200, maximumMs: 1000 };
  for (const [attempt, ceiling] of [[1, 200], [2, 400], [3, 800], [4, 1000], [1000, 1000]] as const) {
    assert.equal(backoffDelay(backoff, attempt, 1), ceiling);
    assert.equal(backoffDelay(backoff, attempt, 0), ceiling / 2);
  }
  assert.equal(backoffDelay({}, 1000, 1), 30_000);
});

test("retries begin again after a stream that was of use, and after a drain", () => {
  const retries = new Retries({ initialMs: 1000, maximumMs: 1e9 });
  const end = (more: Partial<StreamEnd> = {}): StreamEnd => ({ why: new Error(), useful: false, retryDelayMs: 0, ...more });
  const within = (ms: number, low: number, high: number) => assert.ok(ms >= low && ms <= high, `${ms}`);
  within(retries.delayAfter(end()), 500, 1000);
  within(retries.delayAfter(end()), 1000, 2000);
  within(retries.delayAfter(end({ useful: true })), 500, 1000);
  within(retries.delayAfter(end({ retryDelayMs: 60_000 })), 60_000, 60_000);
  within(retries.delayAfter(end({ reconnectDelayMs: 7 })), 7, 7);
  within(retries.delayAfter(end()), 500, 1000);
});

test("targets", () => {
  for (const [text, loopback, tls] of [
    ["127.0.0.1:1", true, undefined],
    ["[::1]:50051", true, undefined],
    ["gateway.example:50051", false, undefined],
    ["https://gateway:50051", false, true],
    ["http://localhost:50051/", true, false],
    ["127.0.0.1.example:1", false, undefined],
  ] as const) {
    const target = parseTarget(text);
    assert.deepEqual([target.loopback, target.tls], [loopback, tls], text);
  }
  for (const text of ["", "gateway", ":1", "gateway:", "gateway:0", "gateway:65536", "::1:1", "a b:1", "[x]:1", "ftp://a:1"]) {
    assert.throws(() => parseTarget(text), UsageError, text);
  }
});

function gatewayError(code: Code, reason: string): ConnectError {
  return new ConnectError("no", code, undefined, [
    {
      desc: ErrorInfoSchema,
      value: { domain: "hookgate", reason, metadata: { earliest_cursor: "e", common_cursor: "c" } },
    },
  ]);
}

test("errors are final by their reason", () => {
  for (const [error, retryable] of [
    [gatewayError(Code.InvalidArgument, "INVALID_REQUEST"), false],
    [gatewayError(Code.OutOfRange, "CURSOR_OVERTAKEN"), false],
    [gatewayError(Code.NotFound, "SUBSCRIPTION_NOT_FOUND"), false],
    [gatewayError(Code.Aborted, "ETAG_MISMATCH"), false],
    [gatewayError(Code.FailedPrecondition, "A_LATER_REASON"), false],
    [gatewayError(Code.FailedPrecondition, "JOB_RUNNING"), true],
    [gatewayError(Code.ResourceExhausted, "TOO_MANY_STREAMS"), true],
    [new ConnectError("a proxy", Code.NotFound), true],
    [new ConnectError("a proxy", Code.Unauthenticated), false],
    [new ConnectError("message size 9 is larger than configured readMaxBytes 4", Code.ResourceExhausted), false],
    [new Error("not of gRPC"), true],
  ] as const) {
    assert.equal(callError(error, "cannot try", "gateway:1").retryable, retryable, String(error));
  }
});

test("errors have what the gateway said", () => {
  const overtaken = callError(gatewayError(Code.OutOfRange, "CURSOR_OVERTAKEN"), "cannot subscribe", "gateway:1");
  assert.ok(overtaken instanceof CursorOvertakenError);
  assert.deepEqual([overtaken.code, overtaken.reason, overtaken.earliestCursor], ["OUT_OF_RANGE", "CURSOR_OVERTAKEN", "e"]);
  assert.equal(overtaken.name, "CursorOvertakenError");
  assert.match(overtaken.message, /gateway:1.*\(cursor e\)/);
  const foreign = callError(gatewayError(Code.FailedPrecondition, "CURSOR_OF_ANOTHER_HISTORY"), "", "");
  assert.ok(foreign instanceof ForeignCursorError);
  assert.equal(foreign.commonCursor, "c");
  assert.equal(callError(new ConnectError("", Code.Canceled), "", "").code, "CANCELLED");
  // A connection that was reset, as the transport tells it.
  const reset = new ConnectError("read ECONNRESET", Code.Aborted, undefined, undefined, new Error("ECONNRESET"));
  assert.equal(callError(reset, "", "").code, "UNAVAILABLE");
});

test("a cursor file keeps its cursor, as a line", async (t) => {
  const store = new FileCursorStore(join(temporaryFolder(t), "cursor"));
  assert.equal(await store.load(), undefined);
  for (const cursor of ["one", "two", "c".repeat(4096)]) {
    await store.save(cursor);
    assert.equal(await store.load(), cursor);
    assert.equal(readFileSync(store.path, "utf8"), cursor + "\n");
  }
  for (const cursor of ["", "a b", "a\n", "ü", "c".repeat(4097)]) await assert.rejects(store.save(cursor));
  assert.ok(!existsSync(store.path + ".tmp"));
});

// To begin again in silence would lose or repeat events.
test("damaged cursor files are refused", async (t) => {
  const folder = temporaryFolder(t);
  const store = new FileCursorStore(join(folder, "cursor"));
  for (const text of ["", "\n", "cut", "two words\n", "a\nb\n", "a\n\n", "\0\n", "c".repeat(5000)]) {
    writeFileSync(store.path, text);
    await assert.rejects(store.load(), /cursor/, JSON.stringify(text));
  }
  await assert.rejects(new FileCursorStore(folder).load());
});

// The link itself was replaced by a file, and what it led to, which was what the backup took, stayed as it was.
test("a cursor is saved where a link leads", async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "kept"));
  symlinkSync("kept/cursor", join(folder, "cursor"));
  await new FileCursorStore(join(folder, "cursor")).save("c1");
  assert.equal(readFileSync(join(folder, "kept", "cursor"), "utf8"), "c1\n");
  assert.ok(lstatSync(join(folder, "cursor")).isSymbolicLink());
});

test("what a handler throws decides", () => {
  const abort = new DOMException("stopped", "AbortError");
  for (const [error, lost, kind] of [
    [new Error("why"), false, "nack"],
    ["a text", false, "nack"],
    [undefined, true, "nack"],
    [new Nack("why", { delayMs: 5 }), false, "nack"],
    [new DeadLetter("why"), false, "dead_letter"],
    [new GiveBack(), false, "give_back"],
    [abort, false, "nack"],
    [abort, true, "give_back"],
    [new LeaseLostError(), true, "give_back"],
  ] as const) {
    assert.equal(verdictOf(error, lost).kind, kind, String(error));
  }
  assert.deepEqual(verdictOf(new Nack("why", { delayMs: 5 }), false), { kind: "nack", reason: "why", delayMs: 5 });
});

test("a delay is cut to 12 h, also that of a Nack that was changed after it was made", () => {
  const changed = (delayMs: unknown) => Object.assign(new Nack("why"), { delayMs }) as Nack;
  const delayOf = (nack: Nack) => nackItem("d", verdictOf(nack, false)).next;
  const delay = (ms: number) => ({ case: "delay", value: durationFromMs(ms) });
  for (const delayMs of [12 * 3_600_000 + 1, Number.MAX_VALUE, Infinity]) {
    assert.deepEqual(delayOf(new Nack("why", { delayMs })), delay(12 * 3_600_000));
  }
  assert.deepEqual(delayOf(changed(-5)), delay(0));
  for (const delayMs of [NaN, "5", null]) assert.equal(delayOf(changed(delayMs)), undefined);
});

test("reasons are made fit to send", () => {
  for (const reason of ["\ud800 half a pair", "é".repeat(2000), "x".repeat(1023) + "é"]) {
    const cut = cutReason(reason);
    assert.ok(Buffer.byteLength(cut) <= 1024);
    assert.doesNotThrow(() => encodeURIComponent(cut)); // Which half a pair makes throw.
  }
});

test("options that cannot be right are refused", (t) => {
  const file = join(temporaryFolder(t), "file");
  writeFileSync(file, "no token");
  for (const options of [
    { target: "gateway:1", token: "secret" },
    { target: "https://gateway:1", tokenFile: file },
    { target: "https://gateway:1", tokenFile: file + "x" },
    { target: "gateway:1", tlsCertificate: file },
    { target: "gateway:1", tlsCa: file + "x" },
    { target: "https://gateway:1", tls: false },
  ]) {
    assert.throws(
      () => new Client(options),
      (error) => error instanceof UsageError && !error.message.includes("secret"),
    );
  }
});

// BigInt() and setTimeout() make of such numbers errors that looked like a broken stream, or no wait at all.
test("numbers that cannot be right are refused before anything is opened", async () => {
  const client = new Client({ target: "localhost:1" });
  for (const options of [
    { concurrency: NaN },
    { concurrency: 2.5 },
    { concurrency: -1 },
    { maxEvents: 0 },
    { maxEvents: NaN },
    { longestLeaseMs: NaN },
    { stopGraceMs: -1 },
    { giveBackGraceMs: NaN },
    { heartbeatIntervalMs: NaN },
    { heartbeatIntervalMs: Infinity },
    { openTimeoutMs: 0 },
    { backoff: { initialMs: NaN } },
    { backoff: { maximumMs: -5 } },
  ]) {
    await assert.rejects(client.consume("work", () => {}, options), UsageError, JSON.stringify(options));
  }
  for (const options of [{ saveIntervalMs: NaN }, { heartbeatIntervalMs: NaN }, { openTimeoutMs: NaN }, { backoff: { initialMs: -1 } }]) {
    await assert.rejects(async () => {
      for await (const event of client.subscribe(options)) void event;
    }, UsageError);
  }
  for (const request of [{ maxEvents: 1, waitMs: NaN }, { maxEvents: NaN }, { maxEvents: 1, waitMs: Infinity }]) {
    await assert.rejects(client.pull("work", { consumerName: "c", ...request }), UsageError);
  }
  for (const callTimeoutMs of [NaN, 0, Infinity]) {
    assert.throws(() => new Client({ target: "localhost:1", callTimeoutMs }), UsageError);
  }
  assert.throws(() => new Nack("x", { delayMs: NaN }), /the delayMs of a Nack is NaN; use a number, 0 or more/);
  assert.equal(new Nack("x", { delayMs: Infinity }).delayMs, Infinity);
  await client.close();
});
