// What outlives the service of a sanitize operation (SBC-4 §4.11): that one has begun and not ended well. Whatever
// broke it off, the unit says after the restart that it failed, until one succeeds or EXIT FAILURE MODE is allowed and
// asked.
#pragma once

#include <utility>

#include "base/error.h"
#include "io/executor.h"
#include "io/task.h"
#include "target/exclusive.h"
#include "target/saved_state.h"
#include "target/unit_condition.h"

namespace peerlane::target {

/// Thread-safe.
class SanitizeRecord {
 public:
  explicit SanitizeRecord(SavedState saved_state) : saved_state_(std::move(saved_state)) {}

  /// Brings `condition` to where an earlier life left it. Errors: the record cannot be read. Blocks; before any
  /// command.
  Result<void> load(UnitCondition& condition) const;

  /// Brings what `condition` says now to stable storage; without a store there is nothing to do. Waits for those who do
  /// the same.
  io::Task<Result<void>> save(const UnitCondition& condition, io::Executor& executor);

 private:
  const SavedState saved_state_;
  Exclusive saving_;
};

}  // namespace peerlane::target
