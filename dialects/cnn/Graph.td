//===- Graph.td - Models, their ports, and fused groups -------------------===//

include "CnnBase.td"

// `cnn.fixed` says that sizes stay as they are; as a number it is the one size
// that those which are open have.
def Cnn_ModelOp : Cnn_Op<"model", [Symbol, IsolatedFromAbove, NoTerminator,
                                   SingleBlock]> {
  let summary = "A network";
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
}

def Cnn_InputOp : Cnn_Op<"input", []> {
  let summary = "An input of the model";
  let description = [{
    `image`, where present, says how a picture becomes this input:
    `resize` (i64), `mean`, `std` (arrays of f64 per channel), `scale` (f64).
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<DictionaryAttr>:$image);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

// An attribute `counted`, a dictionary of `by` and `axis`, says that the data
// decide how many elements there are along an axis: the output named by `by`
// holds their number.
def Cnn_OutputOp : Cnn_Op<"output", []> {
  let summary = "An output of the model";
  let description = [{`labels` holds the text of the label file, a line each.}];
  let arguments = (ins AnyRankedTensor:$value, StrAttr:$name,
                       OptionalAttr<StrAttr>:$labels);
  let assemblyFormat = "$value $name attr-dict `:` type($value)";
}

def Cnn_FusedOp : Cnn_Op<"fused", [Pure, SingleBlock, IsolatedFromAbove]> {
  let summary = "Operations that run as one kernel";
  let description = [{
    The region holds at most one operation with structure, or several after
    `cnn-fuse-pairs`, each reading the one before, and elementwise operations
    before and after them, still reading as the layers that they are.
    `schedule` and `reason` come from `cnn-choose-algorithm`, or `schedule` and
    `layout` from a schedule file: then they stay as they are, and `layout` is
    one that the kernel has, as "nchw16c" or "nchw -> nchw16c".

    ```mlir
    %y = cnn.fused %x, %w, %b : (...) -> ... {
    ^bb0(%a: tensor<...>, %v: tensor<...>, %c: tensor<...>):
      %0 = cnn.conv %a, %v, %c {pad = array<i64: 1, 1, 1, 1>} : ...
      %1 = cnn.map "relu" %0 : ... { ... }
      cnn.yield %1 : tensor<...>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs,
                       OptionalAttr<Cnn_ScheduleAttr>:$schedule,
                       OptionalAttr<StrAttr>:$reason,
                       OptionalAttr<StrAttr>:$layout);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results,
      "::mlir::ValueRange":$inputs, "ScheduleAttr":$schedule,
      "::mlir::StringAttr":$reason), [{
    build($_builder, $_state, results, inputs, schedule, reason, nullptr);
  }]>];
  let assemblyFormat = [{
    $inputs attr-dict `:` functional-type($inputs, results) $body
  }];
  let hasVerifier = 1;
}
