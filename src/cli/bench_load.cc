#include "cli/bench_load.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "cli/exit_code.h"

namespace peerlane::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPageBytes = 4096;
constexpr unsigned kTurn = 256;             // I/Os of a slot until others have their turn, in any case
constexpr io::Duration kMostSleep = 200ms;  // a stopped load is noticed so soon
constexpr io::Duration kMostLag = 100ms;    // what may be caught up where a rate could not be kept
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
__extension__ using Wide = unsigned __int128;

/// `number`th of `parts` equal parts, as far as that goes.
std::uint64_t part_begin(std::uint64_t whole, std::uint64_t number, std::uint64_t parts) {
  return whole / parts * number + std::min(number, whole % parts);
}

}  // namespace

// --- Load ---

Load::Load(const LoadOptions& options) : options_(options) {
  if (options.verify && options.read_percent < 100) written_ = std::make_unique<WrittenBlocks>(blocks());
}

void Load::start(io::TimePoint now) {
  counts_from_ = now + options_.warm_up;
  if (options_.time != io::Duration(0)) ends_at_ = counts_from_ + options_.time;
}

void Load::fail_with(Error error) {
  stop();
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
}

std::optional<Error> Load::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

// --- LoadSession ---

LoadSession::LoadSession(Load& load, unsigned number, block::Device& device, LoadTally& tally)
    : load_(load),
      options_(load.options()),
      device_(device),
      tally_(tally),
      random_(options_.seed + kGolden * (number + 1)),
      first_(part_begin(load.blocks(), number, options_.sessions)),
      end_(part_begin(load.blocks(), number + 1, options_.sessions)),
      cursor_(first_),
      left_(part_begin(options_.ios, number + 1, options_.sessions) -
            part_begin(options_.ios, number, options_.sessions)) {
  if (options_.rate > 0) {
    const std::chrono::duration<double> each(options_.sessions / options_.rate);
    interval_ = std::max(std::chrono::duration_cast<io::Duration>(each), io::Duration(1));
  }
}

LoadSession::~LoadSession() {
  assert(working_.inside() == 0);
}

Result<void> LoadSession::prepare(io::Reactor& reactor) {
  reactor_ = &reactor;
  const std::size_t size = options_.block_bytes;
  // The reactor's own buffers are registered with the kernel, as far as there are enough.
  while (size <= limits::kMaxBufferBytes && pooled_.size() < options_.depth) {
    auto buffer = reactor.buffers().allocate(size);
    if (!buffer) break;
    pooled_.push_back(std::move(*buffer));
  }
  for (const io::Buffer& buffer : pooled_) buffers_.push_back(buffer.bytes());
  const std::size_t stride = (size + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::size_t own = options_.depth - pooled_.size();
  if (own != 0) {
    memory_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(kPageBytes, own * stride)));
    if (memory_ == nullptr) return fail(ENOMEM, "there is no memory for so many I/Os of this size");
  }
  for (std::size_t i = 0; i < own; ++i) buffers_.emplace_back(memory_.get() + i * stride, size);
  // Nothing that a disk could compress or find to be zeroes; and its pages are there before time counts.
  for (const ByteSpan buffer : buffers_) fill_with_pattern(random(), 0, buffer);
  return {};
}

io::Task<void> LoadSession::run() {
  due_ = io::Clock::now();
  for (const ByteSpan buffer : buffers_) io::spawn(work(buffer));
  co_await working_.drained();
  co_await io::yield(*reactor_);  // out of the last one's frame
}

io::Task<void> LoadSession::work(ByteSpan buffer) {
  const io::Gate::Pass pass(working_);
  const bool paced = interval_ != io::Duration(0);
  const auto flags = options_.fua ? block::WriteFlags::kFua : block::WriteFlags::kNone;
  io::TimePoint begun = io::Clock::now();
  Io io;
  for (unsigned round = 1;; ++round) {
    if (paced) {
      const bool go_on = co_await wait_for_turn();
      if (!go_on) break;
      begun = io::Clock::now();
    }
    if (!next(begun, io)) break;
    Result<void> done;
    if (io.write) {
      if (options_.verify) {
        fill_with_pattern(options_.seed, io.offset, buffer);
        begun = io::Clock::now();
      }
      done = co_await device_.write(io.offset, buffer, flags);
    } else {
      done = co_await device_.read(io.offset, buffer);
    }
    const io::TimePoint now = io::Clock::now();
    if (!done) {
      failed(io, done.error());
      break;
    }
    if (now >= load_.ends_at()) break;
    count(io, begun, now);
    begun = now;  // the slot's next I/O is made at once
    if (options_.verify) {
      if (!verify(io, buffer)) break;
      begun = io::Clock::now();
    }
    if (round % kTurn == 0) {
      co_await io::yield(*reactor_);
      begun = io::Clock::now();
    }
  }
}

