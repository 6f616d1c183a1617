//===- Indexed.td - Operations written in index notation ------------------===//

include "CnnBase.td"
include "IndexedEnums.td"

def Cnn_IndexedOp : Cnn_Op<"indexed", [Pure, SingleBlock, IsolatedFromAbove,
    DeclareOpInterfaceMethods<Cnn_ComputeOpInterface,
                              ["getFlops", "getWindow", "takesPrologue",
                               "isPerImage"]>]> {
  let summary = "A tensor, element by element, from elements of others";
  let description = [{
    The region computes the element of the result whose coordinates are its
    arguments, with operations of `arith` and `math` on scalars, `cnn.read` and
    `cnn.reduce`. `function` is what the language calls it. Sizes are those of
    the types; the one that is open is the batch, the same everywhere.

    ```mlir
    %y = cnn.indexed "contrast" %x : (tensor<?x8x4x4xf32>) -> tensor<?x8x4x4xf32> {
    ^bb0(%n: index, %c: index, %i: index, %j: index):
      %a = cnn.read 0[%n, %c, %i, %j] : f32
      %m = cnn.reduce mean from [-1] size [3] : f32 {
      ^bb0(%u: index):
        %k = arith.addi %j, %u : index
        %b = cnn.read 0[%n, %c, %i, %k] edge replicate : f32
        cnn.yield %b : f32
      }
      %d = arith.subf %a, %m : f32
      cnn.yield %d : f32
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
}

def Cnn_ReadOp : Cnn_Op<"read", [Pure, ParentOneOf<["IndexedOp", "ReduceOp"]>]> {
  let summary = "An element of an operand of the indexed operation around it";
  let description = [{
    `operand` is the operand's number. Outside of the tensor `edge` says what
    is read: zero, or an element inside. An element stored in bf16 is read as
    the f32 that it stands for.
  }];
  let arguments = (ins I64Attr:$operand, Variadic<Index>:$at,
                       DefaultValuedAttr<Cnn_PadMode, "PadMode::zero">:$edge);
  let results = (outs AnyType:$result);
  let assemblyFormat =
    "$operand `[` $at `]` (`edge` $edge^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    IndexedOp getIndexed();
    ::mlir::Value getTensor();
    ::mlir::RankedTensorType getTensorType();
  }];
}

def Cnn_ReduceOp : Cnn_Op<"reduce", [Pure, SingleBlock,
    ParentOneOf<["IndexedOp", "ReduceOp"]>]> {
  let summary = "A sum, mean, product, maximum or minimum over indices";
  let description = [{
    The region's arguments run through `size` values each, beginning at `from`;
    a size of -1 is the batch. A mean divides by the number of all of them.
  }];
  let arguments = (ins Cnn_ReduceKind:$kind, DenseI64ArrayAttr:$from,
                       DenseI64ArrayAttr:$size);
  let results = (outs AnyType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $kind `from` $from `size` $size attr-dict `:` type($result) $body
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// The product of the sizes; -1 where the batch is among them.
    int64_t getCount();
    ::mlir::Value getYielded() {
      return getBody().front().getTerminator()->getOperand(0);
    }
  }];
}
