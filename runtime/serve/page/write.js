// Texts that go on with a prompt: the controls, the stream, the tokens with their alternatives.

import { $, ask, bar, events, guarded, make, percent, say, state, visible } from "/page/api.js";

// groups are the members of a request: name, kind, value at first, least, most, step, title, what it does. A value is sent
// where it is another than the server would take.
const groups = [
  ["Drawing", true, [
    ["max_tokens", "range", 200, 1, 2000, 1, "Tokens", "How long the text gets, at the most."],
    ["temperature", "range", 0.8, 0, 2, 0.05, "Temperature", "Below 1 the likely becomes likelier, above 1 the unlikely; 0 always takes the likeliest."],
    ["top_p", "range", 1, 0.01, 1, 0.01, "Top-p", "Of the likeliest tokens those that together have this probability; 1 for all."],
    ["top_k", "range", 0, 0, 200, 1, "Top-k", "So many of the likeliest tokens; 0 for all."],
    ["min_p", "range", 0, 0, 1, 0.01, "Min-p", "Tokens that have this share of the probability of the likeliest; 0 for all."],
    ["seed", "number", "", 0, 9007199254740991, 1, "Seed", "The same seed writes the same text. Empty: another each time."],
  ]],
  ["Repetition", false, [
    ["repeat_penalty", "range", 1, 0.5, 2, 0.01, "Repetition penalty", "Above 1 what was written lately becomes less likely, by this factor; 1 for none."],
    ["frequency_penalty", "range", 0, -2, 2, 0.05, "Frequency penalty", "Taken off the logit of a token for each time that it was written."],
    ["presence_penalty", "range", 0, -2, 2, 0.05, "Presence penalty", "Taken off once for a token that was written."],
    ["repeat_last_n", "number", "", 0, 1000000, 1, "Window", "The tokens that penalties look back on. Empty: the server's choice."],
  ]],
  ["Surprise", false, [
    ["typical_p", "range", 1, 0.01, 1, 0.01, "Typical", "Tokens whose surprise is near the mean one, up to this probability; 1 for all."],
    ["mirostat", "choice", "0", [["0", "off"], ["2", "on"]], "", 0, "Mirostat", "Holds the surprise of the text at a level, whatever the other members say."],
    ["mirostat_tau", "range", 5, 0.1, 10, 0.1, "Its level", "The surprise aimed at, in bits a token."],
    ["mirostat_eta", "range", 0.1, 0.01, 1, 0.01, "Its rate", "How fast it corrects itself."],
  ]],
  ["Form", false, [
    ["stop", "text", "", 0, 0, 0, "Stop", "The text ends in front of this."],
    ["min_tokens", "number", "", 0, 4096, 1, "At least", "Tokens before which the text does not end."],
    ["grammar", "textarea", "", 0, 0, 0, "Grammar", "GBNF that the text keeps to, as in llama.cpp."],
    ["response_format", "textarea", "", 0, 0, 0, "JSON schema", "A schema that the text keeps to, in place of a grammar."],
  ]],
];

const members = groups.flatMap(([, , all]) => all);
let running = null;
let tokens = []; // of the text that is shown: text, p, top, button
let begun = ""; // what stands in front of them

export function build() {
  for (const [title, open, all] of groups) {
    const box = make("details", undefined, { open });
    box.append(make("summary", title));
    for (const m of all) box.append(control(m));
    $("controls").append(box);
  }
  const reset = make("button", "Reset", { type: "button", className: "quiet small" });
  reset.addEventListener("click", () => {
    for (const [name, , value] of members) set(name, value);
  });
  $("controls").append(reset);
  $("controls").addEventListener("input", snippet);
  $("prompt").addEventListener("input", snippet);
  $("write-form").addEventListener("submit", guarded(() => write($("prompt").value)));
  $("more").addEventListener("click", guarded(() => write(begun, tokens)));
  $("stop").addEventListener("click", () => running && running.abort());
  $("copy").addEventListener("click", guarded(async () => {
    await navigator.clipboard.writeText(textUpTo(tokens.length));
    say("Copied.");
  }));
  $("text").addEventListener("keydown", walk);
  $("request").addEventListener("toggle", snippet);
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && running) running.abort();
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !$("write").hidden) guarded(() => write($("prompt").value))(e);
  });
}

