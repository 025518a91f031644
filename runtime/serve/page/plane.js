// A plane through the latent space, to walk on.

import { $, guarded, make, say, state, told } from "/page/api.js";

const reach = 3; // of the prior's deviations, to each side
const tiles = 9; // of the map, across and upwards
let base = []; // the point that the plane goes through
let x = 0, y = 0;
let shown = 0; // the number of the last map that was asked for
let walking = false, again = false;

const clamp = (v) => Math.max(-reach, Math.min(reach, Math.round(v * 100) / 100));

export function build() {
  for (const id of ["dim-x", "dim-y", "plane-label"]) $(id).addEventListener("change", guarded(change));
  for (const id of ["at-x", "at-y"]) $(id).addEventListener("input", guarded(() => go(Number($("at-x").value), Number($("at-y").value))));
  $("middle").addEventListener("click", guarded(() => go(0, 0)));
  $("elsewhere").addEventListener("click", guarded(() => {
    base = base.map(() => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
    return change();
  }));
  const map = $("map");
  const point = (e) => {
    const r = map.getBoundingClientRect();
    return go(((e.clientX - r.left) / r.width) * 2 * reach - reach, reach - ((e.clientY - r.top) / r.height) * 2 * reach);
  };
  map.addEventListener("pointerdown", guarded((e) => {
    map.focus();
    map.setPointerCapture(e.pointerId);
    return point(e);
  }));
  map.addEventListener("pointermove", (e) => {
    if (e.buttons) guarded(point)(e);
  });
  map.addEventListener("keydown", (e) => {
    const step = e.shiftKey ? 0.5 : 0.1;
    const to = { ArrowLeft: [x - step, y], ArrowRight: [x + step, y], ArrowUp: [x, y + step], ArrowDown: [x, y - step], Home: [0, 0] }[e.key];
    if (to) guarded(() => go(...to))(e);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

// redraw is for other colours.
export function redraw() {
  if (state.card && state.card.latent) draw();
}

// fresh begins with a model.
export async function fresh() {
  const n = state.card.latent;
  base = new Array(n).fill(0);
  x = y = 0;
  for (const [id, at] of [["dim-x", 0], ["dim-y", Math.min(1, n - 1)]]) {
    $(id).replaceChildren(...base.map((_, i) => make("option", "dimension " + (i + 1), { value: i })));
    $(id).value = at;
  }
  $("plane-label-line").hidden = !state.card.labels;
  $("plane-label").max = state.card.labels - 1;
  $("made").hidden = !state.card.width;
  $("made-text").hidden = $("trail").hidden = Boolean(state.card.width);
  $("trail").replaceChildren();
  $("made-text").textContent = "";
  await change();
}

// place is the latent vector of a point of the plane.
function place(px, py) {
  const z = base.slice();
  z[Number($("dim-x").value)] = px;
  if ($("dim-y").value !== $("dim-x").value) z[Number($("dim-y").value)] = py;
  return z;
}

function decode(latent) {
  const q = { model: state.card.id, latent };
  if (state.card.labels) q.labels = latent.map(() => Number($("plane-label").value));
  return told("/v1/latent/decode", q);
}

let ground = null; // the map, as a canvas of its own

// change draws another plane.
async function change() {
  const mine = ++shown;
  ground = null;
  draw();
  if (state.card.width) {
    const all = [];
    for (let row = 0; row < tiles; row++) {
      for (let col = 0; col < tiles; col++) all.push(place(((col + 0.5) / tiles) * 2 * reach - reach, reach - ((row + 0.5) / tiles) * 2 * reach));
    }
    const found = await decode(all);
    if (mine !== shown) return;
    const [w, h] = size(found.vectors[0].length);
    ground = make("canvas", undefined, { width: tiles * w, height: tiles * h });
    found.vectors.forEach((v, i) => ground.getContext("2d").putImageData(image(v), (i % tiles) * w, Math.floor(i / tiles) * h));
  }
  await go(x, y);
}

// go decodes a place. While one is decoded the last of those asked for waits.
async function go(px, py) {
  x = clamp(px);
  y = clamp(py);
  $("at-x").value = x;
  $("at-y").value = y;
  draw();
  if (walking) {
    again = true;
    return;
  }
  walking = true;
  try {
    do {
      again = false;
      const at = [x, y], found = await decode([place(x, y)]);
      $("map-place").textContent = `across ${at[0].toFixed(2)}, upwards ${at[1].toFixed(2)}`;
      if (found.texts) remember(at, found.texts[0]);
      else {
        const img = image(found.vectors[0]), made = $("made");
        made.width = img.width;
        made.height = img.height;
        made.getContext("2d").putImageData(img, 0, 0);
      }
    } while (again);
    say("");
  } finally {
    walking = false;
  }
}

function remember(at, text) {
  if ($("made-text").textContent === text) return;
  $("made-text").textContent = text;
  $("trail").prepend(make("li", text, { title: at.map((v) => v.toFixed(2)).join(", ") }));
  while ($("trail").children.length > 12) $("trail").lastChild.remove();
}

function draw() {
  const c = $("map"), g = c.getContext("2d"), style = getComputedStyle(c), unit = c.width / 2 / reach;
  g.clearRect(0, 0, c.width, c.height);
  g.imageSmoothingEnabled = false;
  if (ground) g.drawImage(ground, 0, 0, c.width, c.height);
  g.strokeStyle = style.color;
  if (!ground) {
    g.lineWidth = 1;
    g.globalAlpha = 0.35;
    for (const r of [1, 2, 3]) {
      g.beginPath();
      g.arc(c.width / 2, c.height / 2, r * unit, 0, 2 * Math.PI);
      g.stroke();
    }
    g.globalAlpha = 1;
  }
  const cx = (x + reach) * unit, cy = (reach - y) * unit;
  for (const [width, colour] of [[5, style.backgroundColor], [2.5, style.borderTopColor]]) {
    g.lineWidth = width;
    g.strokeStyle = colour;
    g.beginPath();
    g.arc(cx, cy, 9, 0, 2 * Math.PI);
    g.moveTo(cx - 18, cy);
    g.lineTo(cx - 9, cy);
    g.moveTo(cx + 9, cy);
    g.lineTo(cx + 18, cy);
    g.moveTo(cx, cy - 18);
    g.lineTo(cx, cy - 9);
    g.moveTo(cx, cy + 9);
    g.lineTo(cx, cy + 18);
    g.stroke();
  }
}

const size = (n) => {
  const w = Math.round(Math.sqrt(n));
  return n % w === 0 ? [w, n / w] : [n, 1];
};

// image draws a vector in grey, 0 or its least possible number black.
function image(v) {
  const [w, h] = size(v.length), img = new ImageData(w, h), [low, high] = state.card.range || [0, 1];
  v.forEach((value, i) => {
    const grey = Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
    img.data.set([grey, grey, grey, 255], 4 * i);
  });
  return img;
}
