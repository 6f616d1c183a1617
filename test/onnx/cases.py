"""The test cases of the onnx package: generated ones of single nodes, those that were
converted from PyTorch, and light whole networks with their expected outputs."""

import pathlib
import re
import warnings
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

DATA = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"

# What convolutional networks use; docs/onnx.md has the same list.
OPERATORS = set("""
Conv ConvTranspose ConvInteger QLinearConv DeformConv MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool
GlobalLpPool MaxUnpool BatchNormalization InstanceNormalization GroupNormalization LayerNormalization
RMSNormalization LRN LpNormalization MeanVarianceNormalization Relu LeakyRelu PRelu Elu Celu Selu Gelu Sigmoid
HardSigmoid HardSwish Swish Mish Softplus Softsign Tanh ThresholdedRelu Shrink Clip Pad Resize Upsample Abs Neg Exp
Log Sqrt Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Erf Floor Ceil Round Reciprocal Sign Add Sub Mul Div
Pow Mod Max Min Sum Mean And Or Xor Not Equal Less LessOrEqual Greater GreaterOrEqual Where BitShift BitwiseAnd
BitwiseOr BitwiseXor BitwiseNot IsNaN IsInf ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2
ReduceSumSquare ReduceLogSum ReduceLogSumExp ArgMax ArgMin CumSum CumProd Shape Size Reshape Flatten Squeeze
Unsqueeze Transpose Concat Identity Constant ConstantOfShape Expand Tile Range EyeLike Gather GatherElements GatherND
Scatter ScatterElements ScatterND OneHot Slice Split Trilu DepthToSpace SpaceToDepth CenterCropPad Col2Im
ReverseSequence MatMul Gemm MatMulInteger QLinearMatMul Einsum Softmax LogSoftmax Hardmax TopK NonMaxSuppression
RoiAlign GridSample AffineGrid QuantizeLinear DequantizeLinear DynamicQuantizeLinear Dropout
LSTM GRU RNN Attention NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss Adagrad Adam Momentum
""".split())


@dataclass
class Case:
    name: str
    model: onnx.ModelProto
    inputs: dict = field(default_factory=dict)   # name -> array
    outputs: dict = field(default_factory=dict)
    rtol: float = 1e-3
    atol: float = 1e-6

    @property
    def counts(self):
        """Whether the case is one of the operators above, and not an expanded function."""
        nodes = self.model.graph.node
        return not re.search(r"_expanded(_|$)", self.name) and any(
            node.op_type in OPERATORS for node in nodes) and all(
            node.op_type in OPERATORS or node.op_type in ("Cast", "CastLike") for node in nodes)


def arrays(ports, values):
    return {port.name: value for port, value in zip(ports, values)}


def node_cases():
    """Of each generated case the first set of data; none of expanded functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases
        found = collect_testcases(None)
    cases = []
    for case in found:
        if re.search(r"_expanded(_|$)", case.name):
            continue
        inputs, outputs = case.data_sets[0]
        graph = case.model.graph
        cases.append(Case(case.name, case.model, arrays(graph.input, inputs), arrays(graph.output, outputs),
                          max(case.rtol, 1e-4), max(case.atol, 1e-6)))
    return cases


def read_tensor(path):
    return numpy_helper.to_array(onnx.load_tensor(path))


def folder_cases(group):
    """Cases that lie in folders: pytorch-converted, pytorch-operator, simple."""
    cases = []
    for folder in sorted((DATA / group).iterdir()):
        if not (folder / "model.onnx").exists():
            continue
        model = onnx.load(folder / "model.onnx")
        data = folder / "test_data_set_0"
        given = {tensor.name for tensor in model.graph.initializer}
        try:
            inputs = [read_tensor(data / f"input_{i}.pb") for i in range(len(list(data.glob("input_*.pb"))))]
            outputs = [read_tensor(data / f"output_{i}.pb") for i in range(len(list(data.glob("output_*.pb"))))]
        except Exception:  # sequences and texts
            inputs, outputs = [None], [None]
        ports = [port for port in model.graph.input if port.name not in given]
        cases.append(Case(f"{group}/{folder.name}", model, arrays(ports, inputs), arrays(model.graph.output, outputs),
                          1e-3, 1e-5))
    return cases


def network_cases():
    """The light networks: their inputs are what the package's runner feeds them."""
    cases = []
    for path in sorted((DATA / "light").glob("*.onnx")):
        model = onnx.load(path)
        given = {tensor.name for tensor in model.graph.initializer}
        port = next(port for port in model.graph.input if port.name not in given)
        shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
        # As onnx.backend.test.runner.Runner.generate_dummy_data has it.
        count = int(np.prod(shape))
        value = (np.arange(count).reshape(shape) / count).astype(np.float32)
        expected = read_tensor(str(path).replace(".onnx", "_output_0.pb"))
        cases.append(Case(f"light/{path.stem}", model, {port.name: value},
                          {model.graph.output[0].name: expected}, 1e-3, 1e-6))
    return cases
