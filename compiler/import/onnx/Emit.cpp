//===- Emit.cpp - Formulas as regions of the cnn dialect ------------------===//

#include "compiler/import/onnx/Graph.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using llvm::StringRef;

namespace halcyon::onnx {

namespace {

/// Turns expressions into operations on scalars. What several expressions share
/// is computed once, in the outermost region in which it is known.
class Emitter {
public:
  Emitter(OpBuilder &builder, Location loc, ArrayRef<DataType> types)
      : builder(builder), loc(loc), types(types) {}
  virtual ~Emitter() = default;

  mlir::Value emit(const Expr &expr);
  /// The value as an element of a tensor.
  mlir::Value stored(const Expr &expr, DataType type, Type element);

protected:
  virtual mlir::Value read(const ExprNode &node) = 0;
  virtual mlir::Value coordinate(const ExprNode &node) = 0;
  virtual mlir::Value reduction(const ExprNode &node) = 0;
  /// What an element that was read is to be computed in.
  mlir::Value widened(mlir::Value element, DataType type);

  Type typeOf(Kind kind);
  mlir::Value convert(mlir::Value x, Kind from, Kind to);
  mlir::Value constant(const Scalar &value);
  mlir::Value unary(const ExprNode &node, mlir::Value x);
  mlir::Value binary(const ExprNode &node, mlir::Value x, mlir::Value y);

  OpBuilder &builder;
  Location loc;
  ArrayRef<DataType> types; ///< of the operands
  /// Values of the regions around, the innermost last.
  using Scope = llvm::DenseMap<const ExprNode *, mlir::Value>;
  SmallVector<Scope, 2> scopes{Scope()};

private:
  mlir::Value compute(const ExprNode &node);
};

} // namespace

Type Emitter::typeOf(Kind kind) {
  switch (kind) {
  case Kind::Bool:
    return builder.getI1Type();
  case Kind::Index:
    return builder.getIndexType();
  case Kind::Int:
  case Kind::U64:
    return builder.getI64Type();
  case Kind::F32:
    return builder.getF32Type();
  case Kind::F64:
    return builder.getF64Type();
  }
  return nullptr;
}

mlir::Value Emitter::constant(const Scalar &value) {
  Type type = typeOf(value.kind);
  if (isFloat(value.kind))
    return arith::ConstantOp::create(builder, loc,
                                     builder.getFloatAttr(type, value.f));
  return arith::ConstantOp::create(builder, loc,
                                   builder.getIntegerAttr(type, value.i));
}

mlir::Value Emitter::convert(mlir::Value x, Kind from, Kind to) {
  if (from == to)
    return x;
  bool wide = from == Kind::F64, real = isFloat(from);
  if (to == Kind::Bool) {
    mlir::Value zero = constant(Scalar::integer(0).as(from));
    if (real)
      return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE, x,
                                   zero);
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, x,
                                 zero);
  }
  Type type = typeOf(to);
  if (real && isFloat(to)) {
    if (wide)
      return arith::TruncFOp::create(builder, loc, type, x);
    return arith::ExtFOp::create(builder, loc, type, x);
  }
  if (to == Kind::Index) {
    x = convert(x, from, Kind::Int);
    return arith::IndexCastOp::create(builder, loc, type, x);
  }
  if (from == Kind::Index) {
    mlir::Value whole =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), x);
    return convert(whole, Kind::Int, to);
  }
  if (from == Kind::Bool) {
    if (!isFloat(to))
      return arith::ExtUIOp::create(builder, loc, type, x);
    return arith::UIToFPOp::create(builder, loc, type, x);
  }
  if (real && to == Kind::U64)
    return arith::FPToUIOp::create(builder, loc, type, x);
  if (real)
    return arith::FPToSIOp::create(builder, loc, type, x);
  if (isFloat(to) && from == Kind::U64)
    return arith::UIToFPOp::create(builder, loc, type, x);
  if (isFloat(to))
    return arith::SIToFPOp::create(builder, loc, type, x);
  return x; // Int and U64 are the same bits
}

static bool isUnsigned(DataType type) {
  return type == DataType::U8 || type == DataType::U16 ||
         type == DataType::U32 || type == DataType::U4 || type == DataType::U2;
}

mlir::Value Emitter::widened(mlir::Value element, DataType type) {
  if (element.getType().isF16())
    return arith::ExtFOp::create(builder, loc, builder.getF32Type(), element);
  if (!isa<IntegerType>(element.getType()) || element.getType().isInteger(1) ||
      element.getType().isInteger(64))
    return element;
  Type wide = builder.getI64Type();
  if (isUnsigned(type))
    return arith::ExtUIOp::create(builder, loc, wide, element);
  return arith::ExtSIOp::create(builder, loc, wide, element);
}

