//===- Detect.td - What detectors do with boxes ---------------------------===//

include "CnnBase.td"

def Cnn_SuppressOp : Cnn_Layer<"suppress", ["getFlops"],
    [DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface, ["hasAdjoint"]>]> {
  let summary = "Boxes of which none overlaps a better one much";
  let description = [{
    `boxes` is G x n x 4, groups of boxes, each two opposite corners, the lower
    numbers first, and the best box first; `candidates` is G x n, not 0 where a
    box may be chosen; `threshold` is one number. One by one, a candidate is
    chosen unless a chosen one before it overlaps it by more than `threshold`:
    intersection over union. The result, G x n, is 1 where a box was chosen,
    else 0: a decision, which has no gradient.
  }];
  let arguments = (ins AnyRankedTensor:$boxes, AnyRankedTensor:$candidates,
                       AnyRankedTensor:$threshold);
  let hasVerifier = 1;
}

def Cnn_LargestOp : Cnn_Layer<"largest", ["getFlops"],
    [DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface, ["hasAdjoint"]>]> {
  let summary = "Which elements of a row are its largest";
  let description = [{
    `x` is G x n, `count` is G x 1: of each row as many elements as `count` says,
    rounded up, are chosen, the largest, the first of equals first. The result,
    G x n, is 1 where an element was chosen, else 0: a decision, which has no
    gradient. It takes a pass over the row for every bit of an element.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$count);
  let hasVerifier = 1;
}
