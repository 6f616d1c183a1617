//===- DeviceViews.cpp - Where a kernel's tensors lie on a device ---------===//

#include "compiler/codegen/DeviceViews.h"

#include "Halide.h"

#include <set>

using namespace Halide::Internal;
using Halide::Expr;

namespace halcyon {

namespace {

class AddOffsets : public IRMutator {
public:
  AddOffsets(const std::vector<std::string> &names, int unit)
      : names(names.begin(), names.end()), unit(unit) {}

  Stmt mutate(const Stmt &s) override {
    if (depth++)
      return leave(IRMutator::mutate(s));
    Stmt whole = IRMutator::mutate(s);
    for (const std::string &name : used) {
      Expr buffer = Variable::make(Halide::type_of<halide_buffer_t *>(), name + ".buffer");
      Expr host = Call::make(Halide::Handle(), Call::buffer_get_host, {buffer}, Call::Extern);
      whole = LetStmt::make(
          offsetOf(name),
          Halide::cast<int>(Halide::reinterpret(Halide::UInt(64), host)), whole);
    }
    return leave(whole);
  }
  using IRMutator::mutate;

private:
  using IRMutator::visit;
  Stmt leave(Stmt s) {
    --depth;
    return s;
  }
  static std::string offsetOf(const std::string &name) { return name + ".offset"; }

  Expr moved(const std::string &name, Halide::Type type, const Expr &index) {
    used.insert(name);
    // As a multiple: what is known of the index's alignment still is.
    Expr offset = Variable::make(Halide::Int(32), offsetOf(name)) * (unit / type.bytes());
    if (const Ramp *ramp = index.as<Ramp>(); ramp && ramp->base.type().is_scalar())
      return Ramp::make(ramp->base + offset, ramp->stride, ramp->lanes);
    return index.type().is_vector() ? index + Broadcast::make(offset, index.type().lanes())
                                    : index + offset;
  }
  Expr visit(const Load *op) override {
    Expr index = mutate(op->index), predicate = mutate(op->predicate);
    if (names.count(op->name))
      index = moved(op->name, op->type, index);
    return Load::make(op->type, op->name, index, op->image, op->param, predicate, op->alignment);
  }
  Stmt visit(const Store *op) override {
    Expr index = mutate(op->index), predicate = mutate(op->predicate), value = mutate(op->value);
    if (names.count(op->name))
      index = moved(op->name, op->value.type(), index);
    return Store::make(op->name, value, index, op->param, predicate, op->alignment);
  }

  std::set<std::string> names, used;
  int unit, depth = 0;
};

} // namespace

void addViewOffsets(Halide::Pipeline &pipeline, std::vector<std::string> names, int unit) {
  pipeline.add_custom_lowering_pass(new AddOffsets(names, unit));
}

} // namespace halcyon
