// The model @MODEL@ in WebAssembly: loads it, and runs it on typed arrays.
//
@PORTS@
//
//     import { load } from "./@NAME@.mjs";
//     const model = await load();
//     const { @FIRST_OUTPUT@ } = model.run({ @FIRST_INPUT@: new @FIRST_ARRAY@(...) });
//
// Tensors are dense and row-major; N, the batch, follows from their lengths. An output is
// a typed array with its sizes as `shape`. A model serves one caller at a time.

const table = @TABLE@;

const isNode = typeof process !== "undefined" && Boolean(process.versions?.node);
const BATCH = -1, AT_RUN_TIME = -2; // extents
const ARENA = 0, WEIGHTS = 1, INPUT = 2, OUTPUT = 3, IMAGE = 4; // where a view lies
const PAGES = 256, MOST_PAGES = 65536, STACK = 1 << 20;
const BUFFER = 40, DIMENSION = 16; // sizes of halide_buffer_t and halide_dimension_t
const ARRAYS = {
  f32: Float32Array, f64: Float64Array, i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array,
  i32: Int32Array, u32: Uint32Array, i64: BigInt64Array, u64: BigUint64Array, bf16: Uint16Array, bool: Uint8Array,
};

/** The inputs, outputs and their sizes: null stands for N. */
export const inputs = table.inputs, outputs = table.outputs;

async function read(name) {
  const url = new URL(name, import.meta.url);
  if (isNode) return (await import("node:fs/promises")).readFile(url);
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** What kernels call that is not theirs. */
function importsOf(module, memory) {
  const double = { fmod: (a, b) => a % b, pow: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b) };
  const env = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from !== "env") throw new Error(`the module wants ${name} of ${from}`);
    const plain = name.replace(/f$/, "");
    if (kind === "memory") env[name] = memory;
    else if (name.startsWith("halide_error")) env[name] = () => -1;
    else if (double[name] ?? Math[name]) env[name] = double[name] ?? Math[name];
    else if (double[plain] ?? Math[plain]) env[name] = double[plain] ?? Math[plain];
    else throw new Error(`kernels call ${name}, which nothing here has`);
  }
  return { env };
}

/** One thread's instance of a module; `memory` where it is shared. */
export async function instantiate(module, memory) {
  return (await WebAssembly.instantiate(module, importsOf(module, memory))).exports;
}

async function startWorker(module, memory, exports) {
  const stack = exports.halcyon_allocate(STACK) + STACK;
  const url = new URL("@NAME@-worker.mjs", import.meta.url);
  const worker = isNode ? new (await import("node:worker_threads")).Worker(url, { execArgv: [] })
    : new Worker(url, { type: "module" });
  await new Promise((resolve, reject) => {
    if (isNode) worker.once("message", resolve).once("error", reject);
    else Object.assign(worker, { onmessage: resolve, onerror: (event) => reject(new Error(event.message)) });
    worker.postMessage({ module, memory, stack });
  });
  if (isNode) worker.unref();
  return worker;
}

/** Whether threads may share memory here: a page needs the headers that serve.mjs sends. */
export const canShare = isNode || globalThis.crossOriginIsolated === true;

/**
 * Loads the model. `threads`: those that share the work, as many as there are cores where
 * nothing is said; a page that is not isolated has one.
 */
export async function load({ threads } = {}) {
  const cores = isNode ? (await import("node:os")).availableParallelism() : navigator.hardwareConcurrency;
  const count = canShare ? Math.max(1, threads ?? Math.min(cores ?? 1, 8)) : 1;
  const name = count > 1 ? "@NAME@-threads.wasm" : "@NAME@.wasm";
  const [code, weights] = await Promise.all([read(name), read("@NAME@.weights")]);
  const module = await WebAssembly.compile(code);
  const memory = count > 1 ? new WebAssembly.Memory({ initial: PAGES, maximum: MOST_PAGES, shared: true }) : undefined;
  const exports = await instantiate(module, memory);
  const workers = [];
  for (let i = 1; i < count; ++i) workers.push(await startWorker(module, memory, exports));
  return new Model(exports, memory ?? exports.memory, weights, workers);
}

const sizesOf = (port, batch) => port.shape.map((size) => size ?? batch);
const lengthOf = (port, batch) => sizesOf(port, batch).reduce((a, b) => a * b, 1);

