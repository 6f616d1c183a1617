"""Networks as files: ONNX, weights, an input and the expected output; Halcyon's programs of them."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TITLES = {
    "vgg16": "VGG-16", "unet": "U-Net (base 32, 256x256)", "resnet18": "ResNet-18", "resnet50": "ResNet-50",
    "densenet121": "DenseNet-121", "inception_v3": "Inception v3 (299)", "squeezenet": "SqueezeNet 1.1",
    "mobilenet_v2": "MobileNetV2", "efficientnet_b0": "EfficientNet-B0", "lenet5": "LeNet-5",
    "lenet": "LeNet (16, 32 channels)", "mlp": "MLP",
}


def every():
    """All examples: those with a title in its order, then the others."""
    found = {path.stem for path in (ROOT / "examples").glob("*.cnn")}
    return [name for name in TITLES if name in found] + sorted(found - set(TITLES))


def title(name):
    return TITLES.get(name, name)


class Failed(Exception):
    """A command that ended badly; the text is the last it said."""


def command(*words, **options):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, **options)
    if done.returncode:
        raise Failed((done.stderr or done.stdout).strip()[-500:] or f"{words[0]} ended with {done.returncode}")
    return done.stdout


class Network:
    def __init__(self, name, folder, halcyon):
        self.name, self.folder, self.halcyon = name, pathlib.Path(folder), halcyon
        self.onnx, self.weights = self.folder / f"{name}.onnx", self.folder / f"{name}.safetensors"
        self.model = ROOT / "examples" / f"{name}.cnn"

    def make(self):
        """The ONNX model and its sample, once."""
        if not (self.folder / f"{self.name}.expected.npy").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            command(sys.executable, ROOT / "test/reference/networks.py", self.name, "--out", self.folder)

    def sample(self, batch, folder):
        """Paths of a batch of the sample input and of what it should give."""
        import numpy

        paths = []
        for kind in ("input", "expected"):
            one = numpy.load(self.folder / f"{self.name}.{kind}.npy")
            paths.append(pathlib.Path(folder) / f"{self.name}-{batch}.{kind}.npy")
            numpy.save(paths[-1], numpy.concatenate([one[:1]] * batch))
        return paths

    def program(self, precision, folder, extra):
        """Halcyon's program, compiled anew: the compiler may have changed."""
        path = pathlib.Path(folder) / f"{self.name}-{precision}"
        options = ["--precision", precision] if precision != "f32" else []
        command(self.halcyon, "compile", self.model, "--weights", self.weights, "-o", path, *options, *extra)
        return path

    def facts(self, extra):
        """FLOPs and bytes, by the compiler's own count."""
        found = json.loads(command(self.halcyon, "explain", "--json", self.model, *extra))
        totals = found["totals"]
        moved = sum(kernel["bytes"] for kernel in found["kernels"])
        # Weights as the model has them: what an algorithm makes of them may be larger.
        return {"flops": totals["flops"], "weights": 4 * totals["parameters"], "arena": totals["arena_bytes"],
                "activations": max(0, moved - totals["weight_bytes"])}
