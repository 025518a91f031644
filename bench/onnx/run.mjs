// Runs files of ONNX by ONNX Runtime: node run.mjs NODE_MODULES DIR. For each DIR/NAME.json, which has inputs as
// {name: {type, shape, data}}, it runs DIR/NAME.onnx and writes its outputs to DIR/NAME.out.json, in the same form.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

const [modules, dir] = process.argv.slice(2)
const require = createRequire(resolve(modules, 'here.js'))
const ort = require('onnxruntime-node')
const arrays = { float32: Float32Array, int32: Int32Array }

for (const file of readdirSync(dir).filter(f => f.endsWith('.json') && !f.endsWith('.out.json')).sort()) {
  const name = file.slice(0, -'.json'.length)
  const feeds = {}
  for (const [key, x] of Object.entries(JSON.parse(readFileSync(join(dir, file))))) {
    feeds[key] = new ort.Tensor(x.type, arrays[x.type].from(x.data), x.shape)
  }
  // one thread, and warnings are errors to the test that reads them
  const options = { intraOpNumThreads: 1, logSeverityLevel: 2 }
  const session = await ort.InferenceSession.create(join(dir, name + '.onnx'), options)
  const outputs = {}
  for (const [key, x] of Object.entries(await session.run(feeds))) {
    outputs[key] = { type: x.type, shape: x.dims, data: Array.from(x.data) }
  }
  writeFileSync(join(dir, name + '.out.json'), JSON.stringify(outputs))
  await session.release()
}
