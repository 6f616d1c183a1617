//===- Form.cpp - halcyon emit --for=onnx ---------------------------------===//

#include "compiler/emit/Form.h"
#include "compiler/emit/onnx/Export.h"

namespace halcyon {

namespace {

class OnnxFile : public Form {
public:
  OnnxFile() : Form("onnx", "an ONNX file") {}
  bool isFile() const override { return true; }
  bool readsGraph() const override { return true; }
  bool write(Emission &emission) const override {
    return emitOnnx(emission.module, emission.weights, emission.path,
                    emission.errors);
  }
};

} // namespace

static RegisterForm<OnnxFile> onnxFile;

} // namespace halcyon
