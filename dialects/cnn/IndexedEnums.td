//===- IndexedEnums.td - Enumerations of index notation -------------------===//

#ifndef HALCYON_CNN_INDEXED_ENUMS
#define HALCYON_CNN_INDEXED_ENUMS

include "mlir/IR/EnumAttr.td"

def Cnn_ReduceKind : I32EnumAttr<"ReduceKind", "how values become one", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"mean", 1>,
    I32EnumAttrCase<"product", 2>, I32EnumAttrCase<"max", 3>,
    I32EnumAttrCase<"min", 4>]> {
  let cppNamespace = "::halcyon::cnn";
}

#endif // HALCYON_CNN_INDEXED_ENUMS
