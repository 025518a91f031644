// Opens pages that are files in headless Chromium: node files.mjs [--pictures FOLDER [--size WIDTHxHEIGHT]] PAGE.html...
// It fails on an error in the console, on a request to anything but the page, on what axe-core finds wrong for people
// with other abilities, light and dark, wide and narrow, and where a page is wider than the window. Pictures are of the
// whole page each time, or with a size one of its top, light, as documentation shows it.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

let pages = process.argv.slice(2), folder = "", size = null;
if (pages[0] === "--pictures") [folder, pages] = [pages[1], pages.slice(2)];
if (pages[0] === "--size") [size, pages] = [pages[1].split("x").map(Number), pages.slice(2)];
if (pages.length === 0) throw new Error("name a page");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const chromium = process.env.CHROMIUM || execFileSync("which", ["chromium"]).toString().trim();

const faults = [];
let checked = 0;
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb"] });
for (const file of pages) {
  const url = pathToFileURL(path.resolve(file)).href;
  const page = await browser.newPage();
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warn") faults.push(`${file}: console: ${m.text()}`);
  });
  page.on("pageerror", (e) => faults.push(`${file}: ${e.message}`));
  page.on("request", (r) => {
    if (r.url() !== url && !r.url().startsWith("data:")) faults.push(`${file}: request to ${r.url()}`);
  });
  for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [380, "light"], [380, "dark"]]) {
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto(url);
    await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    checked += found.passes.length;
    for (const v of found.violations) faults.push(`${file}: axe, ${scheme}, ${width} wide: ${v.id}: ${v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).slice(0, 3).join("; ")}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) faults.push(`${file}: ${over} pixels do not fit into a width of ${width}`);
    if (folder && !size) await page.screenshot({ path: path.join(folder, `${path.basename(file, ".html")}-${width}-${scheme}.png`), fullPage: true });
  }
  if (size) {
    const [width, height] = size;
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
    await page.goto(url);
    await page.screenshot({ path: path.join(folder, `${path.basename(file, ".html")}.png`) });
  }
  await page.close();
}
await browser.close();
for (const f of faults) console.error(f);
console.log(`${pages.length} pages, ${checked} rules of axe-core passed, ${faults.length} faults`);
process.exit(faults.length > 0 ? 1 : 0);
