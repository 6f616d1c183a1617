"""What a peer answers. Its runtime is imported when one is made, never before."""

import importlib.util
import pathlib
from dataclasses import dataclass


@dataclass
class Task:
    """A network as all peers get it."""
    name: str
    onnx: str       # the model, its batch free
    input: str      # .npy: one batch
    threads: int
    batch: int
    precision: str  # "f32" or "bf16"
    cache: str      # a folder for what a peer makes of the model


class Refused(Exception):
    """The peer can't run this task; the text says why."""


class Peer:
    name = ""
    title = ""
    package = ""            # what Python imports, and what is looked for
    precisions = ("f32",)

    @classmethod
    def is_installed(cls):
        return importlib.util.find_spec(cls.package) is not None

    @classmethod
    def prepare(cls, task):
        """Conversions that are made once and kept in task.cache."""

    def __init__(self, task, image):
        """Loads the model and keeps `image`, a float32 array, as its input."""
        raise NotImplementedError

    def step(self):
        """One inference: the call that is timed."""
        raise NotImplementedError

    def output(self):
        """What the last step computed, as a float32 array."""
        raise NotImplementedError

    @classmethod
    def version(cls):
        import importlib.metadata

        return importlib.metadata.version(cls.package)

    @staticmethod
    def folder(task, peer):
        path = pathlib.Path(task.cache) / peer / task.name
        path.mkdir(parents=True, exist_ok=True)
        return path
