#include "copy/server_copy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <unistd.h>

#include "base/limits.h"
#include "block/descriptor_device.h"
#include "copy/storage.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

constexpr std::size_t kBlock = 4096;        // what this host reads and writes to see whether that is counted
constexpr std::size_t kTrialBytes = 65536;  // a call until the server has copied something

/// Clients of these have a server that may copy, and is another host as a rule.
bool has_server(std::uint64_t file_system) {
  return file_system == NFS_SUPER_MAGIC || file_system == CIFS_SUPER_MAGIC || file_system == SMB2_SUPER_MAGIC ||
         file_system == CEPH_SUPER_MAGIC;
}

const FileCopier& kernel() {
  static const FileCopier copier;
  return copier;
}

std::string describe(std::string_view doing) {
  return fmt::format("{}: {}", doing, std::strerror(errno));
}

/// Data that are in this host's memory only are brought to the server.
bool write_out(int descriptor, std::uint64_t offset, std::uint64_t length) {
  constexpr unsigned kWriteOut = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return sync_file_range(descriptor, static_cast<off_t>(offset), static_cast<off_t>(length), kWriteOut) == 0;
}

}  // namespace

ssize_t FileCopier::copy(int source, off_t from, int destination, off_t to, std::size_t length) const {
  return copy_file_range(source, &from, destination, &to, length, 0);
}

std::optional<std::uint64_t> FileCopier::written() const {
  const block::Descriptor file(::open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  const std::string_view counters(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  constexpr std::string_view kName = "\nwrite_bytes: ";
  const std::size_t at = counters.find(kName);
  if (at == counters.npos) return {};
  std::uint64_t bytes = 0;
  const std::string_view number = counters.substr(at + kName.size());
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), bytes);
  return parsed.ec == std::errc() ? std::optional(bytes) : std::nullopt;
}

Result<DirectWay> consider_server_copy(const Storage& source, const Storage& destination) {
  for (const Storage* const end : {&source, &destination}) {
    if (end->kind != Storage::Kind::kFile) return fail(ENOTSUP, end->name + " is no file");
    if (end->file_system == FUSE_SUPER_MAGIC) {
      return fail(ENOTSUP, fmt::format("the server of FUSE is a process of this host (it holds {})", end->name));
    }
    if (!has_server(end->file_system)) {
      return fail(ENOTSUP, end->file_system_name() + " has no server");
    }
  }
  if (source.device != destination.device) {
    return fail(ENOTSUP, fmt::format("{} and {} lie on different file systems", source.name, destination.name));
  }
  if (!kernel().written()) {
    return fail(ENOTSUP,
                "the kernel does not count what is written (/proc/thread-self/io), so that nobody could tell "
                "whether the server copies");
  }
  const auto make = [file_system = source.file_system_name()](const End& from, const End& to, const MoverTools& tools) {
    return std::unique_ptr<Mover>(std::make_unique<ServerCopy>(from, to, file_system, kernel(), tools));
  };
  return DirectWay{.way = Way::kServerCopy,
                   .unit = kBlock,
                   .most = limits::kServerCopyBytes,
                   .to_end = true,
                   .through = fmt::format("by the server of {}", source.file_system_name()),
                   .bandwidth = {},
                   .refusals = {},
                   .make_mover = make};
}

ServerCopy::ServerCopy(const End& source, const End& destination, std::string file_system, const FileCopier& kernel,
                       const MoverTools& tools)
    : source_(source),
      destination_(destination),
      file_system_(std::move(file_system)),
      kernel_(kernel),
      source_descriptor_(source.device->backing()->descriptor),
      destination_descriptor_(destination.device->backing()->descriptor),
      account_(tools.account) {}

io::Task<Result<void>> ServerCopy::move(Piece piece) {
  auto asking = io::later([this, piece] { return ask(piece); });
  auto reading = source_.device->around(piece.source, piece.length, std::move(asking));
  auto done = co_await destination_.device->around(piece.destination, piece.length, std::move(reading));
  co_return done;
}

