//===- CSource.cpp - A kernel as C ----------------------------------------===//
//
// Halide prints C++11; this prints C11 from the same lowered statements. Scalars
// are expressions, vectors are calls of small functions (CHelpers.h). What an
// expression needs before it, such as a `let`, becomes lines before its statement.
//
//===----------------------------------------------------------------------===//

#include "compiler/codegen/CSource.h"
#include "compiler/codegen/CPrinter.h"

#include <utility>

using namespace Halide::Internal;
using Halide::Expr;
using Halide::Type;

namespace halcyon {

static const char kHelper[] = "//@helper ", kFunction[] = "//@function\n";

std::string CKernel::print() const {
  std::string text;
  for (const auto &[name, body] : helpers)
    text += kHelper + name + "\n" + body;
  return text + kFunction + function;
}

CKernel CKernel::parse(const std::string &text) {
  CKernel kernel;
  size_t function = text.find(kFunction), at = 0;
  while (at < function) {
    size_t name = at + sizeof kHelper - 1, line = text.find('\n', at) + 1;
    size_t next = std::min(text.find(kHelper, line), function);
    kernel.helpers.push_back(
        {text.substr(name, line - 1 - name), text.substr(line, next - line)});
    at = next;
  }
  kernel.function = text.substr(function + sizeof kFunction - 1);
  return kernel;
}

/// Of a loop that threads share. Halide would make functions of parallel loops in its
/// own way, and leaves alone what is serial.
static constexpr Halide::DeviceAPI kShared = Halide::DeviceAPI::Host;

namespace {

/// Loops without threads or those that threads share, no prefetches, and nothing that
/// is computed for nothing.
class SerialLoops : public IRMutator {
public:
  explicit SerialLoops(bool threads) : threads(threads) {}

private:
  using IRMutator::visit;
  Stmt visit(const For *op) override {
    const bool isParallel = op->for_type == ForType::Parallel;
    const bool isShared = isParallel && threads;
    // Threads that share a loop don't share those within it.
    threads &= !isShared;
    Stmt body = mutate(op->body);
    threads |= isShared;
    return For::make(op->name, op->min, op->extent, isParallel ? ForType::Serial : op->for_type,
                     op->partition_policy, isShared ? kShared : op->device_api, body);
  }
  Stmt visit(const LetStmt *op) override {
    Stmt body = mutate(op->body);
    return stmt_uses_var(body, op->name) ? LetStmt::make(op->name, mutate(op->value), body)
                                         : body;
  }
  Expr visit(const Let *op) override {
    Expr body = mutate(op->body);
    return expr_uses_var(body, op->name) ? Let::make(op->name, mutate(op->value), body)
                                         : body;
  }
  Stmt visit(const Evaluate *op) override {
    const Call *call = op->value.as<Call>();
    return call && call->is_intrinsic(Call::prefetch) ? Evaluate::make(0) : Stmt(op);
  }