mlir::Value Emitter::stored(const Expr &expr, DataType type, Type element) {
  mlir::Value x = convert(emit(expr), expr.kind(), kindOf(type));
  if (element.isF16())
    return arith::TruncFOp::create(builder, loc, element, x);
  // Elements of less than a byte lie in one each.
  if (bitsOf(type) < 8 && type != DataType::F4E2M1) {
    mlir::Value by = constant(Scalar::integer(64 - bitsOf(type)));
    x = arith::ShLIOp::create(builder, loc, x, by);
    if (isUnsigned(type))
      x = arith::ShRUIOp::create(builder, loc, x, by);
    else
      x = arith::ShRSIOp::create(builder, loc, x, by);
  }
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer || integer.getWidth() == 1 || integer.getWidth() == 64)
    return x;
  return arith::TruncIOp::create(
      builder, loc, builder.getIntegerType(integer.getWidth()), x);
}

mlir::Value Emitter::unary(const ExprNode &node, mlir::Value x) {
  bool real = isFloat(node.kind);
  switch (node.op) {
  case ExprOp::Neg:
    if (real)
      return arith::NegFOp::create(builder, loc, x);
    return arith::SubIOp::create(
        builder, loc, constant(Scalar::integer(0, node.kind)), x);
  case ExprOp::Abs: {
    if (real)
      return math::AbsFOp::create(builder, loc, x);
    if (node.kind == Kind::U64)
      return x;
    mlir::Value zero = constant(Scalar::integer(0, node.kind));
    mlir::Value less = arith::SubIOp::create(builder, loc, zero, x);
    return arith::MaxSIOp::create(builder, loc, x, less);
  }
  case ExprOp::Exp:
    return math::ExpOp::create(builder, loc, x);
  case ExprOp::Log:
    return math::LogOp::create(builder, loc, x);
  case ExprOp::Sqrt:
    return math::SqrtOp::create(builder, loc, x);
  case ExprOp::Sin:
    return math::SinOp::create(builder, loc, x);
  case ExprOp::Cos:
    return math::CosOp::create(builder, loc, x);
  case ExprOp::Tan:
    return math::TanOp::create(builder, loc, x);
  case ExprOp::Asin:
    return math::AsinOp::create(builder, loc, x);
  case ExprOp::Acos:
    return math::AcosOp::create(builder, loc, x);
  case ExprOp::Atan:
    return math::AtanOp::create(builder, loc, x);
  case ExprOp::Sinh:
    return math::SinhOp::create(builder, loc, x);
  case ExprOp::Cosh:
    return math::CoshOp::create(builder, loc, x);
  case ExprOp::Tanh:
    return math::TanhOp::create(builder, loc, x);
  case ExprOp::Asinh:
    return math::AsinhOp::create(builder, loc, x);
  case ExprOp::Acosh:
    return math::AcoshOp::create(builder, loc, x);
  case ExprOp::Atanh:
    return math::AtanhOp::create(builder, loc, x);
  case ExprOp::Erf:
    return math::ErfOp::create(builder, loc, x);
  case ExprOp::Floor:
    return math::FloorOp::create(builder, loc, x);
  case ExprOp::Ceil:
    return math::CeilOp::create(builder, loc, x);
  case ExprOp::Round:
    return math::RoundEvenOp::create(builder, loc, x);
  case ExprOp::Not: {
    int64_t ones = node.kind == Kind::Bool ? 1 : -1;
    return arith::XOrIOp::create(builder, loc, x,
                                 constant(Scalar::integer(ones, node.kind)));
  }
  case ExprOp::IsNan:
  case ExprOp::IsInf: {
    // By the bits, as compilers may take it that there are none: those of what
    // is no number are larger than those of infinity, but for the sign.
    bool wide = node.operands[0].kind() == Kind::F64;
    Type type = builder.getIntegerType(wide ? 64 : 32);
    auto number = [&](int64_t value) -> mlir::Value {
      return arith::ConstantOp::create(builder, loc,
                                       builder.getIntegerAttr(type, value));
    };
    mlir::Value bits = arith::BitcastOp::create(builder, loc, type, x);
    bits = arith::AndIOp::create(builder, loc, bits,
                                 number(wide ? INT64_MAX : INT32_MAX));
    return arith::CmpIOp::create(
        builder, loc,
        node.op == ExprOp::IsNan ? arith::CmpIPredicate::sgt
                                 : arith::CmpIPredicate::eq,
        bits, number(wide ? 0x7ff0000000000000 : 0x7f800000));
  }
  case ExprOp::BitsOf: {
    mlir::Value bits =
        arith::BitcastOp::create(builder, loc, builder.getI32Type(), x);
    return arith::ExtSIOp::create(builder, loc, builder.getI64Type(), bits);
  }
  default: {
    mlir::Value bits =
        arith::TruncIOp::create(builder, loc, builder.getI32Type(), x);
    return arith::BitcastOp::create(builder, loc, builder.getF32Type(), bits);
  }
  }
}

