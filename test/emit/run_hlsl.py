#!/usr/bin/env python3
"""The d3d12 form's kernels, compiled by glslang's front end for HLSL: no device runs them.

    run_hlsl.py [NETWORK ...]

What glslang does not know of Microsoft's compiler, its constants 1.#INF and 1.#IND and its pragmas, is
written otherwise first.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
GLSLANG = shutil.which("glslangValidator")


def entries(text):
    """The grids of a file."""
    return re.findall(r"\[ *numthreads\([^]]*\]\s*void (\w+)\(", text)


def compiled(path, entry, folder):
    """What is wrong with a grid; nothing if it compiles."""
    text = path.read_text()
    text = re.sub(r"^#pragma.*$", "", text, flags=re.M)
    text = re.sub(r"([-+]?)1\.#INF", lambda found: f"asfloat({'0xff800000' if found[1] == '-' else '0x7f800000'})", text)
    source = folder / "kernel.hlsl"
    source.write_text(text.replace("1.#IND", "asfloat(0x7fc00000)"))
    done = subprocess.run([GLSLANG, "-D", "-S", "comp", "-e", entry, "-V", "-o", folder / "kernel.spv", source],
                          capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout[:500] or "failed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["lenet", "mobilenet_v2"])
    networks = parser.parse_args().networks
    if not GLSLANG:
        print(f"glslangValidator is not installed (Debian: glslang-tools)\n0 passed, 0 failed, {len(networks)} skipped")
        return 0
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for network in networks:
            site = folder / network
            subprocess.run([BUILD / "bin" / "halcyon", "emit", ROOT / "examples" / f"{network}.cnn", "--for=d3d12",
                            "--weights", "seed:1", "-o", site], check=True)
            for path in sorted((site / "kernels").glob("*.hlsl")):
                grids = entries(path.read_text())
                wrong = "no grid is in it" if not grids else "".join(compiled(path, grid, folder) for grid in grids)
                passed, failed = passed + (not wrong), failed + bool(wrong)
                print("FAIL" if wrong else "PASS", network, path.name, wrong, flush=True)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
