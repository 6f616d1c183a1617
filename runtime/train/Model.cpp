//===- Model.cpp - The programs that a trainer runs, and their memory -----===//

#include "Model.h"

#include "session.h"

#include <algorithm>

namespace halcyon::train {

static std::string nameOf(const halcyon_program &program, const halcyon_port &port) {
  return program.strings + port.name;
}

static Element elementOf(const halcyon_port &port, const std::string &name) {
  struct Row {
    uint8_t code, bits;
    Element element;
  };
  static constexpr Row rows[] = {{2, 32, Element::F32}, {2, 64, Element::F64},
                                 {0, 32, Element::I32}, {0, 64, Element::I64},
                                 {1, 8, Element::U8}};
  for (const Row &row : rows)
    if (row.code == port.type_code && row.bits == port.type_bits)
      return row.element;
  throw Failure("the program's '" + name + "' has elements of an unknown type");
}

/// Sizes, with `images` where the batch is.
static std::vector<int64_t> shapeOf(const halcyon_port &port, int64_t images) {
  std::vector<int64_t> shape;
  for (unsigned i = 0; i < port.rank; ++i)
    shape.push_back(port.shape[i] == HALCYON_BATCH ? images : port.shape[i]);
  return shape;
}

static bool strip(std::string &name, std::string_view prefix) {
  if (!name.starts_with(prefix))
    return false;
  name.erase(0, prefix.size());
  return true;
}

static bool isScalar(const std::string &name) {
  return name.starts_with("train.") || name.starts_with("rate:");
}

Model::Model(const halcyon_trainer &trainer, const Json &plan, uint32_t threads)
    : trainer(trainer) {
  std::vector<const halcyon_program *> steps(trainer.steps,
                                             trainer.steps + trainer.num_steps),
      programs = steps;
  programs.push_back(trainer.eval);
  for (const halcyon_program *program : programs)
    for (uint32_t i = 0; i < program->num_inputs; ++i) {
      const halcyon_port &port = program->inputs[i];
      std::string name = nameOf(*program, port);
      Element element = elementOf(port, name);
      if (strip(name, "param:")) {
        weights.change().try_emplace(name, element, shapeOf(port, 1));
      } else if (strip(name, "slot:")) {
        slots.change().try_emplace(name, element, shapeOf(port, 1));
      } else if (!isScalar(name)) {
        DataInput input{name, element, shapeOf(port, 1), nullptr};
        if (!input.shape.empty())
          input.shape.erase(input.shape.begin());
        for (const Json &known : plan.at("inputs"))
          if (known.at("name") == name)
            input.image = known.value("image", Json());
        bool there = false;
        for (const DataInput &other : inputs)
          there |= other.name == name;
        if (!there)
          inputs.push_back(std::move(input));
      }
    }
  for (const halcyon_program *step : steps)
    for (uint32_t i = 0; i < step->num_outputs; ++i) {
      std::string name = nameOf(*step, step->outputs[i]);
      if (strip(name, "param:"))
        changed.insert(name);
    }
  steppers.resize(steps.size());
  for (size_t i = 0; i < steps.size(); ++i)
    open(steppers[i], steps[i], threads);
  open(evaluator, trainer.eval, threads);
  evaluated = &weights;
}

Model::~Model() {
  weights.release();
  slots.release();
  for (Side &stepper : steppers)
    halcyon_session_destroy(stepper.session);
  halcyon_session_destroy(evaluator.session);
}

void Model::open(Side &side, const halcyon_program *program, uint32_t threads) {
  side.program = program;
  halcyon_options options = {};
  options.threads = threads;
  // The loader's threads want cores, too.
  options.flags = HALCYON_NO_PINNING;
  halcyon_error error;
  if (halcyon_session_create(program, &options, &side.session, &error))
    throw Failure(error.text);
  for (uint32_t i = 0; i < program->num_inputs; ++i) {
    std::string name = nameOf(*program, program->inputs[i]);
    if (!isScalar(name))
      continue;
    Tensor &number = side.numbers[name] =
        Tensor(elementOf(program->inputs[i], name), {1});
    halcyon_session_bind_input(side.session, i, number.data());
  }
  bindState(side, weights);
}

/// Binds weights and slots, whose new values take the place of the old.
void Model::bindState(Side &side, State &from) {
  const halcyon_program &program = *side.program;
  auto bind = [&](halcyon_space space, uint32_t index, std::string name) {
    if (strip(name, "param:"))
      from.bind(side.session, space, index, name);
    else if (strip(name, "slot:"))
      slots.bind(side.session, space, index, name);
  };
  for (uint32_t i = 0; i < program.num_inputs; ++i)
    bind(HALCYON_INPUT, i, nameOf(program, program.inputs[i]));
  for (uint32_t i = 0; i < program.num_outputs; ++i)
    bind(HALCYON_OUTPUT, i, nameOf(program, program.outputs[i]));
}

const Tensors &Model::run(Side &side, const Batch &batch) {
  const halcyon_program &program = *side.program;
  auto good = [&](halcyon_status status) {
    if (status)
      throw Failure(halcyon_session_error(side.session));
  };
  good(halcyon_session_set_batch(side.session, batch.images));
  for (uint32_t i = 0; i < program.num_inputs; ++i) {
    auto input = batch.inputs.find(nameOf(program, program.inputs[i]));
    if (input != batch.inputs.end())
      good(halcyon_session_bind_input(side.session, i, input->second.data()));
  }
  bool grows = batch.images > side.capacity;
  for (uint32_t i = 0; i < program.num_outputs; ++i) {
    std::string name = nameOf(program, program.outputs[i]);
    if (name.starts_with("param:") || name.starts_with("slot:"))
      continue;
    if (grows) {
      side.outputs[name] = Tensor(elementOf(program.outputs[i], name),
                                  shapeOf(program.outputs[i], batch.images));
      good(halcyon_session_bind_output(side.session, i, side.outputs[name].data()));
    }
  }
  side.capacity = std::max(side.capacity, batch.images);
  for (auto &[name, number] : side.numbers) {
    auto value = scalars.find(name);
    number.set(0, value == scalars.end() ? 0 : value->second);
  }
  good(halcyon_session_run(side.session));
  return side.outputs;
}

const Tensors &Model::step(const Batch &batch, size_t turn) {
  weights.enter();
  slots.enter();
  const Tensors &outputs = run(steppers[turn], batch);
  weights.leave();
  slots.leave();
  return outputs;
}

const Tensors &Model::evaluate(const Batch &batch, State *others) {
  State *wanted = others ? others : &weights;
  if (wanted != evaluated) {
    bindState(evaluator, *wanted);
    evaluated = wanted;
  }
  wanted->enter();
  return run(evaluator, batch);
}

static uint64_t arenaBytes(const halcyon_program &program, uint32_t images) {
  return program.arena_bytes * images + program.fixed_bytes;
}

uint64_t Model::stepBytes(uint32_t images) const {
  uint64_t sum = 0;
  for (const Side &stepper : steppers)
    sum += arenaBytes(*stepper.program, images);
  return sum;
}

uint64_t Model::bytes(uint32_t images) const {
  return stepBytes(images) + arenaBytes(*trainer.eval, images) + weights.bytes() +
         slots.bytes();
}

void Model::startProfile() {
  for (Side &stepper : steppers) {
    halcyon_session_set_profiling(stepper.session, 1);
    stepper.session->Device.OfRuns = {};
  }
}

/// What a step copies to a device and back, and what all of the training did of what
/// stays there. All sessions' steps are as many.
void Model::printTraffic() const {
  DeviceTraffic ofSteps, ofState;
  halcyon_call_profile call = {};
  for (const Side &stepper : steppers) {
    const DeviceMemory &device = stepper.session->Device;
    if (!device)
      return;
    halcyon_session_profile(stepper.session, 0, &call);
    ofSteps.In += device.OfRuns.In;
    ofSteps.Out += device.OfRuns.Out;
    ofState.In += device.OfKept.In;
    ofState.Out += device.OfKept.Out;
  }
  const uint64_t steps = std::max<uint64_t>(call.runs, 1);
  printf("a step copies %llu bytes to the device and %llu back; weights and slots took "
         "%llu there, %llu back\n",
         (unsigned long long)(ofSteps.In / steps), (unsigned long long)(ofSteps.Out / steps),
         (unsigned long long)ofState.In, (unsigned long long)ofState.Out);
}

void Model::printProfile() const {
  std::vector<halcyon_call_profile> calls;
  double total = 0;
  for (const Side &stepper : steppers)
    for (uint32_t i = 0; i < halcyon_session_num_calls(stepper.session); ++i) {
      halcyon_call_profile &call = calls.emplace_back();
      halcyon_session_profile(stepper.session, i, &call);
      if (call.runs)
        total += call.total_ms /= double(call.runs);
    }
  std::sort(calls.begin(), calls.end(), [](const auto &a, const auto &b) {
    return a.total_ms > b.total_ms;
  });
  for (const halcyon_call_profile &call : calls)
    printf("%10.3f ms %5.1f %%  %-20s %s, line %u\n", call.total_ms,
           total > 0 ? 100 * call.total_ms / total : 0, call.algorithm, call.layer,
           call.line);
  printf("%10.3f ms a step\n", total);
  printTraffic();
}

} // namespace halcyon::train
