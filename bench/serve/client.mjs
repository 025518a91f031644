// Asks every endpoint of a server by the official client of OpenAI, streamed and not: node client.mjs URL KEY. The
// server has the models rnn, translate, bertmini, textvae, vae and gan.

import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url + "/v1", apiKey, maxRetries: 0 });
const faults = [];
let n = 0;

async function check(what, f) {
  n++;
  try {
    await f();
  } catch (e) {
    faults.push(`${what}: ${e.message.split("\n").slice(0, 12).join(" ")}`);
  }
}

await check("models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.deepEqual(ids, ["rnn", "translate", "bertmini", "textvae", "vae", "gan"]);
  assert.equal((await client.models.retrieve("gan")).id, "gan");
});

const completion = { model: "rnn", prompt: "It was", max_tokens: 30, seed: 3, n: 2, logprobs: 2, temperature: 0.9, top_p: 0.9, presence_penalty: 0.1, frequency_penalty: 0.1, logit_bias: { 5: -100 }, stop: ["~~~"], user: "me" };
await check("completions, streamed and not", async () => {
  const whole = await client.completions.create(completion);
  assert.equal(whole.choices.length, 2);
  assert.equal(whole.choices[0].finish_reason, "length");
  assert.equal(whole.choices[1].logprobs.tokens.length, 30);
  assert.equal(whole.usage.completion_tokens, 60);
  const texts = ["", ""];
  let usage;
  for await (const x of await client.completions.create({ ...completion, stream: true, stream_options: { include_usage: true } })) {
    for (const c of x.choices) texts[c.index] += c.text;
    usage = x.usage || usage;
  }
  assert.deepEqual(texts, whole.choices.map((c) => c.text));
  assert.equal(usage.completion_tokens, 60);
});
await check("completions of several prompts, of tokens, with an echo and best_of", async () => {
  const x = await client.completions.create({ model: "rnn", prompt: ["It", "So"], max_tokens: 3, echo: true, best_of: 3 });
  assert.deepEqual(x.choices.map((c) => c.text.slice(0, 2)), ["It", "So"]);
  const y = await client.completions.create({ model: "rnn", prompt: [[1, 2], [3]], max_tokens: 3 });
  assert.equal(y.choices.length, 2);
});
await check("a stream that is broken off", async () => {
  const stream = await client.completions.create({ model: "rnn", prompt: "It", max_tokens: 4000, stream: true });
  let seen = 0;
  for await (const _ of stream) if (++seen === 5) break;
  assert.equal(seen, 5);
});

const chat = { model: "rnn", seed: 5, max_completion_tokens: 20, n: 2, logprobs: true, top_logprobs: 3, store: false, prompt_cache_key: "k", safety_identifier: "s",
  messages: [{ role: "system", content: "Be brief." }, { role: "developer", content: "Be kind." }, { role: "user", content: [{ type: "text", text: "Hello" }] }, { role: "assistant", content: "Hi" }, { role: "user", content: "How are you?" }] };
await check("chats, streamed and not", async () => {
  const whole = await client.chat.completions.create(chat);
  assert.equal(whole.choices.length, 2);
  assert.equal(whole.choices[0].message.role, "assistant");
  assert.equal(whole.choices[0].logprobs.content[0].top_logprobs.length, 3);
  const texts = ["", ""], ends = [];
  let usage;
  for await (const x of await client.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } })) {
    for (const c of x.choices) {
      texts[c.index] += c.delta.content || "";
      if (c.finish_reason) ends[c.index] = c.finish_reason;
    }
    usage = x.usage || usage;
  }
  assert.deepEqual(texts, whole.choices.map((c) => c.message.content));
  assert.deepEqual(ends, whole.choices.map((c) => c.finish_reason));
  assert.deepEqual(usage, whole.usage);
});
await check("the client's own stream of a chat", async () => {
  const stream = client.chat.completions.stream({ ...chat, n: 1 });
  const last = await stream.finalChatCompletion();
  const whole = await client.chat.completions.create({ ...chat, n: 1 });
  assert.equal(last.choices[0].message.content, whole.choices[0].message.content);
});
await check("a chat with a schema", async () => {
  const schema = { type: "object", properties: { yes: { type: "boolean" } }, required: ["yes"], additionalProperties: false };
  const x = await client.chat.completions.parse({ model: "rnn", messages: [{ role: "user", content: "Well?" }], response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema } } });
  assert.equal(typeof x.choices[0].message.parsed.yes, "boolean");
});

await check("embeddings, which the client asks for in base64", async () => {
  for (const model of ["rnn", "bertmini"]) {
    const x = await client.embeddings.create({ model, input: ["so it was", "or not"] });
    const y = await client.embeddings.create({ model, input: "or not", encoding_format: "float" });
    assert.deepEqual(x.data[1].embedding.map(Math.fround), y.data[0].embedding.map(Math.fround));
  }
  assert.ok((await client.embeddings.create({ model: "textvae", input: "a man" })).data[0].embedding.length > 1);
});

const width = (await client.models.retrieve("textvae")).latent, small = (await client.models.retrieve("vae")).latent, mask = (await client.models.retrieve("bertmini")).mask;
for (const [path, member, body] of [
  ["/v1/translate", "data", { model: "translate", input: "ein", beam: 2, alignment: true }],
  ["/v1/fill", "blanks", { model: "bertmini", input: "so " + mask }],
  ["/v1/latent/encode", "latent", { model: "textvae", input: "a man" }],
  ["/v1/latent/decode", "texts", { model: "textvae", latent: [new Array(width).fill(0)] }],
  ["/v1/latent/decode", "vectors", { model: "vae", latent: [new Array(small).fill(0)] }],
  ["/v1/latent/interpolate", "texts", { model: "textvae", input: ["a man", "a dog"] }],
  ["/v1/images", "data", { model: "gan", n: 2, seed: 1 }],
  ["/tokenize", "tokens", { model: "rnn", content: "It was" }],
  ["/detokenize", "content", { model: "rnn", tokens: [1, 2] }],
]) await check(path, async () => assert.ok((await client.post(url + path, { body }))[member]));
for (const path of ["/health", "/openapi.json"]) await check(path, async () => assert.ok(await client.get(url + path)));

async function wrong(what, type, param, f) {
  await check(what, async () => {
    await assert.rejects(f, (e) => e instanceof type && e.param === param && e.message.length > 8);
  });
}
await wrong("an unknown model", OpenAI.NotFoundError, "model", () => client.completions.create({ ...completion, model: "other" }));
await wrong("too many choices", OpenAI.BadRequestError, "n", () => client.completions.create({ ...completion, n: 100000 }));
await wrong("too many choices, streamed", OpenAI.BadRequestError, "n", () => client.completions.create({ ...completion, n: 100000, stream: true }));
await wrong("a wrong key", OpenAI.AuthenticationError, null, () => new OpenAI({ baseURL: url + "/v1", apiKey: "wrong", maxRetries: 0 }).completions.create(completion));

console.log(`openai for Node.js: ${n} checks, ${faults.length} faults`);
for (const f of faults) console.log("  " + f);
process.exit(faults.length ? 1 : 0);
