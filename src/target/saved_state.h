// One value of a logical unit in a StateStore: JSON with a version, under a key of its own.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "io/task.h"
#include "target/state_store.h"

namespace peerlane::target {

struct SavedState {
  StateStore* store = nullptr;  // null: nothing is kept
  std::string key;

  bool possible() const { return store != nullptr; }
  /// What was saved last. Blocks; called at start-up.
  Result<std::optional<std::string>> load() const {
    if (store == nullptr) return std::nullopt;
    return store->load(key);
  }
  /// See StateStore::save. Only where it is possible.
  io::Task<Result<void>> save(std::string value) const { return store->save(key, std::move(value)); }
  /// The error for a value that cannot be read.
  Error damaged(const std::string& what) const {
    return {EINVAL, "the saved state \"" + key + "\" is damaged: " + what + "; remove it to start with the defaults"};
  }
};

}  // namespace peerlane::target
