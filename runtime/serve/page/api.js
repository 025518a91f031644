// What all parts of the page share: elements, requests, streams, words.

export const $ = (id) => document.getElementById(id);

export function make(tag, text, props) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  for (const [k, v] of Object.entries(props || {})) {
    if (k in e) e[k] = v;
    else e.setAttribute(k, v);
  }
  return e;
}

// state is the model that is chosen, as /v1/models tells of it.
export const state = { card: null };

export function say(text, wrong) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", Boolean(wrong));
}

// guarded makes a listener that shows an error in place of throwing it.
export const guarded = (f) => async (event) => {
  if (event) event.preventDefault();
  try {
    await f(event);
  } catch (e) {
    if (e.name !== "AbortError") say(e.message, true);
  }
};

// ask sends a request, a POST where it has a body. An answer that is an error is thrown.
export async function ask(path, body, signal) {
  const headers = {};
  if ($("key").value) headers.Authorization = "Bearer " + $("key").value;
  const options = { headers, signal };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  const r = await fetch(path, options);
  if (!r.ok) {
    let text = r.status + " " + r.statusText;
    try {
      text = (await r.json()).error.message;
    } catch {
      // It is no JSON: the status has to do.
    }
    throw new Error(text);
  }
  return r;
}

export const told = async (path, body, signal) => (await ask(path, body, signal)).json();

// events gives the objects of a stream of server-sent events.
export async function* events(response) {
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

export const percent = (p) => (p * 100 >= 9.95 ? (p * 100).toFixed(0) : (p * 100).toFixed(1)) + " %";
export const number = (n) => Number(n).toLocaleString("en");

export function large(n) {
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) if (n >= size) return (n / size).toPrecision(3) + unit;
  return String(n);
}

// visible shows what a token is where it is blank.
export const visible = (s) => s.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "∅";

export function bar(share) {
  const box = make("span", undefined, { className: "bar" }), fill = make("span");
  fill.style.width = Math.max(0.5, share * 100) + "%";
  box.append(fill);
  return box;
}

// grid draws numbers from 0 to 1 as a table, the darker the larger, below what it says.
export function grid(title, columns, rows, values) {
  const part = document.createDocumentFragment();
  const table = make("table", undefined, { className: "heat", "aria-label": title });
  part.append(make("p", title, { className: "hint" }), table);
  const head = make("tr");
  head.append(make("td"));
  for (const c of columns) {
    const th = make("th", undefined, { scope: "col" });
    th.append(make("span", visible(c)));
    head.append(th);
  }
  table.append(head);
  rows.forEach((name, i) => {
    const row = make("tr");
    row.append(make("th", visible(name), { scope: "row" }));
    values[i].forEach((v, j) => {
      const cell = make("td", v.toFixed(2), { title: `${name.trim()}, ${columns[j].trim()}: ${v.toFixed(3)}` });
      cell.style.setProperty("--v", Math.max(0, Math.min(1, v)));
      row.append(cell);
    });
    table.append(row);
  });
  return part;
}
