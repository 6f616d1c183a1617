// The model @MODEL@ on WebGPU: loads it, and runs it on typed arrays.
//
@PORTS@
//
//     import { load } from "./@NAME@.mjs";
//     const model = await load();
//     const { @FIRST_OUTPUT@ } = await model.run({ @FIRST_INPUT@: new @FIRST_ARRAY@(...) });
//
// Tensors are dense and row-major; N, the batch, follows from their lengths. An output is
// a typed array with its sizes as `shape`. A model serves one caller at a time; models that
// are loaded onto one device, `load({ device })`, share the weights there.

const table = @TABLE@;

const BATCH = -1; // an extent
const ARENA = 0, WEIGHTS = 1, INPUT = 2; // where a view lies; else in an output
const BUFFER = 40, DIMENSION = 16; // sizes of halide_buffer_t and halide_dimension_t
const UNIT = 256; // at its multiples bindings begin
const CALLS = 256; // whose numbers share a buffer
const ARRAYS = {
  f32: Float32Array, f64: Float64Array, i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array,
  i32: Int32Array, u32: Uint32Array, i64: BigInt64Array, u64: BigUint64Array, bf16: Uint16Array, bool: Uint8Array,
};

/** The inputs, outputs and their sizes: null stands for N. */
export const inputs = table.inputs, outputs = table.outputs;

async function read(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Loads the model, onto the browser's device or one that the caller has. */
export async function load({ device } = {}) {
  const [code, weights] = await Promise.all([read("@NAME@.wasm"), read("@NAME@.weights")]);
  if (!device) {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw new Error("this browser has no WebGPU, or no device for it");
    const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits;
    device = await adapter.requestDevice({
      requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
    });
  }
  const queue = new Queue(device), module = await WebAssembly.compile(code);
  const { exports } = await WebAssembly.instantiate(module, importsOf(module, queue));
  queue.exports = exports;
  return new Model(exports, queue, weights);
}

/** What the calls of kernels need that is not theirs. */
function importsOf(module, queue) {
  const double = { fmod: (a, b) => a % b, pow: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b) };
  const env = {};
  for (const { name } of WebAssembly.Module.imports(module)) {
    const plain = name.replace(/f$/, "");
    if (queue[name]) env[name] = (...args) => queue[name](...args);
    else if (name.startsWith("halide_error")) env[name] = () => -1;
    else if (double[name] ?? Math[name]) env[name] = double[name] ?? Math[name];
    else if (double[plain] ?? Math[plain]) env[name] = double[plain] ?? Math[plain];
    else throw new Error(`kernels call ${name}, which nothing here has`);
  }
  return { env };
}

const roundUp = (bytes, unit) => Math.ceil(bytes / unit) * unit;

/** Text that ends with a zero. */
function textAt(memory, at) {
  const bytes = new Uint8Array(memory.buffer, at);
  return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
}

/**
 * What the device is told, in order: kernels are written down, and handed over at a run's end. The
 * functions called halide_* are those that the kernels' callers call. What a buffer's `device` names is
 * a range of a GPUBuffer.
 */
class Queue {
  #encoder; #pass; #ranges = [null]; #unused = []; #sources = []; #pipelines = new Map();
  #numbers = []; #calls = 0; #copies = [];

  constructor(device) { this.device = device; }

