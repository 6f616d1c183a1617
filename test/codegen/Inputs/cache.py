"""Compiles again with a filled cache, none of whose files may change."""

import os
import subprocess
import sys

cache, model, program = sys.argv[1:]
stamp = lambda: {name: os.stat(os.path.join(cache, name)).st_mtime_ns for name in os.listdir(cache)}
before = stamp()
subprocess.run(["halcyon", "compile", model, "--weights", "seed:1", "-o", program],
               env={**os.environ, "HALCYON_CACHE": cache}, check=True)
assert before and stamp() == before
