//===- Exec.td - What runs, in order --------------------------------------===//
//
// Straight-line kernel calls on windows of one planned arena. Code emitters
// read this dialect and nothing above it.
//
//===----------------------------------------------------------------------===//

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/cnn/CnnBase.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let cppNamespace = "::halcyon::exec";
  let summary = "Kernel calls on an arena";
  let dependentDialects = ["::halcyon::cnn::CnnDialect"];
}

class Exec_Op<string mnemonic, list<Trait> traits = []>
    : Op<Exec_Dialect, mnemonic, traits>;

def Exec_ProgramOp : Exec_Op<"program", [Symbol, SymbolTable, IsolatedFromAbove,
                                          NoTerminator, SingleBlock]> {
  let summary = "A compiled model: kernels and functions";
  let description = [{
    `arena` is the size of the arena in bytes per image, `arena_chains` what the
    buffers of chains may need behind it, `arena_fixed` what it has besides for
    buffers that don't grow with the batch, `arena_bound` the lower bound of any
    plan for one image, `weights` the size of the prepared weights.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
    DefaultValuedAttr<I64Attr, "0">:$arena,
    DefaultValuedAttr<I64Attr, "0">:$arena_fixed,
    DefaultValuedAttr<I64Attr, "0">:$arena_chains,
    DefaultValuedAttr<I64Attr, "0">:$arena_bound,
    DefaultValuedAttr<I64Attr, "0">:$weights,
    // Each port: {name, type, image, labels, counted, ...}
    ArrayAttr:$inputs, ArrayAttr:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
}

def Exec_KernelOp : Exec_Op<"kernel", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "A fused group, its layouts and its schedule";
  let description = [{
    The printed form of this operation, without its name, is the kernel's
    identity: equal text gives equal object code. Block arguments are the
    kernel's inputs; the values that it yields are its outputs.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Cnn_ScheduleAttr:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $schedule attr-dict-with-keyword $body";
}

def Exec_FunctionOp : Exec_Op<"function", [Symbol, NoTerminator, SingleBlock]> {
  let summary = "A straight line of calls";
  let description = [{
    `prepare` evaluates weights when the program is made; `infer` is the
    network; `image.NAME` fills input NAME from a picture.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

class Exec_ViewOp<string mnemonic, dag args> : Exec_Op<mnemonic, [Pure]> {
  let arguments = args;
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Exec_ArenaOp : Exec_ViewOp<"arena",
    (ins I64Attr:$buffer, I64Attr:$bytes, DefaultValuedAttr<I64Attr, "0">:$offset,
         DefaultValuedAttr<I64Attr, "-1">:$slot,
         OptionalAttr<I64Attr>:$images, OptionalAttr<I64Attr>:$room)> {
  let summary = "A window on a buffer of the arena";
  let description = [{
    `buffer` numbers the buffer, `bytes` is its size per image, `offset` where
    the window begins in it. `slot`, from `exec-plan-memory`, is where the
    buffer lies: at arena + N * slot, or, for a tensor without a batch, slot
    bytes behind all of those. A buffer that holds no more than `images` at a
    time, within a chain, lies `room` bytes behind arena + N * slot.
  }];
}
def Exec_WeightsOp : Exec_ViewOp<"weights", (ins I64Attr:$offset)> {
  let summary = "Prepared weights at a byte offset";
}
def Exec_InputOp : Exec_ViewOp<"input", (ins I64Attr:$index)> {
  let summary = "The caller's tensor of an input";
}
def Exec_OutputOp : Exec_ViewOp<"output",
    (ins I64Attr:$index, DefaultValuedAttr<I64Attr, "0">:$offset)> {
  let summary = "The caller's tensor of an output";
}
def Exec_PictureOp : Exec_ViewOp<"picture", (ins)> {
  let summary = "The decoded picture";
}

def Exec_StoreOp : Exec_Op<"store"> {
  let summary = "Puts a prepared weight at a byte offset of the weights";
  let arguments = (ins AnyRankedTensor:$value, I64Attr:$offset);
  let assemblyFormat = "$value `at` $offset attr-dict `:` type($value)";
}

def Exec_CallOp : Exec_Op<"call", [AttrSizedOperandSegments]> {
  let summary = "A kernel call";
  let description = [{
    `flops` and `bytes` are per image, of the layer's definition. Calls with the
    same number of a `chain`, one after the other, are made in turn for every
    `images` of the batch.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
    Variadic<AnyRankedTensor>:$inputs, Variadic<AnyRankedTensor>:$outputs,
    DefaultValuedAttr<F64Attr, "0">:$flops,
    DefaultValuedAttr<F64Attr, "0">:$bytes,
    OptionalAttr<StrAttr>:$reason, OptionalAttr<I64Attr>:$chain,
    OptionalAttr<I64Attr>:$images);
  let extraClassDeclaration = [{
    /// The kernel that is called.
    KernelOp getKernelOp();
  }];
  let assemblyFormat = [{
    $kernel `(` $inputs `)` `->` `(` $outputs `)` attr-dict `:`
    functional-type($inputs, $outputs)
  }];
}
