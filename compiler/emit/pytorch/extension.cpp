// The model @MODEL@ as a function of torch's autograd: what torch calls, on programs that
// Halcyon compiled, a forward and a backward one for training and for inference.

#include "@NAME@.h"

#include <ATen/Parallel.h>
#include <torch/extension.h>

#include <cstring>
#include <map>
#include <mutex>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What a tensor of a program is to its caller.
enum class Role { Variable, Output, Cotangent, Gradient, Saved, Seed, Step };
struct Place {
  Role role;
  size_t index;
};

using Names = std::map<std::string, size_t>;

/// A program and its sessions that no thread is in, as many as threads ever met.
class Program {
public:
  Program(const halcyon_program &table) : table(table) {}

  std::string name(const halcyon_port &port) const {
    return table.strings + port.name;
  }
  /// Says where each port's tensor is found among the caller's.
  void place(const Names &variables, const Names &results);

  const halcyon_program &table;
  std::vector<Place> inputs, outputs;

private:
  friend class Session;
  std::mutex mutex;
  std::vector<halcyon_session *> idle;
};

/// One of a program's sessions, for the calling thread.
class Session {
public:
  explicit Session(Program &program);
  ~Session() {
    std::lock_guard lock(program.mutex);
    program.idle.push_back(session);
  }
  operator halcyon_session *() const { return session; }
  void check(halcyon_status status) const {
    TORCH_CHECK(!status, @NAME@_session_error(session));
  }

private:
  Program &program;
  halcyon_session *session = nullptr;
};

Session::Session(Program &program) : program(program) {
  {
    std::lock_guard lock(program.mutex);
    if (!program.idle.empty()) {
      session = program.idle.back();
      program.idle.pop_back();
      return;
    }
  }
  halcyon_options options = {};
  halcyon_error error = {};
  options.threads = at::get_num_threads();
  options.abi_version = HALCYON_ABI_VERSION;
  TORCH_CHECK(!@NAME@_session_create(&program.table, &options, &session, &error),
              error.text);
}

bool startsWith(std::string &text, const char *prefix) {
  if (text.rfind(prefix, 0) != 0)
    return false;
  text.erase(0, strlen(prefix));
  return true;
}

void Program::place(const Names &variables, const Names &results) {
  for (uint32_t i = 0; i != table.num_inputs; ++i) {
    std::string text = name(table.inputs[i]);
    if (text == "train.seed")
      inputs.push_back({Role::Seed, 0});
    else if (text == "train.step")
      inputs.push_back({Role::Step, 0});
    else if (startsWith(text, "saved:"))
      inputs.push_back({Role::Saved, std::stoul(text)});
    else if (startsWith(text, "cotangent:"))
      inputs.push_back({Role::Cotangent, results.at("out:" + text)});
    else
      inputs.push_back({Role::Variable, variables.at(text)});
  }
  for (uint32_t i = 0; i != table.num_outputs; ++i) {
    std::string text = name(table.outputs[i]);
    if (startsWith(text, "saved:"))
      outputs.push_back({Role::Saved, std::stoul(text)});
    else if (startsWith(text, "grad:"))
      outputs.push_back({Role::Gradient,
                         variables.at(text.rfind("in:", 0) == 0 ? text : "param:" + text)});
    else if (results.count(text))
      outputs.push_back({Role::Output, results.at(text)});
    else
      outputs.push_back({Role::Variable, variables.at(text)});
  }
}

at::ScalarType typeOf(const halcyon_port &port) {
  switch (port.type_code) {
  case 2:
    return port.type_bits == 64 ? at::kDouble : at::kFloat;
  case 3:
    return at::kBFloat16;
  case 0:
    return port.type_bits == 8    ? at::kChar
           : port.type_bits == 16 ? at::kShort
           : port.type_bits == 32 ? at::kInt
                                  : at::kLong;
  default:
    return port.type_bits == 1    ? at::kBool
           : port.type_bits == 8  ? at::kByte
           : port.type_bits == 16 ? at::kUInt16
           : port.type_bits == 32 ? at::kUInt32
                                  : at::kUInt64;
  }
}

std::vector<int64_t> shapeOf(const halcyon_port &port, int64_t batch) {
  std::vector<int64_t> shape(port.shape, port.shape + port.rank);
  for (int64_t &size : shape)
    size = size == HALCYON_BATCH ? batch : size;
  return shape;
}

/// The four programs; those for inference are those for training where the model
/// behaves the same in both.
struct Model {
  Model();
  Program training[2] = {@PASSES@_training_forward, @PASSES@_training_backward};
  Program inference[2] = {@INFERENCE@_forward, @INFERENCE@_backward};
  Names variables, results;
  /// Of the variables, inputs first, among those of the forward program.
  std::vector<uint32_t> ports;
};

Model::Model() {
  const halcyon_program &table = training[0].table;
  for (const char *prefix : {"in:", "param:"})
    for (uint32_t i = 0; i != table.num_inputs; ++i) {
      std::string name = training[0].name(table.inputs[i]);
      if (name.rfind(prefix, 0) != 0)
        continue;
      variables.insert({name, ports.size()});
      ports.push_back(i);
    }
  for (uint32_t i = 0; i != table.num_outputs; ++i) {
    std::string name = training[0].name(table.outputs[i]);
    if (name.rfind("out:", 0) == 0)
      results.insert({name, results.size()});
  }
  for (Program *programs : {training, inference})
    for (int i : {0, 1})
      programs[i].place(variables, results);
}

/// Never destroyed: who ends the process need not wait for its threads.
Model &model() {
  static Model &only = *new Model;
  return only;
}

