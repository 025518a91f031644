// Drives the page of a server in headless Chromium, as a person would: node page.mjs URL [FOLDER], with a folder for
// pictures. It fails on an error in the console, on a request to another host, on what axe-core finds wrong for
// people with other abilities, and where the page does not do what it should. The server has a model of each family that is tried:
// one that writes, one that translates and shows where it looks, an autoencoder and adversaries of pictures, an
// autoencoder of texts and one of masked tokens.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import puppeteer from "puppeteer-core";

const [url, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const chromium = process.env.CHROMIUM || execFileSync("which", ["chromium"]).toString().trim();

const faults = [];
let checked = 0, steps = 0, requests = 0;

const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb"] });
const page = await browser.newPage();
page.on("console", (m) => {
  if (m.type() === "error" || m.type() === "warn") faults.push("console: " + m.text());
});
page.on("pageerror", (e) => faults.push("page: " + e.message));
page.on("request", (r) => {
  requests++;
  if (!r.url().startsWith(url) && !r.url().startsWith("data:")) faults.push("request to " + r.url());
});
page.on("requestfailed", (r) => {
  if (r.failure().errorText !== "net::ERR_ABORTED") faults.push("failed: " + r.url() + " " + r.failure().errorText);
});
const view = (width, height, scheme) => Promise.all([
  page.setViewport({ width, height }),
  page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]),
]);

