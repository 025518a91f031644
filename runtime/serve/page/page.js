"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, props) => Object.assign(document.createElement(tag), text === undefined ? {} : { textContent: text }, props || {});
let card = null, running = null, tokens = [];

// The members of a request, with what they mean.
const controls = [
  ["max_tokens", "number", 200, 1, 4096, 1, "Tokens", "How long the text gets."],
  ["temperature", "number", 0.8, 0, 5, 0.05, "Temperature", "Below 1 plays it safe, above 1 dares; 0 takes the likeliest."],
  ["top_p", "number", 1, 0.01, 1, 0.01, "Top-p", "Keep the likeliest tokens that add up to this probability."],
  ["top_k", "number", 0, 0, 100000, 1, "Top-k", "Keep this many of the likeliest tokens; 0 for all."],
  ["min_p", "number", 0, 0, 1, 0.01, "Min-p", "Keep tokens this share as likely as the likeliest."],
  ["typical_p", "number", 1, 0.01, 1, 0.01, "Typical", "Keep tokens of typical information up to this probability."],
  ["repeat_penalty", "number", 1, 0.01, 10, 0.01, "Repetition penalty", "Above 1 makes what was just written less likely."],
  ["frequency_penalty", "number", 0, -10, 10, 0.1, "Frequency penalty", "Taken off for each time that a token was just written."],
  ["presence_penalty", "number", 0, -10, 10, 0.1, "Presence penalty", "Taken off for a token that was just written."],
  ["seed", "number", "", 0, 9007199254740991, 1, "Seed", "The same seed writes the same text; empty for another each time."],
  ["stop", "text", "", 0, 0, 0, "Stop", "The text ends before this."],
  ["grammar", "textarea", "", 0, 0, 0, "Grammar", "GBNF that the text keeps to."],
];

function headers() {
  const h = { "Content-Type": "application/json" };
  if ($("key").value) h.Authorization = "Bearer " + $("key").value;
  return h;
}

async function ask(path, body, signal) {
  const r = await fetch(path, body === undefined ? { headers: headers(), signal } : { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
  if (!r.ok) {
    let text = r.statusText;
    try { text = (await r.json()).error.message; } catch { /* no JSON */ }
    throw new Error(text);
  }
  return r;
}

function say(text, wrong) {
  $("status").textContent = text;
  $("status").className = wrong ? "wrong" : "";
}

const guarded = (f) => async (event) => {
  if (event) event.preventDefault();
  try { await f(event); } catch (e) { if (e.name !== "AbortError") say(e.message, true); }
};

function buildControls() {
  for (const [name, kind, value, min, max, step, title, meaning] of controls) {
    const box = make("div"), id = "c-" + name;
    box.append(make("label", title, { htmlFor: id }));
    const field = kind === "textarea" ? make("textarea", "", { rows: 1 }) : make("input", undefined, { type: kind });
    if (kind === "number") Object.assign(field, { min, max, step: "any" });
    field.id = id;
    field.value = value;
    field.setAttribute("aria-describedby", id + "-about");
    box.append(field, make("small", meaning, { id: id + "-about" }));
    $("controls").append(box);
  }
}

function request() {
  const q = { model: card.id, prompt: $("prompt").value, stream: true, logprobs: 5 };
  for (const [name, kind, value] of controls) {
    const text = $("c-" + name).value;
    if (text === "" || text === String(value) && name !== "max_tokens" && name !== "temperature") continue;
    q[name] = kind === "number" ? Number(text) : text;
  }
  return q;
}

// events gives the objects of a stream.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    for (let at; (at = rest.indexOf("\n\n")) >= 0; rest = rest.slice(at + 2)) {
      const data = rest.slice(0, at).replace(/^data: /, "");
      if (data === "[DONE]") return;
      const x = JSON.parse(data);
      if (x.error) throw new Error(x.error.message);
      yield x;
    }
  }
}

function show(token) {
  for (const b of $("text").querySelectorAll(".token")) b.setAttribute("aria-pressed", String(b === token.button));
  const box = $("alternatives");
  box.replaceChildren(make("h3", "In place of " + JSON.stringify(token.text)));
  const list = make("ol");
  const rows = Object.entries(token.top).sort((a, b) => b[1] - a[1]);
  for (const [text, p] of rows) {
    const item = make("li"), percent = Math.exp(p) * 100;
    item.append(make("meter", undefined, { min: 0, max: 100, value: percent, ariaLabel: "probability of " + JSON.stringify(text) }), " " + percent.toFixed(1) + " %  ", make("code", JSON.stringify(text)));
    list.append(item);
  }
  box.append(list, make("p", "Written with a probability of " + (Math.exp(token.p) * 100).toFixed(1) + " %."));
  box.hidden = false;
}

