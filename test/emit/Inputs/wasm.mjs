// LeNet in WebAssembly on a picture: in one thread and in three, several at once, and mistakes.
//
//     node wasm.mjs lenet.mjs picture.pgm

import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [path, picture] = process.argv.slice(2);
const { classify, load } = await import(pathToFileURL(path));
const file = readFileSync(picture), [, width, height] = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(file.toString("latin1"));
const data = new Uint8Array(file.subarray(file.length - width * height));

for (const threads of [1, 3]) {
  const model = await load({ threads });
  const image = model.prepare("image", { data, width: Number(width), height: Number(height), channels: 1 });
  const { logits } = model.run({ image });
  console.log(`${model.threads} thread${threads > 1 ? "s" : ""}: ${classify("logits", logits, 1)[0].label}`);
  if (threads === 3) {
    const many = new Float32Array(5 * image.length);
    for (let i = 0; i < 5; ++i) many.set(image, i * image.length);
    for (const batch of [5, 2, 5]) {
      const all = model.run({ image: many.subarray(0, batch * image.length) }).logits;
      if (all.shape[0] !== batch) throw new Error(`the batch is ${all.shape}`);
      for (let i = 0; i < all.length; ++i)
        if (Math.abs(all[i] - logits[i % 10]) > 1e-4) throw new Error("batches differ");
    }
    console.log("batches agree");
    for (const wrong of [Array.from(image), image.subarray(1)])
      try {
        model.run({ image: wrong });
      } catch (error) {
        console.log(error.message);
      }
  }
  model.close();
}

const folder = mkdtempSync(join(tmpdir(), "wasm-"));
for (const name of readdirSync(dirname(path))) copyFileSync(join(dirname(path), name), join(folder, name));
const weights = readFileSync(join(folder, "lenet.weights"));
weights[17] ^= 1;
writeFileSync(join(folder, "lenet.weights"), weights);
try {
  await (await import(pathToFileURL(join(folder, "lenet.mjs")))).load({ threads: 1 });
} catch (error) {
  console.log(error.message);
}
rmSync(folder, { recursive: true });
