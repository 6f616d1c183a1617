import os
import pathlib
import subprocess
import sys

from peers.peer import Peer, Refused


class Ncnn(Peer):
    """A model converted by pnnx. A batch runs picture by picture: ncnn has no other way."""

    name, title, package = "ncnn", "ncnn", "ncnn"

    @classmethod
    def prepare(cls, task):
        folder = cls.folder(task, cls.name)
        if (folder / "model.ncnn.bin").exists():
            return
        import numpy

        tool = pathlib.Path(sys.executable).with_name("pnnx")
        if not tool.exists():
            raise Refused("pnnx, which converts models for it, is not installed")
        shape = ",".join(map(str, (1, *numpy.load(task.input, mmap_mode="r").shape[1:])))
        model = folder / "model.onnx"
        model.unlink(missing_ok=True)
        os.symlink(pathlib.Path(task.onnx).resolve(), model)
        done = subprocess.run([tool, model, f"inputshape=[{shape}]", "fp16=0"], cwd=folder, text=True,
                              capture_output=True)
        if done.returncode or not (folder / "model.ncnn.bin").exists():
            raise Refused("pnnx can't convert the model: " + (done.stderr or done.stdout).strip()[-200:])

    def __init__(self, task, image):
        import ncnn
        import numpy

        folder = self.folder(task, self.name)
        self.net = ncnn.Net()
        self.net.opt.num_threads = task.threads
        # Half-precision storage would not be f32.
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage",
                       "use_bf16_packed"):
            if hasattr(self.net.opt, option):
                setattr(self.net.opt, option, False)
        if self.net.load_param(str(folder / "model.ncnn.param")) or self.net.load_model(str(folder / "model.ncnn.bin")):
            raise Refused("ncnn does not take the converted model")
        self.stack = numpy.stack
        self.numpy = numpy.array
        self.images = [ncnn.Mat(numpy.ascontiguousarray(one)).clone() for one in image]

    def step(self):
        self.results = []
        for image in self.images:
            run = self.net.create_extractor()
            run.input("in0", image)
            self.results.append(run.extract("out0")[1])

    def output(self):
        return self.stack([self.numpy(result) for result in self.results])
