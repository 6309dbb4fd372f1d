// For tests: runs tasks that end without waiting for anything outside.
#pragma once

#include <optional>
#include <utility>

#include "io/task.h"

namespace peerlane::target::testing {

template <typename T>
io::Task<void> keep_result(io::Task<T> task, std::optional<T>& result) {
  auto value = co_await std::move(task);
  result.emplace(std::move(value));
}

/// Runs `task` to its end and gives its result; throws if it had to wait.
template <typename T>
T run(io::Task<T> task) {
  std::optional<T> result;
  io::spawn(keep_result(std::move(task), result));
  return std::move(result.value());
}

}  // namespace peerlane::target::testing
