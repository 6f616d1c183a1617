"""mixed.cnn in WebAssembly beside its program.

    wasm_outputs.py FOLDER PROGRAM
"""

import pathlib
import subprocess
import sys

import numpy

BATCH = 3
folder, program = pathlib.Path(sys.argv[1]), sys.argv[2]
random = numpy.random.default_rng(5)
random.standard_normal((BATCH, 3, 12, 12)).astype(numpy.float32).tofile(folder / "image.bin")
image = numpy.fromfile(folder / "image.bin", numpy.float32).reshape(BATCH, 3, 12, 12)
label = numpy.array([1, 4, 0], numpy.int32)
numpy.save(folder / "image.npy", image)
numpy.save(folder / "label.npy", label)
outputs = ["map", "logits", "weights", "one"]
words = [word for name in outputs for word in ("--output", f"{name}={folder}/{name}.npy")]
subprocess.run([program, "--input", f"image={folder}/image.npy", "--input", f"label={folder}/label.npy", *words], check=True)
for threads in (1, 3):
    script = f"""
      import {{ readFileSync, writeFileSync }} from "node:fs";
      import {{ load }} from "{folder}/mixed.mjs";
      const bytes = readFileSync("{folder}/image.bin");
      const image = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      const model = await load({{ threads: {threads} }});
      const results = model.run({{ image, label: Int32Array.from([1, 4, 0]) }});
      for (const [name, values] of Object.entries(results)) writeFileSync(`{folder}/${{name}}.bin`, values);
      model.close();
    """
    subprocess.run(["node", "--input-type=module", "-"], input=script, text=True, check=True)
    for name in outputs:
        right = numpy.load(folder / f"{name}.npy")
        ours = numpy.fromfile(folder / f"{name}.bin", numpy.float32).reshape(right.shape)
        assert abs(ours - right).max() <= 2e-5 * abs(right).max(), name
    print(f"{len(outputs)} outputs equal, batch {BATCH}, {threads} thread{'s' if threads > 1 else ''}")
