// The page: which model, which of the things that it does.

import { $, guarded, make, number, say, state, told } from "/page/api.js";
import * as card from "/page/card.js";
import * as plane from "/page/plane.js";
import * as views from "/page/views.js";
import * as write from "/page/write.js";

// tasks are the tabs: the panel, its name, and when a model has it.
const tasks = [
  ["write", "Write", (c) => c.paths.includes("/v1/completions")],
  ["translate", "Translate", (c) => c.paths.includes("/v1/translate")],
  ["fill", "Fill in", (c) => c.paths.includes("/v1/fill")],
  ["plane", "Latent plane", (c) => c.paths.includes("/v1/latent/decode")],
  ["between", "Between texts", (c) => c.paths.includes("/v1/latent/interpolate") && !c.width],
  ["wall", "Wall of samples", (c) => c.paths.includes("/v1/images")],
  ["compare", "Compare texts", (c) => c.paths.includes("/v1/embeddings")],
  ["tokens", "Tokens", (c) => c.paths.includes("/tokenize")],
];

function open(name, focus) {
  for (const tab of $("tabs").children) {
    const on = tab.id === "tab-" + name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
  }
  for (const [id] of tasks) $(id).hidden = id !== name;
  say("");
  if (name === "plane") guarded(plane.fresh)();
}

function tabs() {
  const mine = tasks.filter(([, , has]) => has(state.card));
  $("tabs").replaceChildren(...mine.map(([id, title]) => {
    const tab = make("button", title, { type: "button", id: "tab-" + id, role: "tab", "aria-controls": id });
    tab.addEventListener("click", () => open(id));
    return tab;
  }));
  for (const [id] of tasks) $(id).hidden = true;
  if (mine.length) open(mine[0][0]);
}

$("tabs").addEventListener("keydown", (e) => {
  const all = [...$("tabs").children], at = all.findIndex((t) => t.tabIndex === 0);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[e.key];
  if (to === undefined) return;
  e.preventDefault();
  open(all[(to + all.length) % all.length].id.slice(4), true);
});

async function choose() {
  state.card = await told("/v1/models/" + encodeURIComponent($("model").value));
  const c = state.card;
  document.title = c.id + " · gradsmith";
  $("about").textContent = c.description || `${c.id}, a model of kind ${c.kind} with ${number(c.parameters)} parameters`;
  if (!$("prompt").value) $("prompt").value = c.prompt || "";
  card.fresh();
  views.fresh();
  tabs();
}

async function load() {
  const list = await told("/v1/models");
  $("model").replaceChildren(...list.data.map((m) => make("option", m.id, { value: m.id })));
  await choose();
}

// The colours are the system's until another choice is made, which lasts as long as the page.
const themes = [["", "auto"], ["light", "light"], ["dark", "dark"]];
let theme = 0;
$("theme").addEventListener("click", () => {
  theme = (theme + 1) % themes.length;
  const [scheme, name] = themes[theme];
  document.documentElement.style.colorScheme = scheme;
  $("theme").textContent = "Colours: " + name;
  plane.redraw();
});

write.build();
views.build();
plane.build();
$("model").addEventListener("change", guarded(choose));
$("key").addEventListener("change", guarded(load));
guarded(load)();
card.watch();
