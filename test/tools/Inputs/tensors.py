"""Tensors to feed to programs, and comparisons of what they give.

    tensors.py make SHAPE FILE [nan]     pseudo-random numbers, the same each time
    tensors.py slice FIRST COUNT IN OUT  some images of a tensor
    tensors.py equal A B                 to the last few bits
    tensors.py joined WHOLE PART...      images one after another
"""

import sys

import numpy

command, *words = sys.argv[1:]
if command == "make":
    shape = [int(size) for size in words[0].split(",")]
    x = numpy.random.default_rng(1).random(shape, dtype=numpy.float32)
    if words[2:] == ["nan"]:
        x.flat[7] = numpy.nan
    numpy.save(words[1], x)
elif command == "slice":
    first, count = int(words[0]), int(words[1])
    numpy.save(words[3], numpy.load(words[2])[first : first + count])
else:
    whole, *parts = [numpy.load(file) for file in words]
    joined = numpy.concatenate(parts)
    assert whole.shape == joined.shape, (whole.shape, joined.shape)
    difference = abs(whole - joined).max() / abs(whole).max()
    assert difference <= 1e-5, difference
    print("equal", whole.shape)
