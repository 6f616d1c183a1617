//===- Value.cpp - What expressions are while a model unrolls -------------===//

#include "Value.h"
#include "Diagnostics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace halcyon::dsl;
using namespace llvm;

Value Value::sequence(bool isList, std::vector<Value> items) {
  auto sequence = std::make_shared<Sequence>();
  sequence->isList = isList;
  for (const Value &item : items)
    if (item.isSequence())
      sequence->depth = std::max(sequence->depth, item.asSequence().depth + 1);
  sequence->items = std::move(items);
  return {ValueKind::Sequence, std::move(sequence)};
}

const std::vector<Value> &Value::items() const { return asSequence().items; }

bool Value::hasPoison() const {
  return isPoison() ||
         (isSequence() && llvm::any_of(items(), [](const Value &item) {
            return item.hasPoison();
          }));
}

std::string halcyon::dsl::kindText(const Value &value) {
  switch (value.kind()) {
  case ValueKind::Poison:
    return "a mistake";
  case ValueKind::Int:
  case ValueKind::Float:
    return "the number " + valueText(value);
  case ValueKind::Bool:
    return valueText(value);
  case ValueKind::String:
    return "the text \"" + printable(value.asText()) + "\"";
  case ValueKind::Word:
    return "the word '" + printable(value.asText()) + "'";
  case ValueKind::Tensor:
    return "a tensor";
  case ValueKind::Scalar:
    return value.asMlir().getType().isInteger(1) ? "a condition"
                                                 : "an element of a tensor";
  case ValueKind::Sequence: {
    bool isList = value.asSequence().isList;
    return (isList ? "a list of " : "a tuple of ") +
           std::to_string(value.items().size());
  }
  case ValueKind::Callable: {
    const Callable &callable = value.asCallable();
    StringRef what = "a function";
    if (callable.kind == Callable::Layer)
      what = "a layer";
    else if (callable.kind == Callable::Defined)
      what = callable.definition->kind == Definition::Op      ? "an op"
             : callable.definition->kind == Definition::Model ? "a model"
                                                              : "a block";
    return (what + " ('" + callable.name + "')").str();
  }
  case ValueKind::Instance:
    return ("an instance of '" + value.asInstance().callee.name + "'").str();
  }
  llvm_unreachable("a kind");
}

std::string halcyon::dsl::valueText(const Value &value) {
  switch (value.kind()) {
  case ValueKind::Int:
    return std::to_string(value.asInt());
  case ValueKind::Float: {
    std::string text;
    raw_string_ostream(text) << format("%.6g", value.asReal());
    return text;
  }
  case ValueKind::Bool:
    return value.asBool() ? "true" : "false";
  case ValueKind::String:
  case ValueKind::Word:
    return value.asText();
  case ValueKind::Sequence: {
    bool isList = value.asSequence().isList;
    std::string text(1, isList ? '[' : '(');
    for (auto [i, item] : llvm::enumerate(value.items())) {
      if (text.size() > 200)
        return text + ", ..." + (isList ? "]" : ")");
      text += (i ? ", " : "") + valueText(item);
    }
    return text + (isList ? "]" : ")");
  }
  default:
    return kindText(value);
  }
}