class Model {
  #exports; #memory; #workers; #weights; #arena = 0; #arenaBytes = -1; #batch = 0;
  #views; #calls; #inputs; #outputs;

  constructor(exports, memory, weights, workers) {
    this.#exports = exports;
    this.#memory = memory;
    this.#workers = workers;
    if (table.header.some((byte, i) => weights[i] !== byte) || weights.length < 4096 + table.weightBytes)
      throw new Error("@NAME@.weights is damaged or another model's");
    this.#weights = this.#allocate(table.weightBytes);
    new Uint8Array(memory.buffer).set(weights.subarray(4096, 4096 + table.weightBytes), this.#weights);
    this.#views = table.views.map((view) => this.#makeBuffer(view));
    this.#calls = table.calls.map((call) => this.#makeArguments(call));
    this.#inputs = table.inputs.map(() => ({ at: 0, bytes: -1 }));
    this.#outputs = table.outputs.map(() => ({ at: 0, bytes: -1 }));
  }

  get threads() { return 1 + this.#workers.length; }

  /** Ends the model's threads. */
  close() {
    for (const worker of this.#workers) worker.terminate();
  }

  #allocate(bytes) {
    const at = this.#exports.halcyon_allocate(Math.max(bytes, 64)) >>> 0;
    if (!at) throw new Error(`out of memory: ${bytes} bytes`);
    return at;
  }

  /** Room of at least so many bytes in place of what a holder has. */
  #room(holder, bytes) {
    if (holder.bytes >= bytes) return holder.at;
    if (holder.at) this.#exports.halcyon_release(holder.at);
    holder.at = this.#allocate(bytes);
    holder.bytes = bytes;
    return holder.at;
  }

  #makeBuffer(view) {
    const at = this.#allocate(BUFFER + DIMENSION * view.dims.length);
    const data = new DataView(this.#memory.buffer, at, BUFFER + DIMENSION * view.dims.length);
    data.setUint8(24, view.code);
    data.setUint8(25, view.bits);
    data.setUint16(26, 1, true);
    data.setInt32(28, view.dims.length, true);
    data.setUint32(32, at + BUFFER, true);
    view.dims.forEach(([min, extent, stride], i) => {
      data.setInt32(BUFFER + DIMENSION * i, min, true);
      data.setInt32(BUFFER + DIMENSION * i + 4, extent === BATCH ? 1 : extent, true);
      data.setInt32(BUFFER + DIMENSION * i + 8, stride, true);
    });
    return at;
  }

  /** A kernel's arguments: the user context's address, then its buffers'. */
  #makeArguments(call) {
    const context = this.#allocate(64), at = this.#allocate(4 * (1 + call.views));
    const list = new Uint32Array(this.#memory.buffer, at, 1 + call.views);
    list[0] = context;
    for (let i = 0; i < call.views; ++i) list[1 + i] = this.#views[call.first + i];
    return at;
  }

  /** Says where a call's tensors lie. */
  #place(functionIndex, images, hostOf) {
    const data = new DataView(this.#memory.buffer);
    const { first, calls } = table.functions[functionIndex];
    for (const call of table.calls.slice(first, first + calls))
      for (let v = call.first; v < call.first + call.views; ++v) {
        const view = table.views[v];
        const base = view.space === ARENA ? this.#arena + images * view.slot
          : view.space === WEIGHTS ? this.#weights : hostOf(view);
        data.setUint32(this.#views[v] + 12, base + view.offset, true);
        view.dims.forEach(([, extent], i) => {
          if (extent === BATCH) data.setInt32(this.#views[v] + BUFFER + DIMENSION * i + 4, images, true);
        });
      }
  }

  #call(functionIndex) {
    const { first, calls } = table.functions[functionIndex];
    for (let i = first; i < first + calls; ++i) {
      const call = table.calls[i], status = this.#exports[table.kernels[call.kernel]](this.#calls[i]);
      if (status) throw new Error(`${call.layer}: code ${status}`);
    }
  }

  #setBatch(batch) {
    if (!Number.isInteger(batch) || batch < 1 || (table.onlyBatch && batch !== table.onlyBatch))
      throw new RangeError(`a batch of ${batch} is not possible`);
    const holder = { at: this.#arena, bytes: this.#arenaBytes };
    this.#arena = this.#room(holder, batch * table.arenaBytes + table.fixedBytes);
    this.#arenaBytes = holder.bytes;
    this.#batch = batch;
  }

  /** Computes the outputs, by name, of the inputs, by name. */
  run(given) {
    let batch = table.onlyBatch || 0;
    table.inputs.forEach((port) => {
      const value = given[port.name], wanted = ARRAYS[port.type];
      if (!(value instanceof wanted)) throw new TypeError(`input ${port.name} takes a ${wanted.name}`);
      if (!batch && port.shape.includes(null)) batch = value.length / lengthOf(port, 1);
      if (value.length !== lengthOf(port, batch || 1) || !value.length)
        throw new RangeError(`input ${port.name} takes ${port.shape.map((size) => size ?? "N").join(" x ")} elements, not ${value.length}`);
    });
    this.#setBatch(batch || 1);
    table.inputs.forEach((port, i) => {
      const value = given[port.name], at = this.#room(this.#inputs[i], value.byteLength);
      new ARRAYS[port.type](this.#memory.buffer, at, value.length).set(value);
    });
    table.outputs.forEach((port, i) =>
      this.#room(this.#outputs[i], lengthOf(port, this.#batch) * ARRAYS[port.type].BYTES_PER_ELEMENT));
    this.#place(0, this.#batch, (view) => (view.space === INPUT ? this.#inputs : this.#outputs)[view.index].at);
    this.#call(0);
    return Object.fromEntries(table.outputs.map((port, i) => {
      const values = new ARRAYS[port.type](lengthOf(port, this.#batch));
      values.set(new ARRAYS[port.type](this.#memory.buffer, this.#outputs[i].at, values.length));
      return [port.name, Object.assign(values, { shape: sizesOf(port, this.#batch) })];
    }));
  }

  /**
   * Resizes, crops and normalises a picture, as the model says, to one image of an input: `data`
   * has `height` rows of `width` pixels of `channels` bytes.
   */
  prepare(name, { data, width, height, channels }) {
    const index = table.inputs.findIndex((port) => port.name === name && port.image !== null);
    if (index < 0) throw new RangeError(`there is no input ${name} that is made from a picture`);
    if (!(width > 0 && height > 0) || data.length < width * height * channels)
      throw new RangeError(`a picture of ${width} x ${height} x ${channels} has more bytes than ${data.length}`);
    const port = table.inputs[index], sizes = [channels, width, height], strides = [1, channels, channels * width];
    if (!this.#batch) this.#setBatch(table.onlyBatch || 1);
    const made = { at: 0, bytes: -1 }, picture = { at: 0, bytes: -1 };
    try {
      this.#room(made, lengthOf(port, 1) * ARRAYS[port.type].BYTES_PER_ELEMENT);
      this.#room(picture, data.length);
      new Uint8Array(this.#memory.buffer).set(data, picture.at);
      this.#place(port.image, 1, (view) => (view.space === IMAGE ? picture : made).at);
      const buffers = new DataView(this.#memory.buffer), { first, calls } = table.functions[port.image];
      for (const call of table.calls.slice(first, first + calls))
        for (let v = call.first; v < call.first + call.views; ++v)
          if (table.views[v].space === IMAGE)
            table.views[v].dims.forEach(([, extent], i) => {
              if (extent !== AT_RUN_TIME && extent !== sizes[i])
                throw new RangeError(`input ${name} takes pictures of other channels than ${channels}`);
              buffers.setInt32(this.#views[v] + BUFFER + DIMENSION * i + 4, sizes[i], true);
              buffers.setInt32(this.#views[v] + BUFFER + DIMENSION * i + 8, strides[i], true);
            });
      this.#call(port.image);
      return new ARRAYS[port.type](this.#memory.buffer, made.at, lengthOf(port, 1)).slice();
    } finally {
      for (const holder of [made, picture]) if (holder.at) this.#exports.halcyon_release(holder.at);
    }
  }
}

/** The likeliest classes of one image's values, as `{ label, probability }`. */
export function classify(output, values, top = 5) {
  const port = table.outputs.find((port) => port.name === output);
  const most = Math.max(...values), parts = Array.from(values, (value) => (port.softmax ? value : Math.exp(value - most)));
  const sum = port.softmax ? 1 : parts.reduce((a, b) => a + b, 0);
  return parts.map((part, i) => ({ label: port.labels?.[i] ?? `class ${i}`, probability: part / sum }))
    .sort((a, b) => b.probability - a.probability).slice(0, top);
}