function addToken(text, p, top) {
  const surprise = Math.min(4, Math.floor(-p / Math.LN2 / 1.5));
  const button = make("button", text, { type: "button", className: "token" + (surprise > 0 ? " d" + surprise : "") });
  const token = { text, p, top: top || {}, button };
  button.setAttribute("aria-pressed", "false");
  if (!text.trim()) button.setAttribute("aria-label", JSON.stringify(text));
  button.addEventListener("click", () => show(token));
  tokens.push(token);
  $("text").append(button);
}

async function write() {
  if (running) return;
  running = new AbortController();
  $("go").disabled = true;
  $("stop").disabled = false;
  $("alternatives").hidden = true;
  tokens = [];
  $("text").replaceChildren(make("span", $("prompt").value));
  const began = performance.now();
  let reason = "", first = 0;
  say("Writing …");
  try {
    const response = await ask("/v1/completions", request(), running.signal);
    for await (const x of events(response)) {
      for (const c of x.choices) {
        if (c.logprobs) {
          if (!first) first = performance.now() - began;
          c.logprobs.tokens.forEach((t, i) => addToken(t, c.logprobs.token_logprobs[i], c.logprobs.top_logprobs[i]));
        }
        reason = c.finish_reason || reason;
      }
    }
    const took = (performance.now() - began) / 1000;
    say(`${tokens.length} tokens in ${took.toFixed(1)} s, the first one after ${first.toFixed(0)} ms; it ended by ${reason}.`);
  } finally {
    if (running.signal.aborted) say("Stopped.");
    running = null;
    $("go").disabled = false;
    $("stop").disabled = true;
  }
}

async function translate() {
  const r = await (await ask("/v1/translate", { model: card.id, input: $("source").value, beam: Number($("beam").value) })).json();
  $("answer").textContent = r.data[0].text;
}

async function fill() {
  const r = await (await ask("/v1/fill", { model: card.id, input: $("gaps").value })).json();
  $("filled").textContent = r.text;
  $("blanks").replaceChildren(...r.blanks.map((b) => {
    const list = make("ol");
    for (const g of b) list.append(make("li", `${JSON.stringify(g.token)} ${(g.probability * 100).toFixed(1)} %`));
    return list;
  }));
}

let walking = false, again = false;
async function walk() {
  if (walking) { again = true; return; }
  walking = true;
  try {
    do {
      again = false;
      drawPlane();
      const z = new Array(card.latent).fill(0);
      z[0] = Number($("axis-x").value);
      if (z.length > 1) z[1] = Number($("axis-y").value);
      const q = { model: card.id, latent: [z] };
      if (card.labels) q.labels = [Number($("label").value)];
      const r = await (await ask("/v1/latent/decode", q)).json();
      if (r.texts) $("made-text").textContent = r.texts[0];
      else drawVector(r.vectors[0]);
    } while (again);
  } finally { walking = false; }
}

function drawPlane() {
  const c = $("plane"), g = c.getContext("2d"), ink = getComputedStyle(document.body).color;
  g.clearRect(0, 0, c.width, c.height);
  g.strokeStyle = ink;
  g.globalAlpha = 0.3;
  for (const r of [1, 2, 3]) { g.beginPath(); g.arc(c.width / 2, c.height / 2, r * c.width / 6, 0, 2 * Math.PI); g.stroke(); }
  g.globalAlpha = 1;
  g.fillStyle = ink;
  g.beginPath();
  g.arc((Number($("axis-x").value) + 3) * c.width / 6, (3 - Number($("axis-y").value)) * c.height / 6, 6, 0, 2 * Math.PI);
  g.fill();
}

function drawVector(x) {
  const c = $("made"), width = Math.round(Math.sqrt(x.length)), height = Math.ceil(x.length / width);
  c.hidden = false;
  c.width = width;
  c.height = height;
  const g = c.getContext("2d"), img = g.createImageData(width, height);
  x.forEach((v, i) => { img.data.fill(Math.round(255 * Math.min(1, Math.max(0, v))), 4 * i, 4 * i + 3); img.data[4 * i + 3] = 255; });
  g.putImageData(img, 0, 0);
}

