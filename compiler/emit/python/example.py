"""Runs @NAME@ once, on .npy files (one an input) or on zeros, and shows every output.

    pip install @WHEEL@
    python example.py [input.npy ...]
"""

import sys

import numpy

import @NAME@

given = [numpy.load(path) for path in sys.argv[1:]]
zeros = [numpy.zeros([size or @NAME@.ONLY_BATCH or 1 for size in port.shape], port.dtype) for port in @NAME@.INPUTS]
result = @NAME@.run(*given, *zeros[len(given):])
for port, output in zip(@NAME@.OUTPUTS, result if isinstance(result, @NAME@.Result) else [result]):
    print(port.name, output.dtype, list(output.shape), *(f"{value:.9g}" for value in output.ravel()[:10]))
