// What is told of the model, and what the server is doing.

import { $, ask, large, make, number, state } from "/page/api.js";

function facts(list, pairs) {
  list.replaceChildren();
  for (const [name, value, title] of pairs) {
    if (value === undefined || value === "" || value === null) continue;
    const dd = make("dd");
    dd.append(value instanceof Node ? value : String(value));
    if (title) dd.title = title;
    list.append(make("dt", name), dd);
  }
}

const bytes = (n) => {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024) return n.toPrecision(Math.min(4, Math.max(1, String(Math.floor(n)).length + (unit === "B" ? 0 : 1)))) + " " + unit;
    n /= 1024;
  }
  return n.toFixed(1) + " TiB";
};

export function fresh() {
  const c = state.card, t = c.training || {};
  const flops = (c.layers || []).reduce((sum, l) => sum + (l.flops || 0), 0);
  const options = Object.entries(t.options || {}).map(([k, v]) => `--${k} ${v}`).join("  ");
  facts($("card"), [
    ["Kind", c.kind],
    ["Parameters", number(c.parameters)],
    ["Operations", flops ? `${large(flops)} a ${c.width ? "vector" : "token"}` : ""],
    ["Memory", c.decode_bytes ? `${bytes(c.decode_bytes)} for one text` : ""],
    ["Vocabulary", c.vocabulary ? number(c.vocabulary) + " tokens" : ""],
    ["Context", c.context ? number(c.context) + " tokens" : c.paths.includes("/v1/completions") ? "any length" : ""],
    ["Vector", c.width ? number(c.width) + " numbers" : ""],
    ["Latent vector", c.latent ? c.latent + " numbers" : ""],
    ["Labels", c.labels || ""],
    ["Trained", t.steps ? `${number(t.steps)} steps, seed ${t.seed}` : "the file has parameters alone"],
    ["Best validation", t.best !== undefined ? `${t.best.toFixed(4)} nats a ${t.unit}` : ""],
    ["Optimizer", t.recipe],
    ["Options", options ? make("code", options) : ""],
    ["Chat template", c.chat_template],
    ["Spec", c.spec],
    ["Digest", make("code", c.spec_digest.slice(0, 12)), c.spec_digest],
  ]);
  $("layers-details").hidden = !(c.layers || []).length;
  $("layers").replaceChildren(...(c.layers || []).map((l) => {
    const row = make("tr");
    row.append(make("td", l.name), make("td", l.kind), make("td", l.output), make("td", number(l.parameters), { className: "n" }));
    return row;
  }));
  losses(t);
}

const svg = (tag, props) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(props)) e.setAttribute(k, v);
  return e;
};

// losses draws those of the training's log.
function losses(t) {
  const box = $("losses"), all = [["training", t.losses || [], "line"], ["validation", t.validations || [], "line second"]].filter(([, p]) => p.length > 1);
  for (const old of box.querySelectorAll("svg")) old.remove();
  box.hidden = all.length === 0;
  if (box.hidden) return;
  const points = all.flatMap(([, p]) => p), w = 320, h = 120, left = 40, foot = 16;
  const most = Math.max(...points.map((p) => p[0])) || 1, ys = points.map((p) => p[1]);
  const low = Math.min(...ys), high = Math.max(...ys), span = high - low || 1;
  const at = ([s, v]) => [left + (s / most) * (w - left - 4), 6 + ((high - v) / span) * (h - foot - 12)];
  const last = all.map(([name, p]) => `${name} loss ${p[p.length - 1][1].toFixed(3)}`).join(", ");
  const g = svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `Losses over ${number(most)} steps; in the end ${last}` });
  for (const v of [low, high]) {
    const [, py] = at([0, v]);
    g.append(svg("line", { x1: left, x2: w - 4, y1: py, y2: py, class: "rule" }));
    const label = svg("text", { x: left - 4, y: py + 4, "text-anchor": "end" });
    label.textContent = v.toPrecision(4);
    g.append(label);
  }
  const end = svg("text", { x: w - 4, y: h - 2, "text-anchor": "end" });
  end.textContent = number(most) + " steps";
  g.append(end);
  for (const [, p, kind] of all) g.append(svg("polyline", { points: p.map((q) => at(q).map((v) => v.toFixed(1)).join(",")).join(" "), class: kind }));
  $("losses-caption").textContent = "In the end: " + last;
  box.append(g);
}

