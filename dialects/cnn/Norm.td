//===- Norm.td - Normalisation --------------------------------------------===//

include "CnnBase.td"

def Cnn_BatchNormOp : Cnn_Layer<"batchnorm", ["getFlops"]> {
  let summary = "Batch normalisation with running statistics";
  let description = [{
    y = (x - running_mean) / sqrt(running_var + eps) * weight + bias, per channel.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight,
    AnyRankedTensor:$bias, AnyRankedTensor:$running_mean,
    AnyRankedTensor:$running_var, DefaultValuedAttr<F64Attr, "1e-5">:$eps);
}

def Cnn_SoftmaxOp : Cnn_Layer<"softmax", ["getFlops"]> {
  let summary = "Softmax over the channels";
  let arguments = (ins AnyRankedTensor:$x);
}