// control is one member: a label, its meaning, and a field; a range has a number beside it.
function control([name, kind, value, least, most, step, title, meaning]) {
  const box = make("div", undefined, { className: "control" }), id = "c-" + name;
  const head = make("div", undefined, { className: "control-head" });
  head.append(make("label", title, { htmlFor: id }));
  let field;
  if (kind === "textarea") field = make("textarea", "", { rows: 2, spellcheck: false });
  else if (kind === "choice") {
    field = make("select");
    for (const [v, text] of least) field.append(make("option", text, { value: v }));
  } else field = make("input", undefined, { type: kind === "range" ? "number" : kind });
  field.id = id;
  if (kind === "number" || kind === "range") Object.assign(field, { min: least, max: most, step: kind === "range" ? "any" : step });
  field.value = value;
  field.setAttribute("aria-describedby", id + "-about");
  box.append(head);
  if (kind === "text" || kind === "textarea") box.append(field);
  else head.append(field);
  if (kind === "range") {
    const slide = make("input", undefined, { type: "range", id: id + "-slide", min: least, max: most, step, tabIndex: -1 });
    slide.setAttribute("aria-hidden", "true"); // the number says the same
    slide.value = value;
    slide.addEventListener("input", () => { field.value = slide.value; });
    field.addEventListener("input", () => { slide.value = field.value; });
    box.append(slide);
  }
  box.append(make("small", meaning, { id: id + "-about" }));
  return box;
}

function set(name, value) {
  $("c-" + name).value = value;
  const slide = $("c-" + name + "-slide");
  if (slide) slide.value = value;
  snippet();
}

// request is what is asked for a prompt; all that the page needs to show tokens is left out where it is for the reader.
function request(prompt, forReader) {
  const q = { model: state.card.id, prompt };
  for (const [name, kind, value] of members) {
    const text = $("c-" + name).value;
    if (text === "" || (text === String(value) && name !== "max_tokens" && name !== "temperature")) continue;
    if (name.startsWith("mirostat_") && $("c-mirostat").value === "0") continue;
    if (name === "response_format") {
      let schema;
      try {
        schema = JSON.parse(text);
      } catch (e) {
        if (forReader) continue;
        throw new Error("The schema is no JSON: " + e.message);
      }
      q[name] = { type: "json_schema", json_schema: { name: "text", schema } };
    } else q[name] = kind === "range" || kind === "number" || kind === "choice" ? Number(text) : text;
  }
  return forReader ? q : { ...q, stream: true, logprobs: 8 };
}

