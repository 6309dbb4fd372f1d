// For tests: a StateStore in memory, which fails when told to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "io/event.h"
#include "target/state_store.h"

namespace peerlane::target::testing {

class FakeStateStore final : public StateStore {
 public:
  std::map<std::string, std::string> kept;
  unsigned saves = 0;
  std::optional<int> save_error, load_error;
  io::Event* hold = nullptr;  // saves wait for it

  Result<std::optional<std::string>> load(const std::string& key) override {
    if (load_error) return fail(*load_error, "cannot read");
    const auto at = kept.find(key);
    return at != kept.end() ? std::optional(at->second) : std::nullopt;
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