  /** A new buffer for kernels. */
  make(bytes, usage = GPUBufferUsage.STORAGE) {
    return this.device.createBuffer({ size: roundUp(Math.max(bytes, 4), UNIT),
      usage: usage | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  }

  /** A name for a range. */
  name(range) { return this.#ranges.push(range) - 1; }
  rename(name, range) { this.#ranges[name] = range; }

  copy(from, to, bytes) {
    this.#endPass();
    this.#encode().copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, roundUp(bytes, 4));
  }

  submit() {
    this.#endPass();
    this.#numbers.forEach(({ buffer, values }, i) => {
      if (CALLS * i < this.#calls) this.device.queue.writeBuffer(buffer, 0, values);
    });
    if (this.#encoder) this.device.queue.submit([this.#encoder.finish()]);
    this.#copies.splice(0).forEach((buffer) => buffer.destroy());
    this.#encoder = undefined;
    this.#calls = 0;
  }

  #encode() { return (this.#encoder ??= this.device.createCommandEncoder()); }
  #endPass() {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #view() { return new DataView(this.exports.memory.buffer); }
  #rangeOf(buffer) { return this.#ranges[Number(this.#view().getBigUint64(buffer, true))]; }

  halide_webgpu_device_interface() { return 64; } // nobody looks there
  halide_copy_to_device() { return 0; }
  halide_webgpu_finalize_kernels() {}

  halide_device_malloc(context, buffer) {
    const data = this.#view(), dims = data.getUint32(buffer + 32, true);
    if (data.getBigUint64(buffer, true)) return 0; // every grid asks for what it writes
    let elements = 1;
    for (let d = 0; d < data.getInt32(buffer + 28, true); ++d)
      elements += (data.getInt32(dims + DIMENSION * d + 4, true) - 1) * data.getInt32(dims + DIMENSION * d + 8, true);
    const size = roundUp(elements * Math.ceil(data.getUint8(buffer + 25) / 8), 4);
    // Kernels run in order: what was freed serves again at once.
    const at = this.#unused.findIndex((name) => this.#ranges[name].buffer.size === roundUp(size, UNIT));
    const name = at >= 0 ? this.#unused.splice(at, 1)[0] : this.name({ buffer: this.make(size), offset: 0 });
    this.#ranges[name].size = size;
    data.setBigUint64(buffer, BigInt(name), true);
    return 0;
  }

  halide_device_free(context, buffer) {
    const data = this.#view(), name = Number(data.getBigUint64(buffer, true));
    if (name) this.#unused.push(name);
    data.setBigUint64(buffer, 0n, true);
    return 0;
  }
  halide_device_free_as_destructor(context, buffer) { this.halide_device_free(context, buffer); }

  halide_webgpu_initialize_kernels(context, state, text) {
    const data = this.#view();
    if (!data.getUint32(state, true))
      data.setUint32(state, this.#sources.push(textAt(this.exports.memory, text)), true);
    return 0;
  }

  halide_webgpu_run(context, state, entry, bx, by, bz, tx, ty, tz, shared, types, args, isBuffer) {
    if (Math.min(bx, by, bz) <= 0) return 0;
    const data = this.#view(), ranges = [], numbers = [];
    for (let i = 0, at; (at = data.getUint32(args + 4 * i, true)); ++i) {
      if (data.getInt8(isBuffer + i)) {
        ranges.push(this.#rangeOf(at));
        continue;
      }
      const code = data.getUint8(types + 4 * i), bits = data.getUint8(types + 4 * i + 1);
      if (code === 2) numbers.push(data.getUint32(at, true));
      else if (bits > 16) numbers.push(data.getInt32(at, true));
      else if (bits > 8) numbers.push(code ? data.getUint16(at, true) : data.getInt16(at, true));
      else numbers.push(code ? data.getUint8(at) : data.getInt8(at));
    }
    const name = textAt(this.exports.memory, entry), source = this.#sources[state - 1];
    const shares = this.#share(ranges, bindingsOf(source, name));
    const key = [state, name, tx, ty, tz, shared, shares.map(({ as }) => as)].join();
    let kernel = this.#pipelines.get(key);
    if (!kernel) this.#pipelines.set(key, (kernel = this.#compile(source, name, [tx, ty, tz], shared, shares, numbers.length)));
    const entries = shares.flatMap(({ range, as }, binding) =>
      as === binding ? [{ binding, resource: { buffer: range.buffer, offset: range.offset, size: range.size } }] : []);
    const group = (layout, list) => this.device.createBindGroup({ layout, entries: list });
    const bound = [group(kernel.layouts[0], entries)];
    if (numbers.length) bound.push(group(kernel.layouts[1], [{ binding: 0, resource: this.#put(numbers) }]));
    if (!this.#pass) this.#pass = this.#encode().beginComputePass();
    this.#pass.setPipeline(kernel.pipeline);
    bound.forEach((bind, i) => this.#pass.setBindGroup(i, bind));
    this.#pass.dispatchWorkgroups(bx, by, bz);
    return 0;
  }

  /** Writes a call's numbers down, each of four bytes. */
  #put(numbers) {
    const index = Math.floor(this.#calls / CALLS), offset = UNIT * (this.#calls % CALLS);
    const chunk = (this.#numbers[index] ??= {
      buffer: this.make(UNIT * CALLS, GPUBufferUsage.UNIFORM), values: new Int32Array(UNIT * CALLS / 4) });
    if (4 * numbers.length > UNIT) throw new Error(`a kernel with ${numbers.length} numbers is too much`);
    chunk.values.set(numbers, offset / 4);
    ++this.#calls;
    return { buffer: chunk.buffer, offset, size: roundUp(4 * numbers.length, 16) };
  }

  /**
   * Every binding may be written to, so that no two may overlap: of arguments that are the same range one
   * stands for all, and of others that overlap the later one, which is read alone, is copied.
   */
  #share(ranges, bindings) {
    const shares = [];
    ranges.forEach((range, i) => {
      const other = shares.findIndex(({ range: { buffer, offset, size } }) =>
        buffer === range.buffer && offset < range.offset + range.size && range.offset < offset + size);
      if (other < 0) {
        shares.push({ range, as: i });
      } else if (ranges[other].offset === range.offset && ranges[other].size === range.size &&
                 bindings[other].type === bindings[i].type) {
        shares.push({ range, as: other });
      } else {
        const read = shares.length && bindings[i].isRead ? i : other;
        if (!bindings[read].isRead) throw new Error("results of a kernel overlap");
        const copy = { buffer: this.make(ranges[read].size), offset: 0, size: ranges[read].size };
        this.copy(ranges[read], copy, copy.size);
        this.#copies.push(copy.buffer);
        if (read === other) shares[other] = { range: copy, as: other };
        shares.push({ range: read === i ? copy : range, as: i });
      }
    });
    return shares;
  }

  #compile(source, name, threads, shared, shares, hasNumbers) {
    const bindings = bindingsOf(source, name);
    shares.forEach(({ as }, i) => {
      if (as === i) return;
      source = source.replace(bindings[i].text, "").replaceAll(new RegExp(`\\b${bindings[i].name}\\b`, "g"), bindings[as].name);
    });
    const layout = (entries) => this.device.createBindGroupLayout({ entries });
    const layouts = [layout(shares.flatMap(({ as }, binding) =>
      as === binding ? [{ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type: "storage" } }] : []))];
    if (hasNumbers) layouts.push(layout([{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "uniform" } }]));
    const pipeline = this.device.createComputePipeline({
      layout: this.device.createPipelineLayout({ bindGroupLayouts: layouts }),
      compute: { module: this.device.createShaderModule({ code: source }), entryPoint: name,
        constants: { wgsize_x: threads[0], wgsize_y: threads[1], wgsize_z: threads[2], workgroup_mem_bytes: shared } },
    });
    return { pipeline, layouts };
  }
}

/** The buffers of a grid, in the order of its arguments: they are declared before it. */
function bindingsOf(source, entry) {
  const found = source.matchAll(/@group\(0\) @binding\(\d+\)\s+var<storage, read_write> (\w+) : ([^;]+);/g);
  return Array.from(found, ([text, name, type]) => ({ text, name, type, isRead: /_in\d+$/.test(name) }))
    .filter(({ name }) => name.startsWith(`${entry}_`));
}

const sizesOf = (port, batch) => port.shape.map((size) => size ?? batch);
const lengthOf = (port, batch) => sizesOf(port, batch).reduce((a, b) => a * b, 1);

const placed = new WeakMap();

/** The buffer of the weights, which all models on a device read, as long as one is left. */
function weightsOn(queue, weights) {
  const { device } = queue, there = placed.get(device)?.deref();
  if (there) return there;
  const buffer = queue.make(table.weightBytes);
  device.queue.writeBuffer(buffer, 0, weights, 4096, roundUp(table.weightBytes, 4));
  placed.set(device, new WeakRef(buffer));
  return buffer;
}

class Model {
  #exports; #queue; #weights; #arena; #views; #names; #calls; #inputs; #outputs;

  constructor(exports, queue, weights) {
    if (table.header.some((byte, i) => weights[i] !== byte) || weights.length < 4096 + table.weightBytes)
      throw new Error("@NAME@.weights is damaged or another model's");
    this.#exports = exports;
    this.#queue = queue;
    this.#weights = weightsOn(queue, weights);
    this.#views = table.views.map((view) => this.#makeBuffer(view));
    this.#names = table.views.map(() => queue.name(null));
    this.#calls = table.calls.map((call) => this.#makeArguments(call));
    this.#inputs = table.inputs.map(() => null);
    this.#outputs = table.outputs.map(() => null);
  }

  #allocate(bytes) {
    const at = this.#exports.halcyon_allocate(Math.max(bytes, 64)) >>> 0;
    if (!at) throw new Error(`out of memory: ${bytes} bytes`);
    return at;
  }

  #makeBuffer(view) {
    const at = this.#allocate(BUFFER + DIMENSION * view.dims.length);
    const data = new DataView(this.#exports.memory.buffer, at, BUFFER + DIMENSION * view.dims.length);
    data.setUint32(8, this.#queue.halide_webgpu_device_interface(), true);
    data.setUint32(12, 0, true); // bindings begin where the view does
    data.setUint8(24, view.code);
    data.setUint8(25, view.bits);
    data.setUint16(26, 1, true);
    data.setInt32(28, view.dims.length, true);
    data.setUint32(32, at + BUFFER, true);
    view.dims.forEach(([min, extent, stride], i) => {
      data.setInt32(BUFFER + DIMENSION * i, min, true);
      data.setInt32(BUFFER + DIMENSION * i + 4, extent, true);
      data.setInt32(BUFFER + DIMENSION * i + 8, stride, true);
    });
    return at;
  }

  /** A kernel's arguments: the user context's address, then its buffers'. */
  #makeArguments(call) {
    const context = this.#allocate(64), at = this.#allocate(4 * (1 + call.views));
    const list = new Uint32Array(this.#exports.memory.buffer, at, 1 + call.views);
    list[0] = context;
    for (let i = 0; i < call.views; ++i) list[1 + i] = this.#views[call.first + i];
    return at;
  }

  /** A buffer of at least so many bytes in place of what there is. */
  #room(buffer, bytes) {
    if (buffer && buffer.size >= bytes) return buffer;
    buffer?.destroy();
    return this.#queue.make(bytes);
  }

  /** Says where a call's tensors lie. */
  #place(call, batch) {
    const data = new DataView(this.#exports.memory.buffer);
    for (let v = call.first; v < call.first + call.views; ++v) {
      const view = table.views[v], at = this.#views[v];
      const buffer = view.space === ARENA ? this.#arena : view.space === WEIGHTS ? this.#weights
        : (view.space === INPUT ? this.#inputs : this.#outputs)[view.index];
      let elements = 1;
      view.dims.forEach(([, extent, stride], i) => {
        const size = extent === BATCH ? batch : extent;
        data.setInt32(at + BUFFER + DIMENSION * i + 4, size, true);
        elements += (size - 1) * stride;
      });
      this.#queue.rename(this.#names[v], {
        buffer, offset: view.offset + (view.space === ARENA ? batch * view.slot : 0),
        size: roundUp(elements * Math.ceil(view.bits / 8), 4),
      });
      data.setBigUint64(at, BigInt(this.#names[v]), true);
      data.setBigUint64(at + 16, 0n, true);
    }
  }

  /** Computes the outputs, by name, of the inputs, by name. */
  async run(given) {
    let batch = table.onlyBatch || 0;
    for (const port of table.inputs) {
      const value = given[port.name], wanted = ARRAYS[port.type];
      if (!(value instanceof wanted)) throw new TypeError(`input ${port.name} takes a ${wanted.name}`);
      if (!batch && port.shape.includes(null)) batch = value.length / lengthOf(port, 1);
      if (value.length !== lengthOf(port, batch || 1) || !value.length)
        throw new RangeError(`input ${port.name} takes ${port.shape.map((size) => size ?? "N").join(" x ")} elements, not ${value.length}`);
    }
    batch ||= 1;
    const queue = this.#queue, { device } = queue;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    this.#arena = this.#room(this.#arena, batch * table.arenaBytes + table.fixedBytes);
    table.inputs.forEach((port, i) => {
      const value = given[port.name], bytes = new Uint8Array(roundUp(value.byteLength, 4));
      bytes.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      this.#inputs[i] = this.#room(this.#inputs[i], bytes.length);
      device.queue.writeBuffer(this.#inputs[i], 0, bytes);
    });
    const sizes = table.outputs.map((port) => lengthOf(port, batch) * ARRAYS[port.type].BYTES_PER_ELEMENT);
    sizes.forEach((bytes, i) => { this.#outputs[i] = this.#room(this.#outputs[i], bytes); });
    const { first, calls } = table.functions[0];
    for (let i = first; i < first + calls; ++i) {
      const call = table.calls[i];
      this.#place(call, batch);
      const status = this.#exports[table.kernels[call.kernel]](this.#calls[i]);
      if (status) throw new Error(`${call.layer}: code ${status}`);
    }
    const staged = sizes.map((bytes, i) => {
      const buffer = device.createBuffer({ size: roundUp(bytes, 4), usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      queue.copy({ buffer: this.#outputs[i], offset: 0 }, { buffer, offset: 0 }, bytes);
      return buffer;
    });
    queue.submit();
    // Both at once: another model on the device may begin while this one waits.
    for (const error of await Promise.all([device.popErrorScope(), device.popErrorScope()]))
      if (error) throw new Error(error.message);
    await Promise.all(staged.map((buffer) => buffer.mapAsync(GPUMapMode.READ)));
    return Object.fromEntries(table.outputs.map((port, i) => {
      const values = new ARRAYS[port.type](staged[i].getMappedRange().slice(0, sizes[i]));
      staged[i].destroy();
      return [port.name, Object.assign(values, { shape: sizesOf(port, batch) })];
    }));
  }
}
