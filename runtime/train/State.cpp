//===- State.cpp - Tensors that programs read and change ------------------===//

#include "State.h"

#include "session.h"

namespace halcyon::train {

static void good(halcyon_session *session, halcyon_status status) {
  if (status)
    throw Failure(halcyon_session_error(session));
}

const Tensors &State::get() {
  if (changedThere)
    for (const std::string &name : written)
      good(device, device->Device.copyOut(*device, copies.at(name),
                                          tensors.at(name).data()));
  changedThere = false;
  return tensors;
}

Tensors &State::change() {
  get();
  changedHere = true;
  return tensors;
}

void State::bind(halcyon_session *session, halcyon_space space, uint32_t index,
                 const std::string &name) {
  Tensor &tensor = tensors.at(name);
  good(session, space == HALCYON_INPUT
                    ? halcyon_session_bind_input(session, index, tensor.data())
                    : halcyon_session_bind_output(session, index, tensor.data()));
  if (!session->Device)
    return;
  if (!device)
    device = session;
  auto [copy, fresh] = copies.try_emplace(name);
  if (fresh) {
    good(session, session->Device.keep(*session, copy->second, tensor.bytes()));
    change();
  }
  if (space == HALCYON_OUTPUT)
    written.insert(name);
  good(session, session->Device.bind(*session, space, index, copy->second));
}

void State::enter() {
  if (device && changedHere)
    for (auto &[name, copy] : copies)
      good(device, device->Device.copyIn(*device, copy, tensors.at(name).data()));
  changedHere = false;
}

void State::leave() { changedThere = device && !written.empty(); }

void State::release() {
  for (auto &[name, copy] : copies)
    device->Device.release(*device, copy);
  copies.clear();
  device = nullptr;
}

uint64_t State::bytes() const {
  uint64_t sum = 0;
  for (auto &[name, tensor] : tensors)
    sum += tensor.bytes();
  return sum;
}

} // namespace halcyon::train
