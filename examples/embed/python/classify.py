"""Prints which digit a picture (PGM, 8 bits) shows."""

import sys

import numpy

import lenet

with open(sys.argv[1], "rb") as file:
    kind, width, height, most, pixels = file.read().split(maxsplit=4)
assert kind == b"P5" and most == b"255", "give a picture as .pgm"
# A blank may be the first pixel: the last bytes are the picture.
size = int(width) * int(height)
with open(sys.argv[1], "rb") as file:
    picture = numpy.frombuffer(file.read()[-size:], numpy.uint8).reshape(int(height), int(width))
print(lenet.run(lenet.prepare_image(picture)).argmax())
