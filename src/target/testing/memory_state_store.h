// For tests: a StateStore that forgets everything with the test, and fails when told to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "io/event.h"
#include "target/state_store.h"

namespace peerlane::target::testing {

class MemoryStateStore final : public StateStore {
 public:
  std::map<std::string, std::string> kept;
  unsigned saves = 0;
  std::optional<int> save_error;  // of each further save
  io::Event* hold = nullptr;      // saves wait for it

  Result<std::optional<std::string>> load(const std::string& key) override {
    const auto at = kept.find(key);
    if (at == kept.end()) return std::nullopt;
    return at->second;
  }

  io::Task<Result<void>> save(std::string key, std::string value) override {
    ++saves;
    if (hold != nullptr) co_await *hold;
    if (save_error) co_return fail(*save_error);
    kept[key] = std::move(value);
    co_return Result<void>();
  }
};

}  // namespace peerlane::target::testing
