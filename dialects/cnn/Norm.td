//===- Norm.td - Normalisation --------------------------------------------===//

include "CnnBase.td"

def Cnn_BatchNormOp : Cnn_Layer<"batchnorm", ["getFlops"]> {
  let summary = "Batch normalisation with running statistics";
  let description = [{
    y = (x - running_mean) / sqrt(running_var + eps) * weight + bias, per channel.
    In training the statistics are the batch's, and the running ones come nearer
    to them by the part `momentum`.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight,
    AnyRankedTensor:$bias, AnyRankedTensor:$running_mean,
    AnyRankedTensor:$running_var, DefaultValuedAttr<F64Attr, "1e-5">:$eps,
    DefaultValuedAttr<F64Attr, "0.1">:$momentum);
}

def Cnn_SoftmaxOp : Cnn_Layer<"softmax", ["getFlops"]> {
  let summary = "Softmax over the channels";
  let arguments = (ins AnyRankedTensor:$x);
}
