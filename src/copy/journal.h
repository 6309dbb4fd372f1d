// The journal of a copy: how far it has come, for one that is interrupted and goes on later.
//
// It promises that all bytes before `done` are at the destination, on stable storage: whoever writes it has flushed the
// destination before. It names both ends, with what tells them from others and from themselves after a change, and the
// ranges; a copy that differs in one of them does not go on from it. docs/state-files.md has the format.
//
// A journal is written beside the old one, brought to stable storage and renamed over it: after a crash either is
// there, whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "copy/plan.h"

namespace peerlane::copy {

struct JournalEntry {
  std::string source;
  std::string source_identity;
  std::uint64_t source_offset = 0;
  std::string destination;
  std::string destination_identity;
  std::uint64_t destination_offset = 0;
  std::uint64_t length = 0;
  std::uint64_t done = 0;  // bytes from the start

  /// What a plan has, with nothing done.
  static JournalEntry of(const Plan& plan);
};

class Journal {
 public:
  explicit Journal(std::string path) : path_(std::move(path)) {}

  /// What is in the file; nothing if there is none. EINVAL: the file is damaged, or not a journal. Blocks.
  Result<std::optional<JournalEntry>> read() const;

  /// Blocks for the time of a small synchronous write.
  Result<void> write(const JournalEntry& entry) const;

  /// The copy is complete. No error if there is no file.
  Result<void> remove() const;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

/// Why a copy that `now` describes cannot go on where `then` ended; empty: it can.
std::string mismatch(const JournalEntry& then, const JournalEntry& now);

}  // namespace peerlane::copy
