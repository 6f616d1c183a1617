//===- Train.td - What training adds to a model ---------------------------===//
//
// A model that is trained has the attribute `cnn.train`, a dictionary that says
// how, and holds, beside its layers, one `cnn.rule`.
//
//===----------------------------------------------------------------------===//

include "CnnBase.td"

def Cnn_RuleOp : Cnn_Op<"rule", [SingleBlock, IsolatedFromAbove]> {
  let summary = "How an optimizer changes a weight";
  let description = [{
    The region computes one element of a weight's new value, and of its slots,
    from one element of each. Slots are tensors of the weight's shape that the
    optimizer keeps beside it; they begin as zeros.

    `operands` names the region's arguments: `weight`, `gradient`, the slots,
    and of the scalars `rate` (of learning), `decay` (of this weight) and `step`
    (counted from 1) those that the rule needs. `results` names what it yields:
    `weight`, then every slot, in the operands' order.

    ```mlir
    cnn.rule "sgd" ["weight", "gradient", "velocity", "rate"] -> ["weight", "velocity"] {
    ^bb0(%w: f32, %g: f32, %v: f32, %rate: f32):
      %momentum = arith.constant 9.0e-1 : f32
      %0 = arith.mulf %momentum, %v : f32
      %1 = arith.addf %0, %g : f32
      %2 = arith.mulf %rate, %1 : f32
      %3 = arith.subf %w, %2 : f32
      cnn.yield %3, %1 : f32, f32
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, StrArrayAttr:$operandNames,
                       StrArrayAttr:$resultNames);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name $operandNames `->` $resultNames attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The names of the slots, in order.
    ::llvm::SmallVector<::llvm::StringRef> getSlots();
    /// Whether `name` is one of the operands that are no slots.
    static bool isGiven(::llvm::StringRef name);
  }];
}