const history = []; // tokens a second
let before = null;

// parse reads what /metrics says: the sum of each name over its labels, and of each with its labels.
function parse(text) {
  const sums = {};
  for (const line of text.split("\n")) {
    const found = /^([a-z_]+)(?:\{([^}]*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const v = Number(found[3]);
    sums[found[1]] = (sums[found[1]] || 0) + v;
    const le = found[2] && /le="([^"]*)"/.exec(found[2]);
    if (le) (sums[found[1] + ":le"] ||= []).push([le[1] === "+Inf" ? Infinity : Number(le[1]), v]);
  }
  return sums;
}

// middle is the median of a histogram, as the bound of the bucket that it is in.
function middle(m, name) {
  const count = m[name + "_count"] || 0, buckets = m[name + "_bucket:le"] || [];
  if (!count) return "";
  const found = buckets.find(([, n]) => n >= count / 2);
  return found && isFinite(found[0]) ? "below " + (found[0] < 1 ? (found[0] * 1000).toPrecision(3) + " ms" : found[0].toPrecision(3) + " s") : "";
}

export async function watch() {
  try {
    const m = parse(await (await ask("/metrics")).text()), now = performance.now();
    const written = m.gradsmith_tokens_written_total || 0;
    if (before && written >= before.written) history.push((written - before.written) / ((now - before.now) / 1000));
    before = { written, now };
    while (history.length > 60) history.shift();
    const rate = history.length ? history[history.length - 1] : 0;
    const writing = m.gradsmith_writing || 0, reading = m.gradsmith_reading || 0, waiting = m.gradsmith_waiting || 0;
    $("rate").textContent = rate.toFixed(0);
    $("pulse").className = "pulse " + (writing + reading ? "busy" : "idle");
    $("pulse-text").textContent = writing + reading ? `writing ${writing + reading}, ${rate.toFixed(0)} tokens a second` : "idle";
    spark();
    facts($("now"), [
      ["Texts", `${writing} written, ${reading} read, ${waiting} waiting, of ${m.gradsmith_places || 0} places`],
      ["Tokens written", number(written)],
      ["Tokens of prompts", `${number(m.gradsmith_prompt_tokens_total || 0)}, of which ${number(m.gradsmith_prompt_tokens_shared_total || 0)} had been read before`],
      ["First token", middle(m, "gradsmith_first_token_seconds"), "median since the server began"],
      ["Between tokens", middle(m, "gradsmith_between_tokens_seconds"), "median since the server began"],
      ["Requests", number(m.gradsmith_requests_total || 0)],
      ["Memory", m.process_resident_memory_bytes ? bytes(m.process_resident_memory_bytes) : ""],
    ]);
  } catch {
    $("pulse").className = "pulse off";
    $("pulse-text").textContent = "no answer";
  }
  setTimeout(watch, document.hidden ? 10000 : 2000);
}

function spark() {
  const most = Math.max(1, ...history), s = $("spark");
  const points = history.map((v, i) => `${(240 * (i + 60 - history.length)) / 59},${(46 - 44 * (v / most)).toFixed(1)}`);
  s.replaceChildren();
  if (points.length < 2) return;
  const first = points[0].split(",")[0];
  s.append(svg("polygon", { points: `${first},48 ${points.join(" ")} 240,48`, class: "area" }), svg("polyline", { points: points.join(" "), class: "line" }));
}
