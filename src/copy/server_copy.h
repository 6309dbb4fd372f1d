// The server of a network file system copies from one of its files to another, for being asked: NFS (RFC 7862 §4,
// Server-Side Copy), SMB ([MS-SMB2] §3.3.5.15.6, Server-Side Data Copy), Ceph. copy_file_range(2) asks it.
//
// Where the server cannot, the kernel copies through this host's memory instead, and says that all is well. But it
// counts what each thread writes (proc(5), /proc/pid/io, write_bytes), and what the server copies is not among that: so
// each call is looked at, the first of them being a short one. That what is written to this file is counted is seen
// before that, by a block that this host reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include <sys/types.h>

#include "copy/direct_way.h"
#include "io/background_share.h"

namespace peerlane::copy {

/// The kernel, as far as this way needs it. Called on several threads; these block.
class FileCopier {
 public:
  virtual ~FileCopier() = default;

  /// As copy_file_range(2) with two offsets: bytes, 0 at the end of the source, or -1 and errno.
  virtual ssize_t copy(int source, off_t from, int destination, off_t to, std::size_t length) const;

  /// How many bytes the calling thread has written to files so far, through the page cache or past it. Nothing: the
  /// kernel does not tell.
  virtual std::optional<std::uint64_t> written() const;
};

class ServerCopy final : public Mover {
 public:
  /// `file_system`: its name, for messages. All references outlive this.
  ServerCopy(const End& source, const End& destination, std::string file_system, const FileCopier& kernel,
             const MoverTools& tools);

  io::Task<Result<void>> move(Piece piece) override;

 private:
  enum class State : unsigned char {
    kUntried,  // nothing has been tried
    kCounted,  // what this host writes would be seen
    kProven,   // the server has copied
    kFailed,
  };

  /// What has become of a piece, in bytes. A reason: it has to be copied by a longer way, as a whole.
  struct Outcome {
    std::string reason = {};
    std::uint64_t by_host = 0;  // through this host's memory
    std::uint64_t probed = 0;   // and to see whether that is counted
  };

  io::Task<Result<void>> ask(Piece piece);
  Outcome carry_out(const Piece& piece);
  void copy(const Piece& piece, Outcome& outcome);
  std::string count_a_block(const Piece& piece) const;
  State state(std::string& why_failed);
  void advance(State state, const std::string& why_failed = {});

  const End& source_;
  const End& destination_;
  const std::string file_system_;
  const FileCopier& kernel_;
  const int source_descriptor_;
  const int destination_descriptor_;
  Account& account_;

  std::mutex mutex_;
  State state_ = State::kUntried;  // guarded by mutex_, as what follows
  std::string why_failed_;

  io::BackgroundShare threads_{limits::kDirectThreads};
};

}  // namespace peerlane::copy
