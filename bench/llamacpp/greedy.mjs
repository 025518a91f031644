// Writes the likeliest tokens behind given ones, by llama.cpp: a line of JSON a file, {"tokens": […], "text": "…"}.
//
//     NODE_LLAMA_CPP=…/node_modules/node-llama-cpp node greedy.mjs N FIRST,SECOND,… FILE.gguf…
//
// The package node-llama-cpp (npm, installed with --ignore-scripts) brings built libraries.
import path from "node:path";
import {pathToFileURL} from "node:url";

const home = process.env.NODE_LLAMA_CPP;
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(path.join(home, "dist", "index.js")));
const [most, first, ...files] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: LlamaLogLevel.error});
for (const file of files) {
    const model = await llama.loadModel({modelPath: file});
    const context = await model.createContext({contextSize: Number(most) + 64, threads: 1});
    const tokens = [];
    for await (const token of context.getSequence().evaluate(first.split(",").map(Number), {temperature: 0})) {
        tokens.push(token);
        if (tokens.length >= Number(most) || token === model.tokens.eos) {
            break;
        }
    }
    console.log(JSON.stringify({tokens, text: model.detokenize(tokens)}));
    await context.dispose();
    await model.dispose();
}
process.exit(0);
