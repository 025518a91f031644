// Reads the formulas of LaTeX documents that `gradsmith explain-spec --format latex` wrote with KaTeX, strictly.
//
//   npm install --ignore-scripts katex@0.16.22     in any folder, and from there
//   node latex.mjs FILE.tex...
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const katex = createRequire(path.join(process.cwd(), "package.json"))("katex");
let read = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  const text = fs.readFileSync(file, "utf8");
  for (const found of text.matchAll(/\\\[ (.*) \\\]|(?<=^)\$(.*?)\$ &/gm)) {
    read++;
    try {
      katex.renderToString(found[1] ?? found[2], { throwOnError: true, strict: "error" });
    } catch (error) {
      failed++;
      console.log(`${file}: ${found[1] ?? found[2]}: ${error.message}`);
    }
  }
}
console.log(`${read} formulas, ${failed} of them not read`);
process.exit(failed > 0 || read === 0 ? 1 : 0);