/// With a rate: waits until the next I/O is due. False: there is none any more.
io::Task<bool> LoadSession::wait_for_turn() {
  io::TimePoint now = io::Clock::now();
  due_ = std::max(due_, now - kMostLag);
  const io::TimePoint due = due_;
  due_ += interval_;
  while (now < due) {
    if (load_.stopping() || now >= load_.ends_at()) co_return false;
    const io::TimePoint until = std::min({due, load_.ends_at(), now + kMostSleep});
    co_await io::sleep(*reactor_, until - reactor_->now());
    now = io::Clock::now();
  }
  co_return true;
}

/// What a slot is to do next; false: nothing.
bool LoadSession::next(io::TimePoint begun, Io& io) {
  if (load_.stopping()) return false;
  if (options_.ios != 0 && begun >= load_.counts_from()) {
    if (left_ == 0) return false;
    --left_;
  }
  std::uint64_t block = 0;
  if (options_.random) {
    block = static_cast<std::uint64_t>((Wide{random()} * load_.blocks()) >> 64);
  } else {
    block = cursor_;
    if (++cursor_ == end_) cursor_ = first_;
  }
  io.offset = options_.begin + block * options_.block_bytes;
  io.write =
      options_.read_percent != 100 && (options_.read_percent == 0 || (random() >> 32) % 100 >= options_.read_percent);
  // What this run has not written yet is not this run's to judge, unless it only reads.
  io.check = options_.verify && !io.write && (load_.written() == nullptr || load_.written()->marked(block));
  return true;
}

void LoadSession::count(const Io& io, io::TimePoint begun, io::TimePoint done) {
  tally_.ios.store(tally_.ios.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (begun < load_.counts_from()) return;
  (io.write ? tally_.writes : tally_.reads).record(static_cast<std::uint64_t>((done - begun).count()));
  tally_.last = done;
}

/// Checks what was read, or notes what was written. False: it is not what it must be, and the load has stopped.
bool LoadSession::verify(const Io& io, ByteView buffer) {
  if (io.write) {
    load_.written()->mark((io.offset - options_.begin) / options_.block_bytes);
    return true;
  }
  if (!io.check) return true;
  ++tally_.checked;
  const auto where = first_difference(options_.seed, io.offset, buffer);
  if (!where) return true;
  load_.fail_with({EILSEQ, fmt::format("verification failed: the first bad byte is at offset {}, read as a block of {} "
                                       "bytes from {}; there is {}",
                                       *where, options_.block_bytes, io.offset,
                                       describe_word(options_.seed, io.offset, buffer, *where))});
  return false;
}

void LoadSession::failed(const Io& io, const Error& error) {
  load_.fail_with({error.code, fmt::format("{} {} bytes at offset {}: {}", io.write ? "writing" : "reading",
                                           options_.block_bytes, io.offset, error.text())});
}

std::uint64_t LoadSession::random() {
  std::uint64_t x = random_ += kGolden;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// --- The check afterwards ---

io::Task<void> LoadSession::check_written() {
  cursor_ = first_;
  for (const ByteSpan buffer : buffers_) io::spawn(check_part(buffer));
  co_await working_.drained();
  co_await io::yield(*reactor_);
}

io::Task<void> LoadSession::check_part(ByteSpan buffer) {
  const io::Gate::Pass pass(working_);
  for (unsigned round = 1; !load_.stopping(); ++round) {
    const std::uint64_t block = load_.written()->next_marked(cursor_, end_);
    if (block >= end_) break;
    cursor_ = block + 1;
    Io io;
    io.offset = options_.begin + block * options_.block_bytes;
    io.check = true;
    const auto done = co_await device_.read(io.offset, buffer);
    if (!done) {
      failed(io, done.error());
      break;
    }
    if (!verify(io, buffer)) break;
    if (round % kTurn == 0) co_await io::yield(*reactor_);
  }
}

}  // namespace peerlane::cli
