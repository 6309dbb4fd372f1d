// Where a logical unit keeps what has to survive a power loss: persistent reservations with APTPL (SPC-4 §5.12.5),
// saved mode pages (SPC-4 §5.8.3), identifying information (SPC-4 §5.6), a sanitize operation that has not ended (SBC-4
// §4.11). A key names one of these for one logical unit,
// and a value is text in the format of whoever keeps it.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "io/task.h"

namespace peerlane::target {

/// Thread-safe; outlives all logical units that use it.
class StateStore {
 public:
  virtual ~StateStore() = default;

  /// What was saved last under `key`; nothing if that never happened. Blocks; called at start-up.
  virtual Result<std::optional<std::string>> load(const std::string& key) = 0;

  /// Replaces what is kept under `key` (letters, digits, '-', '_' and '.'). It is on stable storage when this succeeds;
  /// after an error, a crash or a loss of power either the old or the new text is there, whole. Saves of one key must
  /// not overlap. Completes on the reactor that calls it.
  virtual io::Task<Result<void>> save(std::string key, std::string value) = 0;
};

}  // namespace peerlane::target
