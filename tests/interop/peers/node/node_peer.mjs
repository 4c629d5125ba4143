// grpc-js as a peer of a gRPC server: see bazel/interop.
//
//   node node_peer.mjs --target HOST:PORT --proto FOLDER [--ca_file PEM] [--without CASE,...] [CASE...]
//
// Prints "ok CASE" or "FAILED CASE: why" for each. FOLDER has test.proto.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const require = createRequire(process.env.INTEROP_NODE_MODULES + '/');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const PATIENCE_MS = 30_000; // that a busy machine may need
const REQUEST_SIZES = [27182, 8, 1828, 45904];
const RESPONSE_SIZES = [31415, 9, 2653, 58979];
const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const MAX_MESSAGE = 1 << 20; // what the server takes
const INITIAL = ['x-grpc-test-echo-initial', 'test_initial_metadata_value'];
const TRAILING = ['x-grpc-test-echo-trailing-bin', Buffer.from([10, 11, 10, 11, 10, 11, 0, 255])];
const SPECIAL_MESSAGE = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n';

const { values: flags, positionals } = parseArgs({
  options: {
    target: { type: 'string' },
    proto: { type: 'string' },
    ca_file: { type: 'string' },
    without: { type: 'string', default: '' }, // cases, with commas between them
  },
  allowPositionals: true,
});
const loaded = protoLoader.loadSync('test.proto', { includeDirs: [flags.proto], keepCase: true, defaults: true });
const { TestService } = grpc.loadPackageDefinition(loaded).grpc.testing;
const credentials = flags.ca_file
  ? grpc.credentials.createSsl(readFileSync(flags.ca_file))
  : grpc.credentials.createInsecure();
const client = new TestService(flags.target, credentials);

const payload = (size) => ({ body: Buffer.alloc(size) });
const frame = (requestSize, ...sizes) => ({
  response_parameters: sizes.map((size) => ({ size })),
  payload: payload(requestSize),
});
const sizeOf = (response) => response.payload.body.length;
const patience = (ms = PATIENCE_MS) => ({ deadline: Date.now() + ms });

function metadata(entries) {
  const made = new grpc.Metadata();
  for (const [name, value] of entries) made.add(name, value);
  return made;
}

// What a call with one response came to. `call` is given the callback, and returns the call.
function outcome(call) {
  return new Promise((resolve) => {
    const seen = {};
    const made = call((error, response) => {
      seen.error = error;
      seen.response = response;
    });
    made.on('metadata', (initial) => (seen.initial = initial));
    made.on('status', (status) => resolve({ ...seen, status }));
  });
}

async function unary(requestSize, responseSize, entries = []) {
  const request = { response_size: responseSize, payload: payload(requestSize) };
  const result = await outcome((done) => client.UnaryCall(request, metadata(entries), patience(), done));
  if (result.error) throw result.error;
  assert.equal(sizeOf(result.response), responseSize);
  return result;
}

// What comes of a stream: its responses and how it ended.
function collect(stream) {
  return new Promise((resolve) => {
    const seen = { responses: [] };
    stream.on('data', (response) => seen.responses.push(response));
    stream.on('metadata', (initial) => (seen.initial = initial));
    stream.on('error', () => {}); // The status says it.
    stream.on('status', (status) => resolve({ ...seen, status }));
  });
}

async function fails(code, promise, message) {
  const { status } = await promise;
  assert.equal(grpc.status[status.code], grpc.status[code]);
  if (message !== undefined) assert.equal(status.details, message);
  return status;
}

async function succeeds(promise, sizes) {
  const result = await promise;
  assert.equal(grpc.status[result.status.code], 'OK', result.status.details);
  assert.deepEqual(result.responses.map(sizeOf), sizes);
  return result;
}

// Its next response; for a stream that is not read otherwise.
async function next(stream) {
  stream.resume();
  const [response] = await once(stream, 'data');
  stream.pause();
  return response;
}

async function statusComesBack(message) {
  const echo = { code: grpc.status.UNKNOWN, message };
  const status = await fails(
    grpc.status.UNKNOWN,
    outcome((done) => client.UnaryCall({ response_status: echo }, patience(), done)),
    message,
  );
  // A google.rpc.Status begins with its code, and has the message as its second field.
  const [details] = status.metadata.get('grpc-status-details-bin');
  assert.deepEqual([...details.subarray(0, 2)], [8, grpc.status.UNKNOWN]);
  assert.ok(details.includes(Buffer.from(message)));
  const duplex = client.FullDuplexCall(patience());
  duplex.end({ response_status: echo });
  await fails(grpc.status.UNKNOWN, collect(duplex), message);
}

async function unimplemented(method) {
  const empty = () => Buffer.alloc(0);
  await fails(
    grpc.status.UNIMPLEMENTED,
    outcome((done) => client.makeUnaryRequest(method, empty, empty, {}, patience(), done)),
  );
}