/// The variables as the programs read them. Returns the batch.
int64_t check(at::TensorList given, variable_list &variables) {
  const Model &m = model();
  const halcyon_program &table = m.training[0].table;
  TORCH_CHECK(given.size() == m.ports.size(), "takes ", m.ports.size(), " tensors, not ",
              given.size());
  int64_t batch = table.only_batch ? int64_t(table.only_batch) : -1;
  for (size_t i = 0; i != given.size(); ++i) {
    const halcyon_port &port = table.inputs[m.ports[i]];
    const at::Tensor &tensor = given[i];
    std::string name = m.training[0].name(port);
    name.erase(0, name.find(':') + 1);
    TORCH_CHECK_TYPE(tensor.device().is_cpu(), name, " lies on ", tensor.device(),
                     "; the model runs on the CPU");
    TORCH_CHECK_TYPE(tensor.scalar_type() == typeOf(port), name, " takes ",
                     typeOf(port), ", not ", tensor.scalar_type());
    bool fits = tensor.dim() == port.rank;
    for (int d = 0; fits && d != port.rank; ++d) {
      if (port.shape[d] == HALCYON_BATCH && batch < 0)
        batch = tensor.size(d);
      fits = tensor.size(d) == (port.shape[d] == HALCYON_BATCH ? batch : port.shape[d]);
    }
    TORCH_CHECK_VALUE(fits && batch != 0 && batch <= INT32_MAX, name, " takes ",
                      at::IntArrayRef(shapeOf(port, batch)), ", not ", tensor.sizes());
    variables.push_back(tensor.contiguous());
  }
  return batch < 0 ? 1 : batch;
}

/// Runs a program on tensors, by `tensorOf` a port, its place and whether it is read.
template <class TensorOf> void run(Program &program, int64_t batch, TensorOf tensorOf) {
  Session session(program);
  const halcyon_program &table = program.table;
  variable_list held; // until the run has ended
  session.check(@NAME@_session_set_batch(session, uint32_t(batch)));
  for (uint32_t i = 0; i != table.num_inputs; ++i) {
    held.push_back(tensorOf(table.inputs[i], program.inputs[i], true));
    session.check(@NAME@_session_bind_input(session, i, held.back().data_ptr()));
  }
  for (uint32_t i = 0; i != table.num_outputs; ++i) {
    held.push_back(tensorOf(table.outputs[i], program.outputs[i], false));
    session.check(@NAME@_session_bind_output(session, i, held.back().data_ptr()));
  }
  session.check(@NAME@_session_run(session));
}

at::Tensor emptyFor(const halcyon_port &port, int64_t batch) {
  return at::empty(shapeOf(port, batch), at::TensorOptions(typeOf(port)));
}

struct Run : torch::autograd::Function<Run> {
  static variable_list forward(AutogradContext *context, bool training,
                               at::TensorList given);
  static variable_list backward(AutogradContext *context, variable_list gradients);
};

template <class T> T &at_(std::vector<T> &list, size_t index) {
  if (list.size() <= index)
    list.resize(index + 1);
  return list[index];
}

variable_list Run::forward(AutogradContext *context, bool training,
                           at::TensorList given) {
  Model &m = model();
  Program &program = (training ? m.training : m.inference)[0];
  variable_list variables, results(m.results.size()), saved, updates(m.ports.size());
  const int64_t batch = check(given, variables);
  run(program, batch, [&](const halcyon_port &port, Place place, bool isRead) {
    switch (place.role) {
    case Role::Seed: // of what is drawn in this step
      return at::randint(0, INT32_MAX, {1}, at::kInt);
    case Role::Step:
      return at::zeros({1});
    case Role::Variable:
      if (isRead)
        return variables[place.index];
      return updates[place.index] = emptyFor(port, batch);
    case Role::Output:
      return results[place.index] = emptyFor(port, batch);
    default:
      return at_(saved, place.index) = emptyFor(port, batch);
    }
  });
  for (size_t i = 0; i != updates.size(); ++i)
    if (updates[i].defined())
      at::Tensor(given[i]).copy_(updates[i]);
  variable_list discrete;
  for (const at::Tensor &result : results)
    if (!result.is_floating_point())
      discrete.push_back(result);
  context->mark_non_differentiable(discrete);
  context->saved_data["training"] = training;
  context->saved_data["batch"] = batch;
  // Of the variables those that the backward pass reads.
  std::vector<bool> isNeeded(variables.size());
  for (Place place : (training ? m.training : m.inference)[1].inputs)
    if (place.role == Role::Variable)
      isNeeded[place.index] = true;
  for (size_t i = 0; i != variables.size(); ++i)
    saved.push_back(isNeeded[i] ? variables[i] : at::Tensor());
  context->save_for_backward(saved);
  return results;
}

variable_list Run::backward(AutogradContext *context, variable_list gradients) {
  TORCH_CHECK(!at::GradMode::is_enabled(), "@NAME@: gradients can't be differentiated again");
  Model &m = model();
  const bool training = context->saved_data["training"].toBool();
  const int64_t batch = context->saved_data["batch"].toInt();
  Program &program = (training ? m.training : m.inference)[1];
  variable_list saved = context->get_saved_variables();
  const size_t kept = saved.size() - m.ports.size();
  variable_list results(1 + m.ports.size());
  run(program, batch, [&](const halcyon_port &port, Place place, bool) {
    switch (place.role) {
    case Role::Cotangent:
      return gradients[place.index].contiguous();
    case Role::Saved:
      return saved[place.index];
    case Role::Variable:
      return saved[kept + place.index];
    default:
      return results[1 + place.index] = emptyFor(port, batch);
    }
  });
  return results;
}

} // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def(
      "run",
      [](bool training, const variable_list &variables) {
        return Run::apply(training, at::TensorList(variables));
      },
      "The model's outputs of its inputs and state.",
      pybind11::call_guard<pybind11::gil_scoped_release>());
}
