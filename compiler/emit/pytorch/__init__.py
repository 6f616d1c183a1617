"""The model @MODEL@, compiled by Halcyon for @TARGET@, as a module of PyTorch.

@PORTS@

    import @NAME@
    model = @NAME@.Model()
    model(@ARGUMENTS@)

N is the batch.
"""

import json
import pathlib
import typing

import torch

from . import _C

__all__ = ["Model", "Result"]

# Name, sizes (None for the batch) and type.
INPUTS = (@INPUTS@)
OUTPUTS = (@OUTPUTS@)
# Of the state: name, sizes, type, and whether it is trained.
STATE = (@STATE@)


class Result(typing.NamedTuple):
    """What a model of several outputs gives."""

@RESULT@

class Model(torch.nn.Module):
    """The model with its weights; parameters and buffers have the names that the model gives them."""

    def __init__(self):
        super().__init__()
        data = bytearray(pathlib.Path(__file__).with_name("weights.safetensors").read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        self._places = []  # of the state, in the extension's order
        for name, shape, kind, trained in STATE:
            begin, end = header[name]["data_offsets"]
            values = torch.frombuffer(data, dtype=torch.float32, offset=start + begin, count=(end - begin) // 4)
            values = values.reshape(shape).to(getattr(torch, kind), copy=True)
            *path, leaf = name.split(".")
            module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, torch.nn.Module())
                module = module._modules[part]
            if trained:
                module.register_parameter(leaf, torch.nn.Parameter(values))
            else:
                module.register_buffer(leaf, values)
            self._places.append((module, leaf))
        self._register_load_state_dict_pre_hook(_without_counters)

    def forward(self, @PARAMETERS@) -> @RETURNS@:
        outputs = _C.run(self.training, [@ARGUMENTS@, *(getattr(module, leaf) for module, leaf in self._places)])
        return outputs[0] if len(outputs) == 1 else Result(*outputs)


def _without_counters(state, prefix, *_):
    """Norms of torch count their batches, which nothing here reads."""
    for name in [name for name in state if name.startswith(prefix) and name.endswith(".num_batches_tracked")]:
        del state[name]