io::Task<Result<void>> ServerCopy::ask(Piece piece) {
  Outcome outcome;
  const auto copy = [this, &piece, &outcome] {
    outcome = carry_out(piece);
    return 0;
  };
  co_await threads_.run(copy);
  account_.probe_bytes += outcome.probed;
  if (!outcome.reason.empty()) {
    account_.probe_bytes += outcome.by_host;
    co_return fail(ENOTSUP, outcome.reason);
  }
  account_.add(Way::kServerCopy, piece.length - outcome.by_host);
  account_.add(Way::kHostMemory, outcome.by_host);
  account_.memory_bytes += outcome.by_host;
  co_return Result<void>();
}

// --- On a thread on which calls may block ---

ServerCopy::Outcome ServerCopy::carry_out(const Piece& piece) {
  Outcome outcome;
  const State known = state(outcome.reason);
  if (known == State::kFailed) return outcome;
  if (!write_out(source_descriptor_, piece.source, piece.length) ||
      !write_out(destination_descriptor_, piece.destination, piece.length)) {
    outcome.reason = describe("bringing data to the server");
    return outcome;
  }
  if (known == State::kUntried) {
    if (piece.length < kBlock) {
      outcome.reason = "it is too short to see whether the server copies";
      return outcome;
    }
    outcome.probed = kBlock;
    outcome.reason = count_a_block(piece);
    advance(outcome.reason.empty() ? State::kCounted : State::kFailed, outcome.reason);
    if (!outcome.reason.empty()) return outcome;
  }
  copy(piece, outcome);
  return outcome;
}

/// Copies a block by this host. The reason if it cannot be seen that it did.
std::string ServerCopy::count_a_block(const Piece& piece) const {
  alignas(kBlock) std::array<std::uint8_t, kBlock> block{};
  const auto before = kernel_.written();
  if (::pread(source_descriptor_, block.data(), kBlock, static_cast<off_t>(piece.source)) != kBlock ||
      ::pwrite(destination_descriptor_, block.data(), kBlock, static_cast<off_t>(piece.destination)) != kBlock) {
    return "a block could not be read and written";
  }
  const auto after = kernel_.written();
  // What is in memory and not written out would not be counted when it is written once more.
  if (!write_out(destination_descriptor_, piece.destination, kBlock)) return describe("bringing data to the server");
  if (before && after && *after - *before >= kBlock) return {};
  return fmt::format(
      "the kernel does not count what is written to these files of {}, so that nobody could tell "
      "whether the server copies",
      file_system_);
}

void ServerCopy::copy(const Piece& piece, Outcome& outcome) {
  std::string why_failed;
  bool proven = state(why_failed) == State::kProven;
  std::uint64_t done = 0;
  while (done < piece.length) {
    const std::uint64_t length = proven ? piece.length - done : std::min(piece.length - done, kTrialBytes);
    const auto before = kernel_.written();
    const ssize_t copied = kernel_.copy(source_descriptor_, static_cast<off_t>(piece.source + done),
                                        destination_descriptor_, static_cast<off_t>(piece.destination + done), length);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) {
      outcome.reason = copied < 0 ? describe("copy_file_range") : "the source ends there";
      if (!proven) advance(State::kFailed, outcome.reason);
      return;
    }
    const auto after = kernel_.written();
    const auto count = static_cast<std::uint64_t>(copied);
    const std::uint64_t by_host = before && after ? std::min(*after - *before, count) : count;
    done += count;
    outcome.by_host += by_host;
    if (by_host == 0) {
      proven = true;
      advance(State::kProven);
      continue;
    }
    why_failed = fmt::format("the server of {} does not copy these files: the kernel did, through this host's memory",
                             file_system_);
    advance(State::kFailed, why_failed);
    // Little has been copied in vain; otherwise the kernel goes on with what it has begun.
    if (!proven) {
      outcome.reason = why_failed;
      return;
    }
  }
}

// --- What is known of the server ---

ServerCopy::State ServerCopy::state(std::string& why_failed) {
  const std::scoped_lock lock(mutex_);
  why_failed = why_failed_;
  return state_;
}

void ServerCopy::advance(State state, const std::string& why_failed) {
  const std::scoped_lock lock(mutex_);
  if (state <= state_) return;
  state_ = state;
  why_failed_ = why_failed;
}

}  // namespace peerlane::copy
