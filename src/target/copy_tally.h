// What third-party copies have brought to a logical unit, by the way that the data took: what the log page about copies
// tells (scsi/copy_log_page.h).
#pragma once

#include <mutex>
#include <string>

#include "copy/way.h"
#include "scsi/copy_log_page.h"

namespace peerlane::copy {
struct Summary;
}

namespace peerlane::target {

/// Thread-safe: copies to one unit go on on many reactors. Nothing is ever forgotten.
class CopyTally {
 public:
  /// Counts a copy that has ended, well or not.
  void add(const copy::Summary& summary);

  scsi::CopyLog log() const;

 private:
  mutable std::mutex mutex_;
  copy::Account account_;  // guarded by mutex_, as what follows
  std::string last_;
};

}  // namespace peerlane::target
