// The StateStore of a service: one file for each key, in one directory. docs/state-files.md describes the files.
//
// Saving writes a new file, has it on stable storage, puts it into the place of the old one, and has the directory on
// stable storage: whenever the power goes, either the old or the new text is there, whole. That takes the time of a
// disk, so a thread of its own does it, and no reactor waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "io/task.h"
#include "target/state_store.h"

namespace peerlane::target {

class FileStateStore final : public StateStore {
 public:
  /// A store in `directory`, which need not exist: it is made, for this user alone, when something is saved first.
  /// Fails if nothing could be saved there.
  static Result<std::unique_ptr<FileStateStore>> open(const std::string& directory);

  /// Whether there may be state in `directory`: it has files, or exists and cannot be read. Not to be able to save
  /// there is then an error, since what is kept would be out of date after the next change.
  static bool may_hold_state(const std::string& directory);

  /// No save is under way.
  ~FileStateStore() override;
  FileStateStore(const FileStateStore&) = delete;
  FileStateStore& operator=(const FileStateStore&) = delete;

  /// Errors: EBADMSG for a file that is damaged or of another version, with a sentence that names it and says what to
  /// do; those of the file system.
  Result<std::optional<std::string>> load(const std::string& key) override;

  /// On a reactor only. Errors: EINVAL for a key of other characters, EFBIG for a value above limits::kStateValueBytes,
  /// those of the file system.
  io::Task<Result<void>> save(std::string key, std::string value) override;

 private:
  struct Job;

  explicit FileStateStore(std::string directory);
  void run(const std::stop_token& stop);
  Result<void> write(const std::string& key, const std::string& value) const;
  std::string path_of(const std::string& key) const { return directory_ + "/" + key; }

  const std::string directory_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job*> jobs_;
  std::jthread thread_;
};

}  // namespace peerlane::target
