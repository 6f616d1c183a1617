#!/usr/bin/env python3
"""Makes a Python wheel of an installed Halcyon.

    cmake --install build --prefix PREFIX
    wheel.py PREFIX FOLDER

`pip install` of it puts `halcyon` beside Python's own commands, with all that it needs
but libc. The same installation gives the same bytes.
"""

import base64
import hashlib
import pathlib
import platform
import re
import subprocess
import sys
import zipfile

DATE = (1980, 1, 1, 0, 0, 0)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    prefix, folder = map(pathlib.Path, sys.argv[1:])
    program = prefix / "bin" / "halcyon"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"\d+\.\d+\.\d+", said).group()
    libc = platform.libc_ver()[1].replace(".", "_")
    tag = f"py3-none-manylinux_{libc}_{platform.machine()}"
    info = f"halcyon-{version}.dist-info"
    files = {f"halcyon-{version}.data/data/{path.relative_to(prefix)}": path
             for path in sorted(prefix.rglob("*")) if path.is_file()}
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: halcyon\nVersion: {version}\n"
                            "Summary: Compiler for convolutional networks\nRequires-Python: >=3.8\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: halcyon\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    record = []
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"halcyon-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        def add(name, content, mode):
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            record.append(f"{name},sha256={digest},{len(content)}\n")

        for name, path in files.items():
            add(name, path.read_bytes(), path.stat().st_mode & 0o777)
        for name, text in texts.items():
            add(name, text.encode(), 0o644)
        record.append(f"{info}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD", DATE), "".join(record))
    print(wheel)


if __name__ == "__main__":
    main()
