// What models do that do not go on with prompts, and the tools for tokens and representations.

import { $, bar, grid, guarded, make, number, percent, say, state, told, visible } from "/page/api.js";

export function build() {
  $("translate-form").addEventListener("submit", guarded(translate));
  $("fill-form").addEventListener("submit", guarded(fill));
  $("add-mask").addEventListener("click", () => {
    const t = $("gaps");
    t.setRangeText(state.card.mask, t.selectionStart, t.selectionEnd, "end");
    t.focus();
  });
  $("compare-form").addEventListener("submit", guarded(compare));
  $("tokens-form").addEventListener("submit", guarded(pieces));
  $("between-form").addEventListener("submit", guarded(between));
  $("wall-form").addEventListener("submit", guarded(wall));
  $("wall-next").addEventListener("click", guarded(() => {
    $("wall-seed").value = Number($("wall-seed").value) + 1;
    return wall();
  }));
}

// fresh empties what is shown of the model before.
export function fresh() {
  for (const id of ["answer", "alignment", "filled", "blanks", "nearness", "pieces", "way", "pictures"]) $(id).replaceChildren();
  $("alignment").hidden = $("nearness").hidden = true;
  $("wall-label-line").hidden = !state.card.labels;
  $("wall-label").max = state.card.labels - 1;
  if (state.card.mask) $("gaps").value = `The ${state.card.mask} of the ${state.card.mask}`;
}

async function translate() {
  say("Translating …");
  const q = { model: state.card.id, input: $("source").value, beam: Number($("beam").value), alignment: Boolean(state.card.alignment) };
  const x = (await told("/v1/translate", q)).data[0];
  $("answer").textContent = x.text;
  $("alignment").hidden = !x.alignment;
  if (x.alignment) $("alignment").replaceChildren(grid("Where the model looked: a row for each token of the answer, a column for each of the source", x.source, x.tokens, x.alignment));
  say("");
}

async function fill() {
  const x = await told("/v1/fill", { model: state.card.id, input: $("gaps").value, top: 6 });
  const box = $("filled");
  box.replaceChildren();
  const parts = $("gaps").value.split(state.card.mask);
  parts.forEach((part, i) => {
    box.append(part);
    if (i < parts.length - 1) box.append(make("mark", x.blanks[i][0].token));
  });
  $("blanks").replaceChildren(...x.blanks.map((b, i) => {
    const part = make("section"), list = make("ol", undefined, { className: "choices" });
    for (const g of b) {
      const item = make("li"), row = make("div", undefined, { className: "choice-row" });
      row.append(make("code", visible(g.token)), bar(g.probability), make("span", percent(g.probability), { className: "n" }));
      item.append(row);
      list.append(item);
    }
    part.append(make("h3", "Mask " + (i + 1)), list);
    return part;
  }));
  say("");
}

async function compare() {
  const lines = $("lines").value.split("\n").filter((l) => l.trim());
  if (lines.length < 2) throw new Error("Give two lines or more.");
  const x = await told("/v1/embeddings", { model: state.card.id, input: lines });
  const units = x.data.map((d) => {
    const size = Math.hypot(...d.embedding) || 1;
    return d.embedding.map((v) => v / size);
  });
  const values = units.map((a) => units.map((b) => a.reduce((sum, v, i) => sum + v * b[i], 0)));
  const short = lines.map((l) => (l.length > 32 ? l.slice(0, 31) + "…" : l));
  $("nearness").replaceChildren(grid("Cosine of the representations", short.map((_, i) => String(i + 1)), short.map((l, i) => `${i + 1} ${l}`), values));
  $("nearness").hidden = false;
  say(`Representations of ${units[0].length} numbers.`);
}

async function pieces() {
  const x = await told("/tokenize", { model: state.card.id, content: $("pieces-of").value, with_pieces: true });
  $("pieces").replaceChildren(...x.tokens.map((t) => {
    const item = make("li");
    item.append(make("code", visible(t.piece)), make("small", String(t.id)));
    return item;
  }));
  say(`${number(x.tokens.length)} tokens for ${number([...$("pieces-of").value].length)} characters.`);
}

async function between() {
  const q = { model: state.card.id, input: [$("from").value, $("to").value], steps: Number($("between-steps").value) };
  const x = await told("/v1/latent/interpolate", q);
  $("way").replaceChildren(...x.texts.map((t) => make("li", t)));
  say("");
}

async function wall() {
  const n = Number($("wall-n").value), q = { model: state.card.id, n, seed: Number($("wall-seed").value) };
  if (state.card.labels) {
    const one = $("wall-label").value;
    q.labels = Array.from({ length: n }, (_, i) => (one === "" ? i % state.card.labels : Number(one)));
  }
  const x = await told("/v1/images", q);
  $("pictures").replaceChildren(...x.data.map((d, i) => {
    const label = q.labels ? `, label ${q.labels[i]}` : "";
    return make("img", undefined, { src: "data:image/png;base64," + d.b64_json, alt: `picture ${i + 1}${label}`, title: `picture ${i + 1}${label}` });
  }));
  say(`${n} pictures of seed ${x.seed}.`);
}
