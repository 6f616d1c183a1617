//===- Detect.td - What detectors do with boxes ---------------------------===//

include "CnnBase.td"

def Cnn_SuppressOp : Cnn_Op<"suppress", [Pure,
    DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, ["getFlops"]>]> {
  let summary = "Boxes of which none overlaps a better one much";
  let description = [{
    `boxes` is G x n x 4, groups of boxes from (top, left) to (bottom, right),
    the best first; `candidates` is G x n, not 0 where a box may be chosen. One
    by one, a candidate is chosen unless a chosen one before it overlaps it by
    more than `threshold`: intersection over union. The result, G x n, is 1
    where a box was chosen, else 0.
  }];
  let arguments = (ins AnyRankedTensor:$boxes, AnyRankedTensor:$candidates,
                       AnyRankedTensor:$threshold);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $boxes `,` $candidates `,` $threshold attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
