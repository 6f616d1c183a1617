"""Runtimes that a network is timed beside: one class each, in the process of its own worker."""

from peers.ncnn import Ncnn
from peers.onnx_runtime import OnnxRuntime
from peers.openvino import OpenVino
from peers.torch_compile import TorchCompile

PEERS = {peer.name: peer for peer in (OnnxRuntime, OpenVino, Ncnn, TorchCompile)}