const cases = {
  async empty_unary() {
    const result = await outcome((done) => client.EmptyCall({}, patience(), done));
    assert.equal(result.error, null);
  },
  large_unary: () => unary(LARGE_REQUEST, LARGE_RESPONSE),
  largest_messages: () => unary(MAX_MESSAGE - 100, 4_000_000),
  async message_too_large() {
    for (const size of [MAX_MESSAGE + 1, 4 * MAX_MESSAGE]) {
      const request = { payload: payload(size) };
      await fails(
        grpc.status.RESOURCE_EXHAUSTED,
        outcome((done) => client.UnaryCall(request, patience(), done)),
      );
      await unary(1, 1);
    }
  },
  server_streaming: () =>
    succeeds(collect(client.StreamingOutputCall(frame(1, ...RESPONSE_SIZES), patience())), RESPONSE_SIZES),
  async client_streaming() {
    const result = await outcome((done) => {
      const call = client.StreamingInputCall(patience(), done);
      for (const size of REQUEST_SIZES) call.write({ payload: payload(size) });
      call.end();
      return call;
    });
    if (result.error) throw result.error;
    assert.equal(result.response.aggregated_payload_size, REQUEST_SIZES.reduce((sum, size) => sum + size));
  },
  async ping_pong() {
    const duplex = client.FullDuplexCall(patience());
    for (let i = 0; i < REQUEST_SIZES.length; ++i) {
      duplex.write(frame(REQUEST_SIZES[i], RESPONSE_SIZES[i]));
      assert.equal(sizeOf(await next(duplex)), RESPONSE_SIZES[i]);
    }
    duplex.end();
    await succeeds(collect(duplex), []);
  },
  async empty_stream() {
    const duplex = client.FullDuplexCall(patience());
    duplex.end();
    await succeeds(collect(duplex), []);
  },
  async half_close() {
    const duplex = client.HalfDuplexCall(patience());
    for (const size of RESPONSE_SIZES) duplex.write(frame(8, size));
    duplex.end();
    await succeeds(collect(duplex), RESPONSE_SIZES);
  },
  // A stream that nobody reads holds its own messages back, and no other call.
  async unread_stream() {
    const sizes = Array(100).fill(100_000);
    const stream = client.StreamingOutputCall(frame(1, ...sizes), patience());
    for (let i = 0; i < 10; ++i) await unary(LARGE_REQUEST, LARGE_RESPONSE);
    await succeeds(collect(stream), sizes);
  },
  async many_streams() {
    const streams = Array.from({ length: 90 }, () => client.FullDuplexCall(patience()));
    for (let round = 0; round < 3; ++round) {
      const answers = streams.map(async (stream, number) => {
        stream.write(frame(number, 100 * number + round));
        assert.equal(sizeOf(await next(stream)), 100 * number + round);
      });
      await Promise.all(answers);
    }
    for (const stream of streams) stream.end();
    await Promise.all(streams.map((stream) => succeeds(collect(stream), [])));
  },
  async custom_metadata() {
    const duplex = client.FullDuplexCall(metadata([INITIAL, TRAILING]), patience());
    const ended = collect(duplex);
    duplex.end(frame(1, 1));
    const results = [await unary(1, LARGE_RESPONSE, [INITIAL, TRAILING]), await succeeds(ended, [1])];
    for (const { initial, status } of results) {
      assert.deepEqual(initial.get(INITIAL[0]), [INITIAL[1]]);
      assert.deepEqual(status.metadata.get(TRAILING[0]), [TRAILING[1]]);
    }
  },
  status_code_and_message: () => statusComesBack('test status message'),
  special_status_message: () => statusComesBack(SPECIAL_MESSAGE),
  // The client hears the status, not that its upload was cut off.
  async status_before_the_upload_is_over() {
    const duplex = client.FullDuplexCall(patience());
    const ended = collect(duplex);
    duplex.write(frame(100_000));
    const last = { ...frame(100_000), response_status: { code: grpc.status.FAILED_PRECONDITION, message: 'enough' } };
    for (let i = 0; i < 8; ++i) duplex.write(last);
    await fails(grpc.status.FAILED_PRECONDITION, ended, 'enough');
  },
  async timeout_on_sleeping_server() {
    const duplex = client.FullDuplexCall(patience(1));
    duplex.write(frame(27182));
    await fails(grpc.status.DEADLINE_EXCEEDED, collect(duplex));
  },
  async deadline_of_an_open_stream() {
    const duplex = client.FullDuplexCall(patience(300));
    const ended = collect(duplex);
    duplex.write(frame(1, 1));
    await fails(grpc.status.DEADLINE_EXCEEDED, ended);
    assert.deepEqual((await ended).responses.map(sizeOf), [1]);
  },
  async cancel_after_begin() {
    await fails(
      grpc.status.CANCELLED,
      outcome((done) => {
        const call = client.StreamingInputCall(patience(), done);
        call.cancel();
        return call;
      }),
    );
  },
  async cancel_after_first_response() {
    const duplex = client.FullDuplexCall(patience());
    duplex.write(frame(27182, 31415));
    assert.equal(sizeOf(await next(duplex)), 31415);
    const ended = collect(duplex);
    duplex.cancel();
    await fails(grpc.status.CANCELLED, ended);
    await unary(1, 1);
  },
  unimplemented_method: () => unimplemented('/grpc.testing.TestService/UnimplementedCall'),
  unimplemented_service: () => unimplemented('/grpc.testing.UnimplementedService/UnimplementedCall'),
};

let failed = false;
for (const name of positionals.length > 0 ? positionals : Object.keys(cases)) {
  if (flags.without.split(',').includes(name)) continue;
  try {
    await cases[name]();
    console.log(`ok ${name}`);
  } catch (error) {
    failed = true;
    console.log(`FAILED ${name}: ${String(error.message ?? error).replaceAll('\n', ' ').slice(0, 400)}`);
  }
}
client.close();
process.exit(failed ? 1 : 0);