async function images() {
  const q = { model: card.id, n: 64, seed: Number($("images-seed").value) };
  if (card.labels) q.labels = Array.from({ length: 64 }, (_, i) => i % card.labels);
  const r = await (await ask("/v1/images", q)).json();
  $("wall").replaceChildren(...r.data.map((d, i) => make("img", undefined, { src: "data:image/png;base64," + d.b64_json, alt: "sample " + (i + 1) })));
}

function facts(list, pairs) {
  list.replaceChildren();
  for (const [k, v] of pairs) if (v !== undefined && v !== "") list.append(make("dt", k), make("dd", String(v)));
}

async function choose() {
  card = await (await ask("/v1/models/" + encodeURIComponent($("model").value))).json();
  const has = (p) => card.paths.includes(p);
  $("writes").hidden = !has("/v1/completions");
  $("translates").hidden = !has("/v1/translate");
  $("fills").hidden = !has("/v1/fill");
  $("latent").hidden = !has("/v1/latent/decode");
  $("images").hidden = !has("/v1/images");
  $("label-line").hidden = !card.labels;
  if (card.prompt && !$("prompt").value) $("prompt").value = card.prompt;
  if (card.mask && !$("gaps").value) $("gaps").value = "the " + card.mask + card.mask + card.mask + " of ";
  facts($("card"), [["Name", card.id], ["Kind", card.kind], ["About", card.description], ["Parameters", card.parameters.toLocaleString()], ["Vocabulary", card.vocabulary],
    ["Context", card.context || "any length"], ["Trained", card.trained_steps ? card.trained_steps + " steps" : "not in this file"], ["Spec", card.spec], ["Digest of the spec", card.spec_digest]]);
  $("layers").replaceChildren(...(card.layers || []).map((l) => {
    const row = make("tr");
    row.append(make("td", l.name), make("td", l.kind), make("td", l.output), make("td", l.parameters.toLocaleString()));
    return row;
  }));
  if (has("/v1/latent/decode")) await walk();
  say("");
}

async function watch() {
  try {
    const text = await (await ask("/metrics")).text();
    const value = (name) => {
      let sum = 0;
      for (const line of text.split("\n")) if (line.startsWith(name + "{") || line.startsWith(name + " ")) sum += Number(line.slice(line.lastIndexOf(" ")));
      return sum;
    };
    facts($("now"), [["Texts that are written", value("gradsmith_writing")], ["Prompts that are read", value("gradsmith_reading")], ["Waiting", value("gradsmith_waiting")],
      ["Tokens written", value("gradsmith_tokens_written_total")], ["Tokens of prompts that were shared", value("gradsmith_prompt_tokens_shared_total")], ["Requests", value("gradsmith_requests_total")]]);
  } catch { /* it is asked again */ }
  setTimeout(watch, document.hidden ? 10000 : 2000);
}

async function load() {
  const list = await (await ask("/v1/models")).json();
  $("model").replaceChildren(...list.data.map((m) => make("option", m.id, { value: m.id })));
  await choose();
}

buildControls();
$("write-form").addEventListener("submit", guarded(write));
$("translate-form").addEventListener("submit", guarded(translate));
$("fill-form").addEventListener("submit", guarded(fill));
$("images-form").addEventListener("submit", guarded(images));
$("model").addEventListener("change", guarded(choose));
$("key").addEventListener("change", guarded(load));
$("stop").addEventListener("click", () => running && running.abort());
for (const id of ["axis-x", "axis-y", "label"]) $(id).addEventListener("input", guarded(walk));
$("plane").addEventListener("click", guarded((e) => {
  const r = $("plane").getBoundingClientRect();
  $("axis-x").value = (e.clientX - r.left) / r.width * 6 - 3;
  $("axis-y").value = 3 - (e.clientY - r.top) / r.height * 6;
  return walk();
}));
$("plane").addEventListener("keydown", (e) => {
  const move = { ArrowLeft: ["axis-x", -0.1], ArrowRight: ["axis-x", 0.1], ArrowUp: ["axis-y", 0.1], ArrowDown: ["axis-y", -0.1] }[e.key];
  if (!move) return;
  $(move[0]).value = Number($(move[0]).value) + move[1];
  guarded(walk)(e);
});
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape" && running) running.abort();
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !$("writes").hidden) guarded(write)();
});
guarded(load)();
watch();
