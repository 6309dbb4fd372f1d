#include "initiator/command_slot.h"

#include <cassert>

namespace peerlane::initiator {

void SlotList::push_back(CommandSlot& slot) {
  assert(!slot.listed);
  slot.listed = true;
  slot.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &slot;
  last_ = &slot;
}

CommandSlot& SlotList::pop_front() {
  CommandSlot& slot = *first_;
  first_ = slot.next;
  if (first_ == nullptr) last_ = nullptr;
  slot.listed = false;
  return slot;
}

void SlotList::remove(CommandSlot& slot) {
  CommandSlot* previous = nullptr;
  for (CommandSlot* at = first_; at != nullptr; previous = at, at = at->next) {
    if (at != &slot) continue;
    (previous != nullptr ? previous->next : first_) = slot.next;
    if (last_ == &slot) last_ = previous;
    slot.listed = false;
    return;
  }
}

}  // namespace peerlane::initiator
