// Writes what llama.cpp makes of a text of given tokens, as one vector: a line of JSON.
//
//     NODE_LLAMA_CPP=…/node_modules/node-llama-cpp node embed.mjs FIRST,SECOND,… FILE.gguf
//
// The package node-llama-cpp (npm, installed with --ignore-scripts) brings built libraries.
import path from "node:path";
import {pathToFileURL} from "node:url";

const home = process.env.NODE_LLAMA_CPP;
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(path.join(home, "dist", "index.js")));
const [tokens, file] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file});
const text = tokens.split(",").map(Number);
const context = await model.createEmbeddingContext({threads: 1, contextSize: text.length + 2, ignoreMemorySafetyChecks: true});
const made = await context.getEmbeddingFor(text);
console.log(JSON.stringify(made.vector));
process.exit(0);
