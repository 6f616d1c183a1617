"""The model @MODEL@, compiled by Halcyon for @TARGET@.

@PORTS@

    import @NAME@
    @NAME@.run(@EXAMPLE@)

takes numpy arrays, and whatever else has DLPack: torch tensors come back as torch tensors.
N is the batch. `Model(threads=1)` is the same with threads of its own. Both may be called
from several threads at once.
"""

import ctypes
import pathlib
import sys
import threading
import typing

import numpy

__all__ = ["Model", "Result", "run"@PREPARE_NAME@]


class Port(typing.NamedTuple):
    """An input or output: its sizes, None for the batch, and its numpy type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


INPUTS: tuple[Port, ...] = (@INPUTS@)
OUTPUTS: tuple[Port, ...] = (@OUTPUTS@)
ONLY_BATCH: int | None = @ONLY_BATCH@


class Result(typing.NamedTuple):
    """What a model of several outputs gives."""

@RESULT@

class _Options(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("spin_us", ctypes.c_uint32),
                ("abi_version", ctypes.c_uint32), ("weights_path", ctypes.c_char_p),
                ("hooks", ctypes.c_void_p * 7)]


class _Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 256)]


class _Picture(ctypes.Structure):
    _fields_ = [("pixels", ctypes.c_void_p), ("width", ctypes.c_uint32), ("height", ctypes.c_uint32),
                ("channels", ctypes.c_uint32), ("row_bytes", ctypes.c_uint32)]


_library = ctypes.CDLL(str(pathlib.Path(__file__).with_name("lib@NAME@.so")))
_program = ctypes.addressof(ctypes.c_char.in_dll(_library, "@NAME@_program"))


def _function(name, result, *arguments):
    function = getattr(_library, f"@NAME@_session_{name}")
    function.restype, function.argtypes = result, arguments
    return function


_create = _function("create", ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Options), ctypes.POINTER(ctypes.c_void_p),
                    ctypes.POINTER(_Error))
_destroy = _function("destroy", None, ctypes.c_void_p)
_set_batch = _function("set_batch", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
_bind_input = _function("bind_input", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
_bind_output = _function("bind_output", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
_run = _function("run", ctypes.c_int, ctypes.c_void_p)
_error = _function("error", ctypes.c_char_p, ctypes.c_void_p)
_prepare = _function("prepare_image", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(_Picture),
                     ctypes.c_void_p)


def _array(value, port: Port) -> numpy.ndarray:
    """The tensor as the model reads it; copied only where it lies otherwise."""
    if not isinstance(value, numpy.ndarray) and hasattr(value, "__dlpack__"):
        value = numpy.from_dlpack(value.detach() if hasattr(value, "detach") else value)
    array = numpy.ascontiguousarray(value)
    if array.dtype != port.dtype:
        if not numpy.can_cast(array.dtype, port.dtype, "same_kind"):
            raise TypeError(f"input {port.name} takes {port.dtype}, not {array.dtype}")
        array = array.astype(port.dtype)
    wanted = ["N" if size is None else size for size in port.shape]
    if len(array.shape) != len(wanted) or any(size not in ("N", given) for size, given in zip(wanted, array.shape)):
        raise ValueError(f"input {port.name} takes {wanted}, not {list(array.shape)}")
    return array


def _given_back(arrays, inputs):
    """Outputs as arrays of the library that the inputs came from."""
    for value in inputs:
        home = sys.modules.get(type(value).__module__.split(".")[0])
        if not isinstance(value, numpy.ndarray) and hasattr(value, "__dlpack__") and hasattr(home, "from_dlpack"):
            return [home.from_dlpack(array) for array in arrays]
    return arrays


class Model:
    """The model with threads and working memory of its own; the weights are there once."""

    def __init__(self, threads: int = 0):
        """`threads` work on a call, 0: one per core."""
        self._threads, self._idle, self._lock = threads, [], threading.Lock()
        self._idle.append(self._session())

    def _session(self):
        session, error = ctypes.c_void_p(), _Error()
        options = _Options(threads=self._threads, abi_version=@VERSION@)
        if _create(_program, ctypes.byref(options), ctypes.byref(session), ctypes.byref(error)):
            raise RuntimeError(error.text.decode())
        return session

    def _take(self):
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._session()

    def _check(self, session, status):
        if status:
            raise RuntimeError(_error(session).decode() or f"status {status}")

    def __call__(self, @PARAMETERS@) -> @RETURNS@:
        values = (@ARGUMENTS@,)
        arrays = [_array(value, port) for value, port in zip(values, INPUTS)]
        batches = {array.shape[axis] for array, port in zip(arrays, INPUTS)
                   for axis, size in enumerate(port.shape) if size is None}
        if len(batches) > 1 or 0 in batches:
            raise ValueError(f"the inputs have batches of {sorted(batches)}; all must have the same")
        batch = batches.pop() if batches else ONLY_BATCH or 1
        outputs = [numpy.empty([batch if size is None else size for size in port.shape], port.dtype)
                   for port in OUTPUTS]
        session = self._take()
        try:
            self._check(session, _set_batch(session, batch))
            for index, array in enumerate(arrays):
                self._check(session, _bind_input(session, index, array.ctypes.data))
            for index, array in enumerate(outputs):
                self._check(session, _bind_output(session, index, array.ctypes.data))
            self._check(session, _run(session))
        finally:
            with self._lock:
                self._idle.append(session)
        outputs = _given_back(outputs, values)
        return outputs[0] if len(outputs) == 1 else Result(*outputs)

    def __del__(self):
        for session in getattr(self, "_idle", []):
            _destroy(session)


_default: Model | None = None
_default_lock = threading.Lock()


def _shared() -> Model:
    global _default
    with _default_lock:
        if _default is None:
            _default = Model()
        return _default


def run(@PARAMETERS@) -> @RETURNS@:
    """Computes the model's outputs."""
    return _shared()(@ARGUMENTS@)
@PREPARE@