  bool threads;
};

} // namespace

void makeSerial(Halide::Pipeline &pipeline, bool threads) {
  pipeline.add_custom_lowering_pass(new SerialLoops(threads));
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::string CPrinter::fresh(const std::string &hint) {
  std::string name;
  for (char c : hint)
    name += isalnum((unsigned char)c) ? c : '_';
  if (name.empty() || isdigit((unsigned char)name[0]))
    name = "v" + name;
  unsigned count = taken[name]++;
  // Behind a number, the count could be part of it.
  return count || isdigit((unsigned char)name.back()) || name.size() < 2
             ? name + "_" + std::to_string(count)
             : name;
}

std::string CPrinter::id(const std::string &name) const {
  auto found = names.find(name);
  if (found == names.end())
    throw std::runtime_error("a kernel uses '" + name + "', which C has not seen");
  return found->second;
}

std::string CPrinter::hold(const std::string &hint, const Type &type,
                           const std::string &value) {
  std::string name = fresh(hint);
  line("const " + helpers.type(type) + " " + name + " = " + value + ";");
  return name;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Truth values lie in memory as bytes.
static Type inMemory(Type type) {
  return type.is_bool() ? Halide::UInt(8, type.lanes()) : type;
}

std::string CPrinter::address(const std::string &buffer, Type element,
                              const std::string &index) {
  auto found = memories.find(buffer);
  std::string base = found == memories.end() ? id(buffer) : found->second.name;
  std::string pointer = "((" + helpers.type(element) + " *)" + base + ")";
  return pointer + "[" + index + "]";
}

CPrinter::Place CPrinter::placeOf(const Expr &index) {
  const Ramp *ramp = index.as<Ramp>();
  if (!ramp || ramp->base.type().is_vector())
    return {CHelpers::Access::Indexed, "0", ", " + print(index)};
  if (is_const_one(ramp->stride))
    return {CHelpers::Access::Dense, print(ramp->base), ""};
  std::string first = print(ramp->base);
  return {CHelpers::Access::Strided, first, ", " + print(ramp->stride)};
}

void CPrinter::visit(const Load *op) {
  Type type = inMemory(op->type);
  bool masked = !is_const_one(op->predicate);
  if (!type.is_vector()) {
    out = address(op->name, type, print(op->index));
    if (masked)
      out = "(" + print(op->predicate) + " ? " + address(op->name, type, print(op->index)) +
            " : 0)";
    if (op->type.is_bool())
      out = "(" + out + " != 0)";
    return;
  }
  Place place = placeOf(op->index);
  std::string mask = masked ? ", " + print(op->predicate) : "";
  out = helpers.load(type, place.access, masked) + "(&" +
        address(op->name, type.element_of(), place.first) + place.extra + mask + ")";
  if (op->type.is_bool())
    out = helpers.cast(type, op->type) + "(" + out + ")";
}

void CPrinter::visit(const Store *op) {
  Type type = inMemory(op->value.type());
  open("{");
  std::string value = print(op->value.type().is_bool()
                                ? Cast::make(type, op->value)
                                : op->value);
  bool masked = !is_const_one(op->predicate);
  if (!type.is_vector()) {
    std::string index = print(op->index);
    line((masked ? "if (" + print(op->predicate) + ") " : "") +
         address(op->name, type, index) + " = " + value + ";");
  } else {
    Place place = placeOf(op->index);
    std::string mask = masked ? ", " + print(op->predicate) : "";
    line(helpers.store(type, place.access, masked) + "(&" +
         address(op->name, type.element_of(), place.first) + ", " + value + place.extra +
         mask + ");");
  }
  close();
}

void CPrinter::visit(const Allocate *op) {
  Type type = inMemory(op->type.element_of());
  std::string name = fresh(op->name);
  int64_t size = op->constant_allocation_size();
  if (op->new_expr.defined())
    throw std::runtime_error("C has no form of the allocation " + op->name);
  int64_t lanes = op->type.lanes();
  // What is larger would not fit many threads' stacks.
  const int64_t stack = 16 << 10;
  if (size > 0 && (size * lanes + op->padding) * type.bytes() <= stack) {
    line(helpers.type(type) + " " + name + "[" +
         std::to_string(size * lanes + op->padding) + "];");
    memories[op->name] = {name, false};
  } else {
    std::string bytes = "(size_t)" + std::to_string(type.bytes() * lanes);
    for (const Expr &extent : op->extents)
      bytes += " * (size_t)(" + print(extent) + ")";
    bytes += " + " + std::to_string(op->padding * type.bytes() + 1);
    heap.push_back(name);
    line(name + " = malloc(" + bytes + ");");
    line("if (!" + name + ") {");
    line("  status = 1;");
    line("  goto done;");
    line("}");
    memories[op->name] = {name, true};
  }
  printBlock(op->body);
}

void CPrinter::visit(const Free *op) {
  auto found = memories.find(op->name);
  if (found == memories.end() || !found->second.onHeap)
    return;
  line("free(" + found->second.name + ");");
  line(found->second.name + " = NULL;");
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void CPrinter::visit(const LetStmt *op) {
  const bool pointer = op->value.type().is_handle();
  std::string value = print(op->value), name = fresh(op->name);
  line((pointer ? "void *const " : "const " + helpers.type(op->value.type()) + " ") + name +
       " = " + (pointer ? "(void *)(uintptr_t)" + value : value) + ";");
  bind(op->name, name);
  printBlock(op->body);
}

void CPrinter::visit(const For *op) {
  if (op->for_type != ForType::Serial && op->for_type != ForType::Unrolled)
    throw std::runtime_error("C has no form of the loop " + op->name);
  if (op->device_api == kShared)
    return sharedLoop(op);
  open("{");
  std::string variable = fresh(op->name.substr(op->name.rfind('.') + 1));
  std::string first = print(op->min);
  std::string end = hold(variable + "_end", Halide::Int(32), first + " + " + print(op->extent));
  bind(op->name, variable);
  open("for (int32_t " + variable + " = " + first + "; " + variable + " < " + end + "; ++" +
       variable + ") {");
  printBlock(op->body);
  close();
  close();
}

void CPrinter::sharedLoop(const For *op) {
  // The body is a function; what it reads of this one comes in a struct, under the
  // same names.
  const std::string name = kernel + "_loop" + std::to_string(numLoops++);
  const std::string variable = fresh(op->name.substr(op->name.rfind('.') + 1));
  const std::string first = print(op->min), extent = print(op->extent);
  Closure closure;
  closure.include(op->body, op->name);
  std::string fields, values, taken;
  auto pass = [&](const std::string &type, const std::string &c) {
    fields += "  " + type + c + ";\n";
    values += (values.empty() ? "" : ", ") + c;
    taken += "  " + type + "const " + c + " = shared->" + c + ";\n  (void)" + c + ";\n";
  };
  for (const auto &[halide, type] : closure.vars)
    pass(type.is_handle() ? "void *" : helpers.type(type) + " ", id(halide));
  for (const auto &[halide, buffer] : closure.buffers) {
    auto found = memories.find(halide);
    pass("void *", found == memories.end() ? id(halide) : found->second.name);
  }

  std::ostringstream outer = std::exchange(os, std::ostringstream());
  std::vector<std::string> outerHeap = std::exchange(heap, {});
  const unsigned outerIndent = std::exchange(indent, 2);
  canFail = false;
  bind(op->name, variable);
  printBlock(op->body);
  const std::string text = body(os.str());
  os = std::move(outer);
  heap = std::move(outerHeap);
  indent = outerIndent;

  loops += "struct " + name + " {\n" + fields + (fields.empty() ? "  int unused;\n" : "") +
           "};\nstatic int " + name + "(const void *shared_, int32_t " + variable +
           ") {\n  const struct " + name + " *const shared = shared_;\n  (void)shared, (void)" +
           variable + ";\n" + taken + text;
  canFail = true;
  open("{");
  line("const struct " + name + " shared = {" + (values.empty() ? "0" : values) + "};");
  open("if (halcyon_share(team, " + name + ", &shared, " + first + ", " + extent + ")) {");
  line("status = 1;");
  line("goto done;");
  close();
  close();
}

void CPrinter::visit(const Block *op) {
  // What the first declares is not seen by the rest.
  bool scoped = op->first.as<LetStmt>() || op->first.as<Allocate>() ||
                op->first.as<ProducerConsumer>();
  if (scoped)
    open("{");
  printBlock(op->first);
  if (scoped)
    close();
  printBlock(op->rest);
}

void CPrinter::visit(const IfThenElse *op) {
  open("{");
  std::string condition = print(op->condition);
  open("if (" + condition + ") {");
  printBlock(op->then_case);
  if (op->else_case.defined()) {
    close("} else {");
    indent += 2;
    printBlock(op->else_case);
  }
  close();
  close();
}

void CPrinter::visit(const Evaluate *op) {
  const Call *call = op->value.as<Call>();
  if (call && !call->is_pure() && !call->is_intrinsic())
    throw std::runtime_error("C has no form of '" + call->name + "'");
}

std::string CPrinter::body(const std::string &text) const {
  std::string whole;
  for (const std::string &pointer : heap)
    whole += "  void *" + pointer + " = NULL;\n";
  if (heap.empty() && !canFail)
    return whole + text + "  return 0;\n}\n";
  whole += "  int status = 0;\n" + text + "done:\n";
  for (const std::string &pointer : heap)
    whole += "  free(" + pointer + ");\n";
  return whole + "  return status;\n}\n";
}

std::string CPrinter::function(const LoweredFunc &func, bool threads) {
  kernel = func.name;
  for (const char *name : {"shared", "shared_", "status", "team"})
    ++taken[name];
  std::string arguments, unused;
  if (threads) {
    arguments = "halcyon_team *team";
    unused = "  (void)team;\n";
  }
  for (const LoweredArgument &argument : func.args) {
    if (!argument.is_buffer())
      throw std::runtime_error("C has no form of the argument " + argument.name);
    std::string name = fresh(argument.name + "_buffer");
    bind(argument.name + ".buffer", name);
    arguments += (arguments.empty() ? "" : ", ") + ("const halcyon_buffer *" + name);
    unused += "  (void)" + name + ";\n";
  }
  printBlock(func.body);
  return loops + "static int " + func.name + "(" + arguments + ") {\n" + unused +
         body(os.str());
}

CKernel cKernel(const Halide::Module &module, bool threads) {
  if (module.functions().size() != 1)
    throw std::runtime_error("C has no form of a kernel of several functions");
  CPrinter printer;
  CKernel kernel;
  kernel.function = printer.function(module.functions()[0], threads);
  kernel.helpers = printer.helpers.texts;
  return kernel;
}

} // namespace halcyon