// accessible checks all that can be seen now, in both schemes, wide and narrow.
async function accessible(what) {
  for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [380, "light"], [380, "dark"]]) {
    await view(width, 900, scheme);
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    checked += found.passes.length;
    for (const v of found.violations) faults.push(`axe: ${what}, ${scheme}, ${width} wide: ${v.id}: ${v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).slice(0, 3).join("; ")}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) faults.push(`${what}: ${over} pixels do not fit into a width of ${width}`);
  }
  await view(1280, 900, "light");
}

async function picture(name, width = 1280, height = 900, scheme = "light") {
  if (!folder) return;
  await view(width, height, scheme);
  await new Promise((r) => setTimeout(r, 300));
  await page.screenshot({ path: path.join(folder, name + ".png") });
  await view(1280, 900, "light");
}

async function step(what, f) {
  try {
    await f();
    steps++;
  } catch (e) {
    const status = await page.$eval("#status", (x) => x.textContent).catch(() => "");
    faults.push(`${what}: ${e.message.split("\n")[0]} (the page says: ${status})`);
  }
}

const text = (selector) => page.$eval(selector, (x) => x.textContent);
const value = (selector, v) => page.$eval(selector, (x, to) => {
  x.value = to;
  x.dispatchEvent(new Event("input", { bubbles: true }));
  x.dispatchEvent(new Event("change", { bubbles: true }));
}, v);
const until = (f, ...args) => page.waitForFunction(f, { timeout: 60000 }, ...args);
const seen = (id) => page.$eval(id, (x) => x.offsetParent !== null);

async function choose(model) {
  await page.select("#model", model);
  await until((m) => document.title.startsWith(m + " "), model);
}

async function tab(name) {
  await page.click("#tab-" + name);
  assert.ok(await seen("#" + name));
}

await view(1280, 900, "light");
await page.goto(url, { waitUntil: "networkidle2" });
const models = await page.evaluate(async () => (await (await fetch("/v1/models")).json()).data);
const whole = async (id) => page.evaluate(async (m) => (await fetch("/v1/models/" + m)).json(), id);
const cards = await Promise.all(models.map((m) => whole(m.id)));
const having = (...paths) => cards.find((c) => paths.every((p) => c.paths.includes(p)));

const writer = having("/v1/completions");
if (writer) {
  await choose(writer.id);
  await step("type and stream", async () => {
    await page.click("#prompt", { clickCount: 3 });
    await page.keyboard.type(writer.prompt || "The ");
    await value("#c-max_tokens", 240);
    await value("#c-seed", 4);
    await page.click("#go");
    await until(() => document.querySelectorAll("#text .token").length > 2);
    assert.ok(await page.$eval("#stop", (x) => !x.disabled) || await page.$eval("#text", (x) => x.querySelectorAll(".token").length === 240));
    await until(() => !document.getElementById("go").disabled);
    assert.match(await text("#status"), /240 tokens in .* the first after/);
  });
  await step("the same seed writes the same text", async () => {
    const before = await text("#text");
    await page.click("#go");
    await until(() => !document.getElementById("go").disabled);
    assert.equal(await text("#text"), before);
  });
  await step("click a token and see its alternatives", async () => {
    await page.evaluate(() => document.querySelectorAll("#text .token")[11].click());
    assert.ok(await seen("#alternatives"));
    assert.ok(await page.$$eval("#alternatives li", (x) => x.length >= 2));
    assert.equal(await page.$$eval("#text .token[aria-pressed=true]", (x) => x.length), 1);
  });
  await accessible("write");
  await step("wait for the metrics", async () => {
    await until(() => document.querySelectorAll("#spark polyline").length > 0);
  });
  await picture("write", 1280, 1180);
  await picture("write-dark", 1280, 1180, "dark");
  await picture("narrow", 390, 1500);
  await step("go on with another token", async () => {
    const other = await page.$eval("#alternatives li button:not([aria-current])", (x) => x.querySelector("code").textContent);
    const eleven = await page.$$eval("#text .token", (x) => x.slice(0, 11).map((t) => t.textContent));
    await page.click("#alternatives li button:not([aria-current])");
    await until(() => !document.getElementById("go").disabled && document.querySelectorAll("#text .token").length > 12);
    const now = await page.$$eval("#text .token", (x) => x.slice(0, 12).map((t) => t.textContent));
    assert.deepEqual(now.slice(0, 11), eleven);
    assert.equal(now[11].replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥"), other);
  });
  await step("walk over tokens by keys", async () => {
    await page.focus("#text");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    assert.match(await text("#alternatives h3"), /^Token 2, /);
  });
  await step("change a control", async () => {
    await value("#c-temperature", 0);
    await value("#c-max_tokens", 12);
    await value("#c-seed", 1);
    await page.click("#go");
    await until(() => !document.getElementById("go").disabled);
    const one = await text("#text");
    await value("#c-seed", 2); // which the likeliest tokens do not depend on
    await page.click("#go");
    await until(() => !document.getElementById("go").disabled);
    assert.equal(await text("#text"), one);
    assert.equal(await page.$$eval("#text .token", (x) => x.length), 12);
  });
  await step("a control that is wrong is said to be", async () => {
    await value("#c-grammar", "root ::= nothing");
    await page.evaluate(() => document.getElementById("write-form").requestSubmit());
    await until(() => document.getElementById("status").classList.contains("wrong"));
    await value("#c-grammar", "");
  }).then(() => {
    // The browser writes an answer of 400 to its console, as it should here.
    for (let i = faults.length - 1; i >= 0; i--) if (/status of 400/.test(faults[i])) faults.splice(i, 1);
  });
  await step("stop by key", async () => {
    await value("#c-max_tokens", 2000);
    await value("#c-temperature", 1);
    await page.click("#prompt");
    await page.keyboard.down("Control");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Control");
    await until(() => document.querySelectorAll("#text .token").length > 3);
    await page.keyboard.press("Escape");
    await until(() => /^Stopped/.test(document.getElementById("status").textContent) || !document.getElementById("go").disabled);
  });
  await step("open all controls and the request", async () => {
    await page.$$eval("#controls details", (x) => x.forEach((d) => (d.open = true)));
    await page.$eval("#request", (x) => (x.open = true));
    await until(() => document.getElementById("curl").textContent.includes("/v1/completions"));
  });
  await accessible("all controls");
  await step("compare texts", async () => {
    await tab("compare");
    await value("#lines", `${writer.prompt || "The "}one\n${writer.prompt || "The "}two\nanother`);
    await page.click("#compare-form button");
    await until(() => document.querySelectorAll("#nearness td[title]").length === 9);
  });
  await accessible("compare");
  await step("tokens, by keys alone", async () => {
    await page.focus("#tab-compare");
    await page.keyboard.press("ArrowRight");
    assert.ok(await seen("#tokens"));
    await value("#pieces-of", writer.prompt || "The ");
    await page.click("#tokens-form button");
    await until(() => document.querySelectorAll("#pieces li").length > 0);
  });
  await accessible("tokens");
} else faults.push("there is no model that writes");

const translator = cards.find((c) => c.alignment) || having("/v1/translate");
if (translator) {
  await choose(translator.id);
  await step("translate", async () => {
    await value("#source", process.env.SOURCE || translator.prompt || "31415926");
    await page.click("#translate-form button");
    await until(() => document.getElementById("answer").textContent !== "");
    if (translator.alignment) await until(() => document.querySelectorAll("#alignment td[title]").length > 0);
  });
  await accessible("translate");
  await picture("translate");
}

const drawer = cards.find((c) => c.width && c.paths.includes("/v1/latent/decode"));
if (drawer) {
  await choose(drawer.id);
  await step("walk the plane", async () => {
    await until(() => document.getElementById("map-place").textContent !== "");
    await until(() => new Set(document.getElementById("map").getContext("2d").getImageData(0, 0, 432, 432).data).size > 8);
    const made = () => page.$eval("#made", (c) => c.toDataURL());
    const before = await made();
    await page.click("#map", { offset: { x: 100, y: 120 } });
    await until((b) => document.getElementById("made").toDataURL() !== b, before);
    const here = await made();
    await page.keyboard.down("Shift");
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    await page.keyboard.up("Shift");
    await until((b) => document.getElementById("made").toDataURL() !== b, here);
    await page.focus("#at-y");
    await page.keyboard.press("ArrowUp");
  });
  await accessible("plane");
  await picture("plane");
}

const sentences = cards.find((c) => c.latent && !c.width);
if (sentences) {
  await choose(sentences.id);
  await step("walk between texts", async () => {
    await until(() => document.getElementById("map-place").textContent !== "");
    await tab("between");
    const ends = await page.evaluate(async (m) => (await (await fetch("/v1/latent/decode", { method: "POST", body: JSON.stringify({ model: m.id, latent: [new Array(m.latent).fill(0.5)] }) })).json()).texts[0], sentences);
    await value("#from", ends);
    await value("#to", ends);
    await page.click("#between-form button");
    await until(() => document.querySelectorAll("#way li").length === 8);
  });
  await accessible("between");
}

const adversaries = cards.find((c) => c.paths.includes("/v1/images") && !c.latent) || drawer;
if (adversaries) {
  await choose(adversaries.id);
  await step("make a wall of samples", async () => {
    await tab("wall");
    await page.click("#wall-form button");
    await until(() => document.querySelectorAll("#pictures img").length === 64);
  });
  await accessible("wall");
}
if (drawer) {
  await choose(drawer.id);
  await step("make pictures from the prior", async () => {
    await tab("wall");
    await page.click("#wall-form button");
    await until(() => document.querySelectorAll("#pictures img").length === 64);
    await page.$eval("#layers-details", (x) => (x.open = true));
  });
  await picture("wall");
  await page.$eval(".below", (x) => x.scrollIntoView());
  await picture("card", 1280, 640);
}

const masked = having("/v1/fill");
if (masked) {
  await choose(masked.id);
  await step("fill in masks", async () => {
    await value("#gaps", masked.mask + masked.mask);
    await page.click("#add-mask");
    await page.click("#fill-form button");
    await until(() => document.querySelectorAll("#blanks section").length === 3);
  });
  await accessible("fill");
}

await step("colours by choice", async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.click("#theme");
  await page.click("#theme");
  assert.notEqual(await ground(), before);
});
await step("no key, no answer", async () => {
  assert.equal(await page.evaluate(async () => (await fetch("/health")).status), 200);
});
await browser.close();

const families = [writer, translator, drawer, sentences, adversaries, masked].filter(Boolean).map((c) => c.id);
console.log(`page: ${steps} steps with ${families.join(", ")}; ${requests} requests, all to the server; axe-core passed ${checked} rules; ${faults.length} faults`);
for (const f of faults) console.log("  " + f);
process.exit(faults.length ? 1 : 0);
