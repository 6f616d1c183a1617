//===- Linear.td - Dense layers -------------------------------------------===//

include "CnnBase.td"

def Cnn_LinearOp : Cnn_Layer<"linear", ["getFlops"],
    [Cnn_AffineOpInterface,
     DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface>],
    ["layerArgument"]> {
  let summary = "y = x * transpose(weight) + bias";
  let description = [{`x` is N x C, `weight` O x C, `bias` O.}];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight,
    Optional<AnyRankedTensor>:$bias);
  let hasVerifier = 1;
}
