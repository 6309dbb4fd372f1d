// The two ends of `peerlane copy`, opened: what a user names as source and destination, checked before anything is
// written.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "cli/copy_arguments.h"
#include "copy/end.h"
#include "io/task.h"

namespace peerlane::cli {

/// Owns the devices of both ends. What is not used any more must be closed (close()).
class CopyEnds {
 public:
  CopyEnds() = default;
  CopyEnds(const CopyEnds&) = delete;
  CopyEnds& operator=(const CopyEnds&) = delete;
  /// A file that was made and not kept is removed.
  ~CopyEnds();

  /// Opens both. A destination file that is not there is made, but for --explain; nothing else is changed yet. Errors
  /// are sentences for the user.
  io::Task<Result<void>> open(const CopyArguments& arguments, const copy::PlanOptions& plan);

  const copy::End& source() const { return source_; }
  const copy::End& destination() const { return destination_; }

  /// Makes a file as long as the copy needs it. Called when the plan stands, before the copy.
  Result<void> prepare();

  /// The copy has begun: a file that was made stays, however it ends.
  void keep() { made_path_.clear(); }

  io::Task<Result<void>> close();

 private:
  class Opener;

  copy::End source_;
  copy::End destination_;
  std::unique_ptr<block::Device> source_device_;
  std::unique_ptr<block::Device> destination_device_;  // none if both ends are on one disk
  std::function<Result<void>()> prepare_;
  std::string made_path_;
};

}  // namespace peerlane::cli
