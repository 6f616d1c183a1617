#!/usr/bin/env python3
"""Runs the test cases of the onnx package.

    run_onnx.py [--sample N] [--list FILE] [--update] [--filter REGEX] [GROUP ...]

GROUP is node, pytorch-converted, pytorch-operator, simple or light. Many cases of single
nodes become one program. What does not pass is in a list, each case with its reason: a
case that fails and is not there is a failure, and so is one that passes and is.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
from collections import defaultdict

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

import cases as package

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = pathlib.Path(__file__).with_name("not-passing.txt")

# Operands that decide about shapes: numbers while compiling.
KNOWN = {"Reshape": [1], "Expand": [1], "Tile": [1, 2], "Slice": [1, 2, 3, 4], "Pad": [1, 3], "Resize": [1, 2, 3],
         "Upsample": [1], "ConstantOfShape": [0], "Range": [0, 1, 2], "OneHot": [1], "TopK": [1], "Split": [1],
         "Squeeze": [1], "Unsqueeze": [1], "CumSum": [1], "CumProd": [1], "Trilu": [1], "CenterCropPad": [1],
         "Dropout": [1, 2], "Col2Im": [1, 2], "AffineGrid": [1], "MaxUnpool": [2],
         "NonMaxSuppression": [2, 3, 4], "LSTM": [4], "GRU": [4], "RNN": [4]}
KNOWN.update({f"Reduce{kind}": [1] for kind in
              ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")})


BITS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn")


def as_array(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def as_written(array):
    """In the bits of types that files have no name for."""
    if array.dtype.name in BITS or array.dtype == bool:
        return array.view(np.uint8) if array.ndim else array.reshape(1).view(np.uint8)
    if array.dtype.name in ("int4", "int2"):
        return array.astype(np.int8)
    if array.dtype.name in ("uint4", "uint2"):
        return array.astype(np.uint8)
    return array


def path_of(folder, stem, value):
    """Where a tensor is kept: bfloat16 is safetensors' alone."""
    return folder / f"{stem}.{'safetensors' if value.dtype.name == 'bfloat16' else 'npy'}"


