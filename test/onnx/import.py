#!/usr/bin/env python3
"""A model that is imported as text gives the values that its ONNX file gives.

    import.py FOLDER MODEL [option ...]     MODEL is written as ONNX first, if it is not
    import.py --networks                    the networks in packages
"""

import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import cases

# Models shipped in packages, and the sizes that they leave open.
SHAPES = {"ch_PP-OCRv4_det_infer": "x=1,3,320,320", "ch_ppocr_mobile_v2.0_cls_infer": "x=1,3,48,192",
          "ch_PP-OCRv4_rec_infer": "x=1,3,48,320"}


# The one on the path, as lit has it, or the one that was built.
HALCYON = shutil.which("halcyon") or pathlib.Path(__file__).resolve().parents[2] / "build" / "bin" / "halcyon"


def run(*words):
    subprocess.run([str(word) for word in words], check=True)


def compare(folder, source, *options):
    """Whether the program of the file and that of its text write the same, but for the
    order of sums, which follows from how operations are grouped to kernels."""
    folder.mkdir(parents=True, exist_ok=True)
    text, weights = folder / "imported.cnn", folder / "imported.safetensors"
    run(HALCYON, "import", source, *options, "-o", text)
    run(HALCYON, "compile", source, *options, "-o", folder / "direct")
    run(HALCYON, "compile", text, "--weights", weights, "-o", folder / "imported")
    given = dict(option.split("=") for option in options if "=" in option)
    random, results = np.random.default_rng(1), []
    graph = onnx.load(source, load_external_data=False).graph
    known = {tensor.name for tensor in graph.initializer}
    ports = [port for port in graph.input if port.name not in known]
    port, = ports
    sizes = [dim.dim_value or 1 for dim in port.type.tensor_type.shape.dim]
    if port.name in given:
        sizes = [int(size) for size in given[port.name].split(",")]
    np.save(folder / "x.npy", random.normal(0, 1, sizes).astype(np.float32))
    files = {port.name: folder / f"y{i}.npy" for i, port in enumerate(graph.output)}
    for program in ("direct", "imported"):
        # As text, names are those that the language can say.
        outputs = [word for name, file in files.items() for word in
                   ("--output", f"{name if program == 'direct' else re.sub('[^A-Za-z0-9_]', '_', name)}={file}")]
        run(folder / program, "--input", folder / "x.npy", *outputs)
        results.append([np.load(file) for file in files.values()])
    return all(direct.shape == imported.shape and
               abs(direct - imported).max() <= 2e-6 * abs(direct).max()
               for direct, imported in zip(*results))


def networks():
    """The light networks of the onnx package, and what rapidocr-onnxruntime has."""
    yield from sorted((cases.DATA / "light").glob("*.onnx"))
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    if package:
        models = pathlib.Path(package.origin).parent / "models"
        yield from (models / f"{name}.onnx" for name in SHAPES)


def main():
    if sys.argv[1:] == ["--networks"]:
        passed = failed = 0
        for source in networks():
            options = ["--shape", SHAPES[source.stem]] if source.stem in SHAPES else []
            with tempfile.TemporaryDirectory() as folder:
                try:
                    good = compare(pathlib.Path(folder), source, *options)
                except subprocess.CalledProcessError as error:
                    print(error)
                    good = False
            print("PASS" if good else "FAIL", source.stem, flush=True)
            passed, failed = passed + good, failed + (not good)
        print(f"{passed} passed, {failed} failed")
        sys.exit(failed > 0)
    folder, model, *options = pathlib.Path(sys.argv[1]), sys.argv[2], *sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.onnx"
    if model.endswith(".onnx"):
        shutil.copy(model, source)
    else:
        run(HALCYON, "emit", model, *options, "--for=onnx", "-o", source)
    if not compare(folder, source):
        sys.exit("the programs write different values")
    print("same")


main()
