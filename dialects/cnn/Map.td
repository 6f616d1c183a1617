//===- Map.td - Elementwise functions -------------------------------------===//

include "CnnBase.td"

def Cnn_MapOp : Cnn_Op<"map", [Pure, SingleBlock, IsolatedFromAbove,
    DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, ["getFlops", "isAnchor"]>,
    DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface, ["hasAdjoint"]>]> {
  let summary = "A function applied to every element";
  let description = [{
    The region computes one element from one element of every operand, with
    operations of `arith` and `math` and `cnn.derivative`s. Operands broadcast: a size
    of 1 meets any size, and a tensor of rank 1 spreads along the channels.
    `function` is what the language calls it.

    ```mlir
    %y = cnn.map "relu" %x : (tensor<?x8x4x4xf32>) -> tensor<?x8x4x4xf32> {
    ^bb0(%a: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %a, %zero : f32
      cnn.yield %m : f32
    }
    ```
  }];
  let arguments = (ins StrAttr:$function, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs AnyRankedTensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $function $inputs attr-dict `:` functional-type($inputs, results) $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The broadcast shape of tensors, or nothing where they don't meet.
    static std::optional<::llvm::SmallVector<int64_t>>
    broadcast(::mlir::TypeRange types);
  }];
}

def Cnn_YieldOp : Cnn_Op<"yield", [Pure, Terminator]> {
  let summary = "The results of a region";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "$values attr-dict (`:` type($values)^)?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}
