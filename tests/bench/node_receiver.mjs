// What a team would write in Node: verifies a webhook with OpenAI's own SDK, appends it to a file,
// and answers once that has been synced, several webhooks by one sync.
//   node node_receiver.mjs NODE_MODULES FOLDER PORT SECRET
import { createRequire } from "node:module";
import fs from "node:fs";

const [nodeModules, folder, port, secret] = process.argv.slice(2);
const require = createRequire(`${nodeModules}/`);
const { default: OpenAI } = require("openai");
const fastify = require("fastify")();

const client = new OpenAI({ apiKey: "none", webhookSecret: secret });
const file = fs.openSync(`${folder}/events`, "a");
let waiting = [];
let syncing = false;

function sync() {
  if (syncing || waiting.length === 0) return;
  syncing = true;
  const group = waiting;
  waiting = [];
  fs.write(file, group.map((entry) => entry.line).join(""), (writeError) => {
    fs.fdatasync(file, (syncError) => {
      syncing = false;
      for (const entry of group) entry.done(writeError ?? syncError);
      sync();
    });
  });
}

function store(line) {
  return new Promise((resolve, reject) => {
    waiting.push({ line, done: (error) => (error ? reject(error) : resolve()) });
    sync();
  });
}

fastify.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) =>
  done(null, body),
);
fastify.post("/webhooks/openai", async (request) => {
  const event = await client.webhooks.unwrap(request.body, request.headers);
  await store(JSON.stringify(event) + "\n");
  return { status: "stored" };
});
await fastify.listen({ host: "127.0.0.1", port: Number(port) });
