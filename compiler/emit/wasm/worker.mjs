// A thread of @NAME@.mjs: another instance of the module, on the same memory.

import { instantiate } from "./@NAME@.mjs";

const isNode = typeof process !== "undefined" && Boolean(process.versions?.node);
const port = isNode ? (await import("node:worker_threads")).parentPort : self;

async function start({ module, memory, stack }) {
  const exports = await instantiate(module, memory);
  exports.__stack_pointer.value = stack;
  const seen = exports.halcyon_join();
  port.postMessage("ready");
  exports.halcyon_work(seen); // never returns
}

if (isNode) port.once("message", start);
else port.onmessage = (event) => start(event.data);