def save(path, name, value):
    value = np.ascontiguousarray(as_written(value if value.ndim else value.reshape(1)))
    if path.suffix == ".npy":
        np.save(path, value)
        return
    header = json.dumps({name: {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [0, value.nbytes]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + value.tobytes())


def load(path, dtype):
    if path.suffix == ".npy":
        return np.load(path)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    (entry,) = (e for key, e in json.loads(data[8:8 + length]).items() if key != "__metadata__")
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    return np.frombuffer(data[begin:end], dtype).reshape(entry["shape"])


def trouble(result, expected, case):
    """What is wrong with a result, or nothing."""
    if result.size != expected.size or (result.shape != expected.shape and expected.ndim):
        return f"has the shape {list(result.shape)}, not {list(expected.shape)}"
    if expected.dtype.name not in ("float16", "float32", "float64", "bfloat16"):
        expected = as_written(expected)
        if result.dtype != expected.dtype:
            return f"holds {result.dtype}, not {expected.dtype}"
        wrong = int((result.reshape(expected.shape) != expected).sum())
        return f"differs in {wrong} of {expected.size} elements" if wrong else ""
    rtol, atol = case.rtol, case.atol
    if expected.dtype.itemsize == 2:
        rtol, atol = max(rtol, 1e-2 if expected.dtype.name == "bfloat16" else 2e-3), 1e-3
    a, b = result.astype(np.float64).reshape(expected.shape), expected.astype(np.float64)
    good = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if good.all():
        return ""
    with np.errstate(invalid="ignore"):
        return f"differs in {int((~good).sum())} of {good.size} elements, by {np.nanmax(np.abs(a - b)):.2g}"


def unsupported(case):
    """Why a case can't be a program at all."""
    for port in [*case.model.graph.input, *case.model.graph.output]:
        kind = port.type.WhichOneof("value")
        if kind != "tensor_type":
            return f"'{port.name}' is a {(kind or 'nothing').removesuffix('_type')}, not a tensor"
        if port.type.tensor_type.elem_type == TensorProto.STRING:
            return f"'{port.name}' holds text"
    return ""


def with_known(case):
    """The model with the operands that decide about shapes as numbers, and the inputs that are left."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    known = {node.input[i] for node in model.graph.node for i in KNOWN.get(node.op_type, [])
             if i < len(node.input) and node.input[i] in case.inputs}
    inputs = {name: value for name, value in case.inputs.items() if name not in known}
    ports = [port for port in model.graph.input if port.name not in known]
    for port in model.graph.input:
        if port.name in known:
            model.graph.initializer.append(numpy_helper.from_array(as_array(case.inputs[port.name]), port.name))
    del model.graph.input[:]
    model.graph.input.extend(ports)
    return model, inputs


def limited(command, seconds):
    """A finished process, or nothing where it had to be ended, with all that it started."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


class Group:
    """Cases that become one program."""

    def __init__(self, cases, halcyon, seconds):
        self.cases, self.halcyon, self.seconds = cases, halcyon, seconds
        self.reasons = {}  # name -> why it does not pass

    def merged(self, cases):
        graph = onnx.GraphProto(name="cases")
        model = onnx.ModelProto()
        feeds, wanted = {}, {}
        for number, case in enumerate(cases):
            own, inputs = with_known(case)
            model.ir_version = max(model.ir_version, own.ir_version)
            if not model.opset_import:
                model.opset_import.extend(own.opset_import)
                model.functions.extend(own.functions)
            prefix = f"c{number}__" if len(cases) > 1 else ""
            if prefix:
                own = compose.add_prefix(own, prefix, rename_functions=False)
            for node in own.graph.node:
                node.name = f"{prefix}{node.op_type}"
            for field in ("node", "input", "output", "initializer", "sparse_initializer"):
                getattr(graph, field).extend(getattr(own.graph, field))
            # What has no elements is neither read nor written.
            feeds.update({prefix + name: as_array(value) for name, value in inputs.items() if as_array(value).size})
            wanted.update({prefix + name: (case, as_array(value)) for name, value in case.outputs.items()
                           if name and as_array(value).size})
        model.graph.CopyFrom(graph)
        return model, feeds, wanted

    def run(self):
        self.attempt(self.cases)
        return self.reasons

    def attempt(self, cases):
        """Compiles and runs cases as one program; apart where one of them stops all."""
        while cases:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                model, feeds, wanted = self.merged(cases)
                onnx.save(model, folder / "cases.onnx")
                done = limited([self.halcyon, "compile", folder / "cases.onnx", "-o", folder / "program"], self.seconds)
                if done is None:
                    return self.apart(cases, f"takes more than {self.seconds} s to compile")
                if done.returncode == 0:
                    self.execute(cases, folder, feeds, wanted)
                    return
            blamed = self.blame(cases, done)
            if not blamed:
                return self.apart(cases, f"the compiler ends with {done.returncode}: {done.stderr[-150:]!r}")
            self.reasons.update(blamed)
            cases = [case for case in cases if case.name not in blamed]

    def blame(self, cases, done):
        """The cases that messages are about, with the message."""
        blamed = {}
        for line in done.stderr.splitlines():
            if "error:" not in line:
                continue
            message = re.sub(r"^.*?error: ", "", line)
            message = re.sub(r"node \d+ of \d+, |c\d+__", "", message)[:160]
            if len(cases) == 1:
                blamed.setdefault(cases[0].name, message)
            elif found := re.search(r"\bc(\d+)__", line):
                blamed.setdefault(cases[int(found[1])].name, message)
        return blamed

    def apart(self, cases, why):
        if len(cases) == 1:
            self.reasons[cases[0].name] = re.sub(r"\s+", " ", why)[:160]
            return
        half = len(cases) // 2
        self.attempt(cases[:half])
        self.attempt(cases[half:])

    def execute(self, cases, folder, feeds, wanted):
        command = [folder / "program", "--threads", "2"]
        for number, (name, value) in enumerate(feeds.items()):
            path = path_of(folder, f"in{number}", value)
            save(path, name, value)
            command += ["--input", f"{name}={path}"]
        outputs = {}
        for number, (name, (case, value)) in enumerate(wanted.items()):
            outputs[name] = path_of(folder, f"out{number}", value)
            command += ["--output", f"{name}={outputs[name]}"]
        done = limited(command, self.seconds)
        if done is None:
            return self.apart(cases, f"runs for more than {self.seconds} s")
        if done.returncode:
            return self.apart(cases, f"the program ends with {done.returncode}: {done.stderr[-150:]}")
        for name, (case, expected) in wanted.items():
            if why := trouble(load(outputs[name], expected.dtype), expected, case):
                self.reasons.setdefault(case.name, re.sub(r"^c\d+__", "", name) + " " + why)


def grouped(cases, size):
    """Cases of one set of operators' versions, so many at a time."""
    by_versions = defaultdict(list)
    for case in cases:
        versions = tuple(sorted((opset.domain, opset.version) for opset in case.model.opset_import))
        by_versions[versions + tuple(f.name for f in case.model.functions)].append(case)
    return [found[i:i + size] for found in by_versions.values() for i in range(0, len(found), size)]


def read_list(path):
    listed = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line and not line.startswith("#"):
            name, _, reason = line.partition("  ")
            listed[name] = reason.strip()
    return listed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", default=[])
    parser.add_argument("--halcyon", default=str(ROOT / "build" / "bin" / "halcyon"))
    parser.add_argument("--filter", default="")
    parser.add_argument("--sample", type=int, default=1, help="every Nth case of single nodes")
    parser.add_argument("--size", type=int, default=40, help="cases in a program")
    parser.add_argument("--seconds", type=float, default=300, help="for a compilation")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", type=pathlib.Path, default=LIST)
    parser.add_argument("--update", action="store_true", help="leave out of the list what passes; add nothing")
    parser.add_argument("--create", action="store_true", help="write the list anew")
    args = parser.parse_args()
    groups = args.groups or ["node", "pytorch-converted", "pytorch-operator", "simple", "light"]

    found, reasons, work = [], {}, []
    for group in groups:
        if group == "node":
            own = package.node_cases()[::args.sample]
        else:
            own = package.network_cases() if group == "light" else package.folder_cases(group)
        own = [case for case in own if re.search(args.filter, case.name)]
        found += own
        able = []
        for case in own:
            if why := unsupported(case):
                reasons[case.name] = why
            else:
                able.append(case)
        work += grouped(able, args.size) if group == "node" else [[case] for case in able]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for more in pool.map(lambda part: Group(part, args.halcyon, args.seconds).run(), work):
            reasons.update(more)

    listed = read_list(args.list)
    if args.create or args.update:
        kept = {name: why for name, why in reasons.items() if args.create or name in listed}
        ran = {case.name for case in found}
        kept.update({name: why for name, why in listed.items() if name not in ran})
        lines = ["# Cases that do not pass, each with its reason; written by run_onnx.py --update, which only",
                 "# ever leaves lines out."]
        args.list.write_text("\n".join(lines + [f"{name}  {why}" for name, why in sorted(kept.items())]) + "\n")
        listed = read_list(args.list)
    failed = 0
    for case in found:
        if case.name in reasons and case.name not in listed:
            print(f"FAIL {case.name}: {reasons[case.name]}")
            failed += 1
        elif case.name not in reasons and case.name in listed:
            print(f"FAIL {case.name}: passes, and is in {args.list.name}; run with --update")
            failed += 1
    counting = [case for case in found if case.counts]
    right = sum(case.name not in reasons for case in counting)
    if counting:
        print(f"of the operators in docs/onnx.md {right} of {len(counting)} cases pass, "
              f"{100 * right / len(counting):.1f} %")
    print(f"{len(found) - len(reasons)} of all {len(found)} cases pass")
    skipped = sum(case.name in reasons and case.name in listed for case in found)
    print(f"{len(found) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