function snippet() {
  if (!$("request").open || !state.card) return;
  const body = JSON.stringify(request($("prompt").value, true), null, 2).replace(/'/g, "'\\''");
  const key = $("key").value ? " \\\n  -H 'Authorization: Bearer KEY'" : "";
  $("curl").textContent = `curl ${location.origin}/v1/completions${key} -d '${body}'`;
}

const textUpTo = (n) => begun + tokens.slice(0, n).map((t) => t.text).join("");

// write goes on with a prompt, and with tokens that are there already.
async function write(prompt, kept) {
  if (running) return;
  const q = request(prompt + (kept || []).map((t) => t.text).join("")); // before anything is cleared: it may be wrong
  const mine = running = new AbortController();
  busy(true);
  $("alternatives").hidden = true;
  begun = prompt;
  tokens = [];
  $("text").replaceChildren(make("span", prompt, { className: "given" }));
  for (const t of kept || []) add(t.text, t.p, t.top);
  const before = tokens.length, start = performance.now();
  let reason = "", first = 0;
  say("Writing …");
  try {
    const response = await ask("/v1/completions", q, mine.signal);
    for await (const x of events(response)) {
      for (const c of x.choices) {
        const l = c.logprobs;
        if (l && !first) first = performance.now() - start;
        if (l) l.tokens.forEach((t, i) => add(t, l.token_logprobs[i], l.top_logprobs[i]));
        reason = c.finish_reason || reason;
      }
    }
    const took = (performance.now() - start) / 1000, n = tokens.length - before;
    const why = reason === "length" ? "it has all tokens that it may have" : "it came to its end";
    say(`${n} tokens in ${took.toFixed(1)} s, ${(n / took).toFixed(0)} a second; the first after ${first.toFixed(0)} ms; ${why}.`);
  } catch (e) {
    if (!mine.signal.aborted) throw e;
    say(`Stopped after ${tokens.length - before} tokens.`);
  } finally {
    running = null;
    busy(false);
  }
}

function busy(on) {
  $("go").disabled = on;
  $("stop").disabled = !on;
  $("more").disabled = $("copy").disabled = on || tokens.length === 0;
  $("text").setAttribute("aria-busy", String(on));
}

// shade is how surprising a token is, from 0 to 4: each step is 1.5 bits.
const shade = (p) => Math.max(0, Math.min(4, Math.floor(-p / Math.LN2 / 1.5)));

function add(text, p, top) {
  // A span, and not a button: lines break between words alone.
  const button = make("span", text, { role: "button", className: "token d" + shade(p), tabIndex: -1 });
  const token = { text, p, top: top || {}, button };
  button.setAttribute("aria-pressed", "false");
  if (!text.trim()) button.setAttribute("aria-label", visible(text));
  button.addEventListener("click", () => show(token));
  tokens.push(token);
  const box = $("text"), below = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.append(button);
  if (below) box.scrollTop = box.scrollHeight;
}

// walk goes from token to token by keys: one of them at a time can be reached by Tab.
function walk(e) {
  const at = tokens.findIndex((t) => t.button === document.activeElement);
  if (at >= 0 && (e.key === "Enter" || e.key === " ") && !e.ctrlKey && !e.metaKey) {
    e.preventDefault();
    show(tokens[at]);
    return;
  }
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 }[e.key];
  if (to === undefined || !tokens[to]) return;
  e.preventDefault();
  if (tokens[at]) tokens[at].button.tabIndex = -1;
  tokens[to].button.tabIndex = 0;
  tokens[to].button.focus();
}

// show tells what could have stood in place of a token.
function show(token) {
  for (const t of tokens) t.button.setAttribute("aria-pressed", String(t === token));
  const box = $("alternatives"), at = tokens.indexOf(token);
  box.replaceChildren(make("h3", `Token ${at + 1}, `));
  box.firstChild.append(make("code", visible(token.text)), `, written with a probability of ${percent(Math.exp(token.p))}`);
  const list = make("ol", undefined, { className: "choices" });
  const rows = Object.entries(token.top).sort((a, b) => b[1] - a[1]);
  if (!(token.text in token.top)) rows.push([token.text, token.p]);
  for (const [text, p] of rows) {
    const item = make("li"), button = make("button", undefined, { type: "button" });
    button.append(make("code", visible(text)), bar(Math.exp(p)), make("span", percent(Math.exp(p)), { className: "n" }));
    if (text === token.text) button.setAttribute("aria-current", "true");
    button.title = "Go on from here with this";
    const broken = (textUpTo(at) + text).includes("\ufffd"); // a part of a character, which no prompt can have
    button.disabled = broken || running !== null;
    button.addEventListener("click", guarded(() => write(begun, [...tokens.slice(0, at), { text, p, top: token.top }])));
    item.append(button);
    list.append(item);
  }
  box.append(list, make("p", "Choose one to go on from here with it.", { className: "hint" }));
  box.hidden = false;
}
