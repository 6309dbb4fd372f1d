#include "copy/peer_to_peer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "copy/storage.h"
#include "io/reactor.h"
#include "pcie/disk_pair.h"

namespace peerlane::copy {
namespace {

constexpr std::uint64_t kPage = 4096;  // of peer memory

/// Reads all of `into`.
io::Task<Result<void>> read_all(int descriptor, std::uint64_t offset, ByteSpan into) {
  while (!into.empty()) {
    const int got = co_await io::Reactor::current().read(descriptor, into, offset);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) co_return fail(got == 0 ? EIO : -got);
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  co_return Result<void>();
}

io::Task<Result<void>> write_all(int descriptor, std::uint64_t offset, ByteView from) {
  while (!from.empty()) {
    const int put = co_await io::Reactor::current().write(descriptor, from, offset, 0);
    if (put == -EINTR || put == -EAGAIN) continue;
    if (put <= 0) co_return fail(put == 0 ? EIO : -put);
    from = from.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  co_return Result<void>();
}

/// What the kernel answers where it does not do this at all, rather than this time.
bool is_refusal(int code) {
  return code == EREMOTEIO || code == EINVAL || code == EFAULT || code == EOPNOTSUPP || code == ENOMEM ||
         code == EPERM || code == EACCES;
}

bool all_the_same(ByteView bytes) {
  return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// Why two ends cannot be copied over any bus.
Result<void> check_ends(const Machine& disks, const Storage& source, const Storage& destination) {
  for (const Storage* const end : {&source, &destination}) {
    if (end->direct_io) continue;
    return fail(ENOTSUP, end->kind == Storage::Kind::kFile && end->backing.direct
                             ? fmt::format("{} copies what is read and written, also with O_DIRECT (it holds {})",
                                           end->file_system_name(), end->name)
                             : fmt::format("{} is used through the page cache", end->name));
  }
  for (const Storage* const end : {&source, &destination}) {
    const auto disk = disk_beneath(disks, *end);
    if (!disk) return std::unexpected(disk.error());
  }
  return {};
}

/// The verdicts of the providers that the policy allows for a pair of disks, best first; or why there is none.
Result<std::vector<pcie::TripleVerdict>> providers_for(const Machine& machine, const Storage& source,
                                                       const Storage& destination, pcie::Policy policy) {
  const auto from = disk_beneath(machine, source);
  if (!from) return std::unexpected(from.error());
  const auto to = disk_beneath(machine, destination);
  if (!to) return std::unexpected(to.error());
  pcie::DiskPair pair = pcie::judge_disks(machine.topology, machine.disks, *from->disk, *to->disk, policy);
  if (!pair.peer_to_peer) {
    return fail(ENOTSUP, pair.remedy.empty() ? pair.reason : fmt::format("{}. {}", pair.reason, pair.remedy));
  }
  std::erase_if(pair.providers, [&](const auto& verdict) { return !pcie::allows(policy, verdict.mapping); });
  return std::move(pair.providers);
}

}  // namespace

Result<DirectWay> consider_peer_to_peer(const Machine& disks, const Storage& source, const Storage& destination,
                                        pcie::Policy policy) {
  if (policy == pcie::Policy::kOff) return fail(ENOTSUP, "the policy is off");
  const auto possible = check_ends(disks, source, destination);
  if (!possible) return std::unexpected(possible.error());
  const Machine machine = look_at_machine();
  const auto verdicts = providers_for(machine, source, destination, policy);
  if (!verdicts) return std::unexpected(verdicts.error());
  std::vector<pcie::Function> providers;
  for (const pcie::TripleVerdict& verdict : *verdicts)
    providers.push_back(machine.topology.functions[verdict.provider]);
  const auto first = std::ranges::find_if(providers, [](const pcie::Function& function) {
    return function.peer_memory->available >= limits::kLeastPeerRequestBytes;
  });
  if (first == providers.end()) {
    return fail(ENOTSUP, fmt::format("all peer memory of {} is in use", to_string(providers.front().address)));
  }
  const auto make = [sysfs = machine.sysfs, providers](const End& from, const End& to,
                                                       const MoverTools& tools) -> std::unique_ptr<Mover> {
    PeerToPeer::Providers opened;
    for (const pcie::Function& function : providers) opened.push_back(pcie::open_provider(sysfs, function));
    return std::make_unique<PeerToPeer>(from, to, std::move(opened), tools);
  };
  return DirectWay{.way = Way::kPeerToPeer,
                   .unit = std::max<std::uint64_t>({kPage, source.backing.unit, destination.backing.unit}),
                   .most = limits::kPeerRequestBytes,
                   .to_end = false,
                   .through = fmt::format("through the memory of {}", to_string(first->address)),
                   .bandwidth = (*verdicts)[static_cast<std::size_t>(first - providers.begin())].bandwidth,
                   .refusals = {},
                   .make_mover = make};
}

PeerToPeer::PeerToPeer(const End& source, const End& destination, Providers providers, const MoverTools& tools)
    : source_(source),
      destination_(destination),
      source_descriptor_(source.device->backing()->descriptor),
      destination_descriptor_(destination.device->backing()->descriptor),
      unit_(std::max<std::uint64_t>({kPage, source.device->backing()->unit, destination.device->backing()->unit})),
      providers_(std::move(providers)),
      share_(tools.share),
      account_(tools.account) {}

PeerToPeer::~PeerToPeer() = default;

std::string PeerToPeer::through() const {
  return provider_.empty() ? std::string() : "through the memory of " + provider_;
}

io::Task<Result<void>> PeerToPeer::move(Piece piece) {
  if ((piece.source | piece.destination | piece.length) % unit_ != 0) {
    co_return fail(ENOTSUP, fmt::format("it begins or ends inside a block of {} bytes", unit_));
  }
  const std::uint64_t all = piece.length;
  while (piece.length > 0) {
    while (state_ == State::kProbing) co_await changed_;
    if (state_ == State::kClosed) {
      const auto opened = open();
      if (!opened) fail_for_good(opened.error().text());
    }
    if (state_ == State::kFailed) co_return fail(ENOTSUP, why_failed_);
    Piece part = piece;
    part.length = std::min<std::uint64_t>(part.length, slot_bytes_);
    if (state_ == State::kProbing) part.length = std::min<std::uint64_t>(part.length, limits::kPeerProbeBytes);
    auto moved = co_await move_part(part);
    if (!moved) co_return moved;
    piece.source += part.length;
    piece.destination += part.length;
    piece.length -= part.length;
  }
  // Parts of a piece that cannot be moved as a whole are written again by another way, and counted there.
  account_.add(Way::kPeerToPeer, all);
  co_return Result<void>();
}

// --- The memory ---

Result<void> PeerToPeer::open() {
  for (const auto& provider : providers_) {
    if (!take_memory(*provider)) continue;
    provider_ = provider->name();
    const ByteSpan all = memory_->bytes();
    slot_bytes_ = std::min(limits::kPeerRequestBytes, all.size());
    for (std::size_t at = 0; at + slot_bytes_ <= all.size(); at += slot_bytes_) {
      free_.push_back(all.subspan(at, slot_bytes_));
    }
    // What the source does not write must not look like what it has.
    const auto scrambled = pcie::scramble(free_.back());
    if (!scrambled) return scrambled;
    state_ = State::kProbing;
    return {};
  }
  return fail(ENOMEM, why_failed_);
}

bool PeerToPeer::take_memory(pcie::PeerMemoryProvider& provider) {
  std::uint64_t bytes = std::min(limits::kPeerMemoryBytes, provider.available() / 2);
  bytes = std::max<std::uint64_t>(bytes - bytes % kPage, limits::kLeastPeerRequestBytes);
  // What is free need not be in one piece.
  while (bytes >= limits::kLeastPeerRequestBytes) {
    auto range = provider.allocate(bytes);
    if (range) {
      memory_ = std::move(*range);
      return true;
    }
    why_failed_ = range.error().text();
    if (range.error().code != ENOMEM) return false;
    bytes = bytes / 2 - bytes / 2 % kPage;
  }
  return false;
}

/// A part of the peer memory, which goes back when it is not used any more.
class PeerToPeer::Slot {
 public:
  explicit Slot(PeerToPeer& owner) : owner_(owner), bytes_(owner.free_.back()) { owner.free_.pop_back(); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    owner_.free_.push_back(bytes_);
    owner_.changed_.wake_all();
  }
  ByteSpan bytes() const { return bytes_; }

 private:
  PeerToPeer& owner_;
  const ByteSpan bytes_;
};

// --- One transfer ---

io::Task<Result<void>> PeerToPeer::move_part(Piece part) {
  while (free_.empty()) co_await changed_;
  const Slot slot(*this);
  const ByteSpan memory = slot.bytes().first(part.length);
  auto transferring = io::later([this, part, memory] { return transfer(part, memory); });
  auto reading = source_.device->around(part.source, part.length, std::move(transferring));
  auto moved = co_await destination_.device->around(part.destination, part.length, std::move(reading));
  co_return moved;
}

io::Task<Result<void>> PeerToPeer::transfer(Piece part, ByteSpan memory) {
  auto moved = co_await read_all(source_descriptor_, part.source, memory);
  if (!moved) moved = std::unexpected(explain("reading", source_.name, part.source, moved.error()));
  if (moved) {
    moved = co_await write_all(destination_descriptor_, part.destination, memory);
    if (!moved) moved = std::unexpected(explain("writing", destination_.name, part.destination, moved.error()));
  }
  if (!moved) {
    const bool probing = state_ == State::kProbing;
    if (probing || is_refusal(moved.error().code) || ++errors_ == limits::kPeerErrors) {
      fail_for_good(moved.error().text());
    }
    co_return fail(ENOTSUP, moved.error().text());
  }
  if (state_ != State::kProven) {
    moved = co_await look_at(part);
    if (!moved) co_return moved;
  }
  co_return Result<void>();
}

/// Reads both ends through this host's memory. ENOTSUP: they were not the same, and are now, if that could be done.
io::Task<Result<void>> PeerToPeer::look_at(Piece part) {
  io::BufferPool& pool = io::Reactor::current().buffers();
  const io::Buffer expected = co_await pool.allocate(share_, part.length);
  const io::Buffer found = co_await pool.allocate(share_, part.length);
  auto read = co_await read_all(source_descriptor_, part.source, expected.bytes());
  if (read) read = co_await read_all(destination_descriptor_, part.destination, found.bytes());
  account_.probe_bytes += 2 * part.length;
  if (!read) {
    fail_for_good("what was moved could not be read back: " + read.error().text());
  } else if (std::memcmp(expected.bytes().data(), found.bytes().data(), part.length) != 0) {
    fail_for_good(
        fmt::format("the transfer through the memory of {} was said to be done, and had moved wrong bytes; an "
                    "IOMMU that translates does that (iommu=pt would not)",
                    provider_));
  } else if (state_ != State::kFailed) {
    state_ = all_the_same(expected.bytes()) && state_ != State::kProven ? State::kDoubtful : State::kProven;
    changed_.wake_all();
  }
  if (state_ == State::kFailed) co_return fail(ENOTSUP, why_failed_);
  co_return Result<void>();
}

void PeerToPeer::fail_for_good(std::string reason) {
  if (state_ == State::kFailed) return;
  state_ = State::kFailed;
  why_failed_ = std::move(reason);
  changed_.wake_all();
}

}  // namespace peerlane::copy
