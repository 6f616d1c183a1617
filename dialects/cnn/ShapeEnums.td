//===- ShapeEnums.td - Enumerations of the shape family -------------------===//

#ifndef HALCYON_CNN_SHAPE_ENUMS
#define HALCYON_CNN_SHAPE_ENUMS

include "mlir/IR/EnumAttr.td"

def Cnn_Dropped : I32EnumAttr<"Dropped", "what is dropped together", [
    I32EnumAttrCase<"elements", 0>, I32EnumAttrCase<"channels", 1>,
    I32EnumAttrCase<"images", 2>]> {
  let cppNamespace = "::halcyon::cnn";
}

def Cnn_Resample : I32EnumAttr<"Resample", "how upsampling fills in", [
    I32EnumAttrCase<"nearest", 0>, I32EnumAttrCase<"bilinear", 1>]> {
  let cppNamespace = "::halcyon::cnn";
}

#endif // HALCYON_CNN_SHAPE_ENUMS