mlir::Value Emitter::binary(const ExprNode &node, mlir::Value x,
                            mlir::Value y) {
  Kind kind = node.operands[0].kind();
  bool real = isFloat(kind), natural = kind == Kind::U64 || kind == Kind::Bool;
  auto make = [&](auto realOp, auto wholeOp) -> mlir::Value {
    if (real)
      return decltype(realOp)::create(builder, loc, x, y);
    return decltype(wholeOp)::create(builder, loc, x, y);
  };
  auto whole = [&](auto signedOp, auto naturalOp) -> mlir::Value {
    if (natural)
      return decltype(naturalOp)::create(builder, loc, x, y);
    return decltype(signedOp)::create(builder, loc, x, y);
  };
  using Real = arith::CmpFPredicate;
  using Whole = arith::CmpIPredicate;
  auto compare = [&](Real r, Whole s, Whole u) -> mlir::Value {
    if (real)
      return arith::CmpFOp::create(builder, loc, r, x, y);
    return arith::CmpIOp::create(builder, loc, natural ? u : s, x, y);
  };
  switch (node.op) {
  case ExprOp::Add:
    return make(arith::AddFOp(), arith::AddIOp());
  case ExprOp::Sub:
    return make(arith::SubFOp(), arith::SubIOp());
  case ExprOp::Mul:
    return make(arith::MulFOp(), arith::MulIOp());
  case ExprOp::Div:
    return real ? make(arith::DivFOp(), arith::DivSIOp())
                : whole(arith::DivSIOp(), arith::DivUIOp());
  case ExprOp::FloorDiv:
    return whole(arith::FloorDivSIOp(), arith::DivUIOp());
  case ExprOp::Rem:
    return real ? make(arith::RemFOp(), arith::RemSIOp())
                : whole(arith::RemSIOp(), arith::RemUIOp());
  case ExprOp::Pow:
    return make(math::PowFOp(), math::IPowIOp());
  case ExprOp::Min:
    return real ? make(arith::MinimumFOp(), arith::MinSIOp())
                : whole(arith::MinSIOp(), arith::MinUIOp());
  case ExprOp::Max:
    return real ? make(arith::MaximumFOp(), arith::MaxSIOp())
                : whole(arith::MaxSIOp(), arith::MaxUIOp());
  case ExprOp::And:
    return arith::AndIOp::create(builder, loc, x, y);
  case ExprOp::Or:
    return arith::OrIOp::create(builder, loc, x, y);
  case ExprOp::Xor:
    return arith::XOrIOp::create(builder, loc, x, y);
  case ExprOp::Shl:
    return arith::ShLIOp::create(builder, loc, x, y);
  case ExprOp::Shr:
    return whole(arith::ShRSIOp(), arith::ShRUIOp());
  case ExprOp::Eq:
    return compare(Real::OEQ, Whole::eq, Whole::eq);
  case ExprOp::Ne:
    return compare(Real::UNE, Whole::ne, Whole::ne);
  case ExprOp::Lt:
    return compare(Real::OLT, Whole::slt, Whole::ult);
  default:
    return compare(Real::OLE, Whole::sle, Whole::ule);
  }
}

