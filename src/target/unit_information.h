// The identifying information of a logical unit (SPC-4 §5.6): what its owner had it note, kept through a StateStore.
#pragma once

#include <mutex>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "io/task.h"
#include "scsi/identifying_information.h"
#include "target/exclusive.h"
#include "target/saved_state.h"

namespace peerlane::target {

/// Thread-safe.
class UnitInformation {
 public:
  explicit UnitInformation(SavedState saved_state) : saved_state_(std::move(saved_state)) {}

  /// Reads what was saved in an earlier life. Errors: it cannot be read. Blocks; before any command.
  Result<void> load();

  /// How many bytes there may be of a type; 0: no such type.
  static std::size_t most_bytes(scsi::InformationType type);

  std::string get(scsi::InformationType type) const;

  /// To be held around set().
  Exclusive& changes() { return changes_; }
  /// Replaces the information of a type, on stable storage; on an error it stays as it was. Needs a store.
  io::Task<Result<void>> set(scsi::InformationType type, std::string information);

 private:
  const SavedState saved_state_;
  mutable std::mutex mutex_;
  std::string identifier_;
  std::string text_;
  Exclusive changes_;
};

}  // namespace peerlane::target
