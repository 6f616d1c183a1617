// Runs @NAME@ once, on .npy files (one an input) or on zeros, and prints every output.
//
//     node example.mjs [--threads N] [input.npy ...]

import { readFileSync } from "node:fs";
import { inputs, load } from "./@NAME@.mjs";

const words = process.argv.slice(2), at = words.indexOf("--threads");
const threads = at < 0 ? undefined : Number(words.splice(at, 2)[1]);
const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, i64: BigInt64Array, u8: Uint8Array };

// The numbers of a little-endian, row-major .npy file.
function numbers(port, path) {
  const wanted = ARRAYS[port.type];
  if (!path) return new wanted(port.shape.reduce((a, b) => a * (b ?? @ONE@), 1));
  const file = readFileSync(path), start = 10 + file.readUInt16LE(8);
  if (file.toString("latin1", 1, 6) !== "NUMPY") throw new Error(`${path} is not a .npy file`);
  return new wanted(file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length));
}

const model = await load({ threads });
const results = model.run(Object.fromEntries(inputs.map((port, i) => [port.name, numbers(port, words[i])])));
for (const [name, values] of Object.entries(results))
  console.log(`${name} [${values.shape.join(", ")}]:`, Array.from(values.subarray(0, 10), Number).map((v) => v.toPrecision(9)).join(" "));
model.close();