mlir::Value Emitter::compute(const ExprNode &node) {
  switch (node.op) {
  case ExprOp::Const:
    return constant(node.value);
  case ExprOp::Coord:
  case ExprOp::Var:
    return coordinate(node);
  case ExprOp::Read:
    return read(node);
  case ExprOp::Convert:
    return convert(emit(node.operands[0]), node.operands[0].kind(), node.kind);
  case ExprOp::Select: {
    mlir::Value condition = emit(node.operands[0]);
    mlir::Value yes = emit(node.operands[1]), no = emit(node.operands[2]);
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  case ExprOp::Sum:
  case ExprOp::Product:
  case ExprOp::Maximum:
  case ExprOp::Minimum:
    return reduction(node);
  default:
    break;
  }
  mlir::Value x = emit(node.operands[0]);
  if (node.operands.size() == 1)
    return unary(node, x);
  mlir::Value y = emit(node.operands[1]);
  return binary(node, x, y);
}

mlir::Value Emitter::emit(const Expr &expr) {
  for (auto &scope : llvm::reverse(scopes))
    if (mlir::Value done = scope.lookup(expr.get()))
      return done;
  mlir::Value value = compute(*expr.get());
  scopes.back()[expr.get()] = value;
  return value;
}

//===----------------------------------------------------------------------===//
// cnn.map
//===----------------------------------------------------------------------===//

/// What an element of a tensor is while it is computed with.
static Type scalarOf(Type element) {
  if (element.isBF16())
    return Float32Type::get(element.getContext());
  if (auto integer = dyn_cast<IntegerType>(element))
    return IntegerType::get(element.getContext(), integer.getWidth());
  return element;
}

namespace {
class MapEmitter : public Emitter {
public:
  MapEmitter(OpBuilder &builder, Location loc, ArrayRef<DataType> types,
             Block *block)
      : Emitter(builder, loc, types), block(block) {}

protected:
  mlir::Value read(const ExprNode &node) override {
    return widened(block->getArgument(node.index), types[node.index]);
  }
  mlir::Value coordinate(const ExprNode &) override {
    llvm_unreachable("a map has no coordinates");
  }
  mlir::Value reduction(const ExprNode &) override {
    llvm_unreachable("a map has no reductions");
  }

private:
  Block *block;
};
} // namespace

mlir::Value emitMap(OpBuilder &builder, Location loc, StringRef name,
                    RankedTensorType type, DataType elements,
                    const Expr &formula, ArrayRef<mlir::Value> operands,
                    ArrayRef<DataType> types) {
  auto map = cnn::MapOp::create(builder, loc, type, name, operands);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&map.getBody());
  for (mlir::Value operand : operands)
    block->addArgument(
        scalarOf(cast<RankedTensorType>(operand.getType()).getElementType()),
        loc);
  MapEmitter emitter(builder, loc, types, block);
  mlir::Value result = emitter.stored(formula, elements, type.getElementType());
  cnn::YieldOp::create(builder, loc, result);
  return map.getResult();
}

//===----------------------------------------------------------------------===//
// cnn.indexed
//===----------------------------------------------------------------------===//

namespace {
class IndexedEmitter : public Emitter {
public:
  IndexedEmitter(OpBuilder &builder, Location loc, ArrayRef<DataType> types,
                 cnn::IndexedOp op, Block *block)
      : Emitter(builder, loc, types), op(op), block(block) {}

protected:
  mlir::Value read(const ExprNode &node) override {
    SmallVector<mlir::Value> at;
    for (const Expr &index : node.operands)
      at.push_back(emit(index));
    auto type = cast<RankedTensorType>(op.getInputs()[node.index].getType());
    mlir::Value element = cnn::ReadOp::create(
        builder, loc, scalarOf(type.getElementType()), node.index, at,
        cnn::PadMode::zero);
    return widened(element, types[node.index]);
  }
  mlir::Value coordinate(const ExprNode &node) override {
    if (node.op == ExprOp::Coord)
      return block->getArgument(node.index);
    return vars.lookup(node.index);
  }
  mlir::Value reduction(const ExprNode &node) override;

private:
  cnn::IndexedOp op;
  Block *block;
  llvm::DenseMap<unsigned, mlir::Value> vars;
};
} // namespace

static cnn::ReduceKind kindOfReduction(ExprOp op) {
  switch (op) {
  case ExprOp::Product:
    return cnn::ReduceKind::product;
  case ExprOp::Maximum:
    return cnn::ReduceKind::max;
  case ExprOp::Minimum:
    return cnn::ReduceKind::min;
  default:
    return cnn::ReduceKind::sum;
  }
}

/// Variables of size 1 are written as numbers, so that the others are left.
mlir::Value IndexedEmitter::reduction(const ExprNode &node) {
  SmallVector<int64_t> from, size;
  SmallVector<unsigned> numbers;
  for (auto [var, extent] : llvm::zip(node.vars, node.extents))
    if (extent != 1) {
      from.push_back(0);
      size.push_back(extent);
      numbers.push_back(var);
    }
  auto reduce = cnn::ReduceOp::create(builder, loc, typeOf(node.kind),
                                      kindOfReduction(node.op), from, size);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&reduce.getBody());
  for (unsigned var : numbers)
    vars[var] = body->addArgument(builder.getIndexType(), loc);
  scopes.emplace_back();
  mlir::Value element = emit(node.operands[0]);
  cnn::YieldOp::create(builder, loc, element);
  scopes.pop_back();
  return reduce.getResult();
}

mlir::Value emitIndexed(OpBuilder &builder, Location loc, StringRef name,
                        RankedTensorType type, DataType elements,
                        const Expr &formula, ArrayRef<mlir::Value> operands,
                        ArrayRef<DataType> types) {
  auto indexed = cnn::IndexedOp::create(builder, loc, type, name, operands);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&indexed.getBody());
  for (int64_t d = 0; d < type.getRank(); ++d)
    block->addArgument(builder.getIndexType(), loc);
  IndexedEmitter emitter(builder, loc, types, indexed, block);
  mlir::Value result = emitter.stored(formula, elements, type.getElementType());
  cnn::YieldOp::create(builder, loc, result);
  return indexed.getResult();
}

} // namespace halcyon::onnx
