"""An installed wheel of mixed.cnn beside its program.

    wheel.py PROGRAM FOLDER
"""

import importlib.util
import subprocess
import sys
import threading

import numpy

import mixed

program, folder = sys.argv[1:]
random = numpy.random.default_rng(5)
image = random.standard_normal((2, 3, 12, 12)).astype(numpy.float32)
label = numpy.array([1, 4], numpy.int32)
numpy.save(f"{folder}/image.npy", image)
numpy.save(f"{folder}/label.npy", label)
names = [port.name for port in mixed.OUTPUTS]
outputs = [word for name in names for word in ("--output", f"{name}={folder}/{name}.npy")]
subprocess.run([program, "--input", f"image={folder}/image.npy", "--input", f"label={folder}/label.npy", *outputs],
               check=True)
result = mixed.run(image, label=label)
for name, value in zip(names, result):
    assert (numpy.load(f"{folder}/{name}.npy").reshape(value.shape) == value).all(), name
print(len(names), "outputs equal the program's")


class Lent:
    """An array of another library."""

    __dlpack__, __dlpack_device__ = image.__dlpack__, image.__dlpack_device__


assert all((a == b).all() for a, b in zip(result, mixed.run(Lent(), label)))
assert all((a == b).all() for a, b in zip(result, mixed.run(numpy.asfortranarray(image), label.astype(numpy.int64))))

model, agreeing = mixed.Model(threads=1), []


def work():
    for _ in range(20):
        agreeing.append(all((a == b).all() for a, b in zip(result, model(image, label))))


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("4 threads agree" if agreeing == [True] * 80 else "threads differ")
for wrong in (image[:1, :, :, :11], label), (image, label * 0.5), (image[:1], label):
    try:
        mixed.run(*wrong)
    except (TypeError, ValueError) as error:
        print(error)
print("picture", mixed.prepare_image(numpy.zeros((30, 20, 3), numpy.uint8)).shape)
if importlib.util.find_spec("torch"):
    import torch
    given = mixed.run(torch.from_numpy(image), torch.from_numpy(label))
    assert all(isinstance(a, torch.Tensor) and (a.numpy() == b).all() for a, b in zip(given, result))
    print("torch")
