#include "scsi/copy_results.h"

#include <algorithm>
#include <cassert>

#include "scsi/sense.h"

namespace peerlane::scsi {
namespace {

// AVAILABLE DATA, with which all begin, counts what follows it.
constexpr std::size_t kAvailableDataBytes = 4;

// RECEIVE COPY STATUS(LID1).
constexpr std::size_t kLid1Status = 4;
constexpr std::uint8_t kHdd = 0x80;
constexpr std::uint8_t kStatusMask = 0x7f;
constexpr std::size_t kLid1Segments = 5;
constexpr std::size_t kLid1Units = 7;
constexpr std::size_t kLid1Count = 8;
constexpr std::size_t kLid1Bytes = 12;

// RECEIVE COPY FAILURE DETAILS(LID1).
constexpr std::size_t kFailureStatus = 56;
constexpr std::size_t kFailureSenseLength = 58;
constexpr std::size_t kFailureSense = 60;

// RECEIVE COPY STATUS(LID4).
constexpr std::size_t kServiceAction = 4;
constexpr std::uint8_t kServiceActionMask = 0x1f;
constexpr std::size_t kStatus = 5;
constexpr std::size_t kOperations = 6;
constexpr std::size_t kUpdateDelay = 8;
constexpr std::size_t kCompletion = 12;
constexpr std::size_t kSenseFieldLength = 13;
constexpr std::size_t kSenseLength = 14;
constexpr std::size_t kUnits = 15;
constexpr std::size_t kCount = 16;
constexpr std::size_t kSegments = 24;
constexpr std::size_t kSense = 32;

// What follows the sense data of two others: a length of four bytes, and so much.
constexpr std::size_t kTailLengthBytes = 4;

// A token in RECEIVE ROD TOKEN INFORMATION.
constexpr std::size_t kMadeTokenHeaderBytes = 2;
constexpr std::size_t kTokenHeaderBytes = 8;

// REPORT ALL ROD TOKENS.
constexpr std::size_t kAllTokens = 8;

constexpr unsigned kUnitsShift = 10;  // each is 1024 of the one before
constexpr auto kCoarsest = static_cast<unsigned>(TransferUnits::kExbibytes);

void set_available(std::vector<std::uint8_t>& bytes) {
  put_be32(bytes, 0, static_cast<std::uint32_t>(bytes.size() - kAvailableDataBytes));
}

/// The bytes that there are, and that AVAILABLE DATA speaks of.
std::optional<ByteView> available(ByteView bytes) {
  if (bytes.size() < kAvailableDataBytes) return std::nullopt;
  return bytes.first(std::min<std::size_t>(bytes.size(), kAvailableDataBytes + std::size_t{get_be32(bytes, 0)}));
}

void append(std::vector<std::uint8_t>& bytes, ByteView more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// Appends the length of what follows, `size`.
void append_tail_length(std::vector<std::uint8_t>& bytes, std::size_t size) {
  bytes.resize(bytes.size() + kTailLengthBytes);
  put_be32(bytes, bytes.size() - kTailLengthBytes, static_cast<std::uint32_t>(size));
}

/// What stands after the sense data and its own length, as far as it is there.
std::optional<ByteView> tail_of(ByteView bytes) {
  const auto all = available(bytes);
  if (!all || all->size() < kSense) return std::nullopt;
  const std::size_t at = kSense + (*all)[kSenseFieldLength];
  if (all->size() < at + kTailLengthBytes) return std::nullopt;
  const ByteView rest = all->subspan(at + kTailLengthBytes);
  return rest.first(std::min<std::size_t>(rest.size(), get_be32(*all, at)));
}

}  // namespace

std::optional<std::uint64_t> transferred_bytes(TransferUnits units, std::uint64_t count) {
  if (static_cast<unsigned>(units) > kCoarsest) return std::nullopt;
  const unsigned shift = static_cast<unsigned>(units) * kUnitsShift;
  return count > UINT64_MAX >> shift ? UINT64_MAX : count << shift;
}

void set_transferred(CopyStatusLid1& status, std::uint64_t bytes) {
  unsigned units = 0;
  while (bytes > UINT32_MAX) {
    bytes >>= kUnitsShift;
    ++units;
  }
  status.units = static_cast<TransferUnits>(units);
  status.count = static_cast<std::uint32_t>(bytes);
}

std::vector<std::uint8_t> encode_copy_status(const CopyStatusLid1& status) {
  std::vector<std::uint8_t> bytes(kLid1Bytes);
  set_available(bytes);
  bytes[kLid1Status] = static_cast<std::uint8_t>((status.held_data_discarded ? unsigned{kHdd} : 0u) |
                                                 static_cast<unsigned>(status.status));
  put_be16(bytes, kLid1Segments, status.segments);
  bytes[kLid1Units] = static_cast<std::uint8_t>(status.units);
  put_be32(bytes, kLid1Count, status.count);
  return bytes;
}

std::optional<CopyStatusLid1> decode_copy_status_lid1(ByteView bytes) {
  const auto all = available(bytes);
  if (!all || all->size() < kLid1Bytes) return std::nullopt;
  CopyStatusLid1 status;
  status.held_data_discarded = ((*all)[kLid1Status] & kHdd) != 0;
  status.status = static_cast<CopyCommandStatus>((*all)[kLid1Status] & kStatusMask);
  status.segments = get_be16(*all, kLid1Segments);
  status.units = static_cast<TransferUnits>((*all)[kLid1Units]);
  status.count = get_be32(*all, kLid1Count);
  return status;
}

std::vector<std::uint8_t> encode_copy_failure(const std::optional<CopyFailure>& failure) {
  std::vector<std::uint8_t> bytes(failure ? kFailureSense : kAvailableDataBytes);
  if (failure) {
    bytes[kFailureStatus] = failure->status;
    put_be16(bytes, kFailureSenseLength, static_cast<std::uint16_t>(failure->sense.size()));
    append(bytes, failure->sense);
  }
  set_available(bytes);
  return bytes;
}

std::optional<CopyFailure> decode_copy_failure(ByteView bytes) {
  const auto all = available(bytes);
  if (!all || all->size() < kFailureSense) return std::nullopt;
  const ByteView sense = all->subspan(kFailureSense);
  const ByteView there = sense.first(std::min<std::size_t>(sense.size(), get_be16(*all, kFailureSenseLength)));
  return CopyFailure{.status = (*all)[kFailureStatus], .sense = {there.begin(), there.end()}};
}

std::vector<std::uint8_t> encode_held_data(ByteView held) {
  std::vector<std::uint8_t> bytes(kAvailableDataBytes);
  append(bytes, held);
  set_available(bytes);
  return bytes;
}

std::optional<ByteView> decode_held_data(ByteView bytes) {
  const auto all = available(bytes);
  if (!all) return std::nullopt;
  return all->subspan(kAvailableDataBytes);
}

std::vector<std::uint8_t> encode_copy_status(const CopyStatus& status) {
  assert(status.sense.size() <= kMaxSenseBytes);
  std::vector<std::uint8_t> bytes(kSense);
  bytes[kServiceAction] = status.service_action & kServiceActionMask;
  bytes[kStatus] = static_cast<std::uint8_t>((status.held_data_discarded ? unsigned{kHdd} : 0u) |
                                             static_cast<unsigned>(status.status));
  put_be16(bytes, kOperations, status.operations);
  put_be32(bytes, kUpdateDelay, status.update_delay);
  bytes[kCompletion] = status.completion;
  bytes[kSenseFieldLength] = bytes[kSenseLength] = static_cast<std::uint8_t>(status.sense.size());
  bytes[kUnits] = static_cast<std::uint8_t>(status.units);
  put_be64(bytes, kCount, status.count);
  put_be16(bytes, kSegments, status.segments);
  append(bytes, status.sense);
  set_available(bytes);
  return bytes;
}

std::optional<CopyStatus> decode_copy_status(ByteView bytes) {
  const auto all = available(bytes);
  if (!all || all->size() < kSense) return std::nullopt;
  CopyStatus status;
  status.service_action = (*all)[kServiceAction] & kServiceActionMask;
  status.held_data_discarded = ((*all)[kStatus] & kHdd) != 0;
  status.status = static_cast<CopyOperationStatus>((*all)[kStatus] & kStatusMask);
  status.operations = get_be16(*all, kOperations);
  status.update_delay = get_be32(*all, kUpdateDelay);
  status.completion = (*all)[kCompletion];
  status.units = static_cast<TransferUnits>((*all)[kUnits]);
  status.count = get_be64(*all, kCount);
  status.segments = get_be16(*all, kSegments);
  const ByteView rest = all->subspan(kSense);
  const std::size_t sense = std::min((*all)[kSenseLength], (*all)[kSenseFieldLength]);
  const ByteView there = rest.first(std::min(rest.size(), sense));
  status.sense.assign(there.begin(), there.end());
  return status;
}

std::vector<std::uint8_t> encode_copy_data(const CopyStatus& status, ByteView held) {
  std::vector<std::uint8_t> bytes = encode_copy_status(status);
  append_tail_length(bytes, held.size());
  append(bytes, held);
  set_available(bytes);
  return bytes;
}

std::optional<ByteView> decode_copy_data(ByteView bytes) {
  return tail_of(bytes);
}

std::vector<std::uint8_t> encode_rod_token_information(const CopyStatus& status, std::span<const MadeToken> tokens) {
  std::vector<std::uint8_t> bytes = encode_copy_status(status);
  append_tail_length(bytes, tokens.size() * (kMadeTokenHeaderBytes + kRodTokenBytes));
  for (const MadeToken& made : tokens) {
    bytes.resize(bytes.size() + kMadeTokenHeaderBytes);
    put_be16(bytes, bytes.size() - kMadeTokenHeaderBytes, made.cscd);
    append(bytes, made.token);
  }
  set_available(bytes);
  return bytes;
}

std::optional<std::vector<MadeToken>> decode_rod_token_information(ByteView bytes) {
  const auto list = tail_of(bytes);
  if (!list) return std::nullopt;
  std::vector<MadeToken> tokens;
  ByteView rest = *list;
  while (rest.size() >= kMadeTokenHeaderBytes + kTokenHeaderBytes) {
    const ByteView token = rest.subspan(kMadeTokenHeaderBytes);
    const std::size_t size = rod_token_length(token);
    if (size > token.size()) break;
    if (size == kRodTokenBytes) {
      MadeToken& made = tokens.emplace_back();
      made.cscd = get_be16(rest, 0);
      std::ranges::copy(token.first(kRodTokenBytes), made.token.begin());
    }
    rest = token.subspan(size);
  }
  return tokens;
}

RodManagementToken management_token(const RodTokenBytes& token) {
  RodManagementToken managed;
  std::ranges::copy(ByteView(token).first(managed.size()), managed.begin());
  return managed;
}

std::vector<std::uint8_t> encode_all_rod_tokens(std::span<const RodManagementToken> tokens) {
  std::vector<std::uint8_t> bytes(kAllTokens);
  for (const RodManagementToken& token : tokens) append(bytes, token);
  set_available(bytes);
  return bytes;
}

std::optional<std::vector<RodManagementToken>> decode_all_rod_tokens(ByteView bytes) {
  const auto all = available(bytes);
  if (!all || all->size() < kAllTokens) return std::nullopt;
  std::vector<RodManagementToken> tokens;
  for (ByteView rest = all->subspan(kAllTokens); rest.size() >= kRodManagementTokenBytes;
       rest = rest.subspan(kRodManagementTokenBytes)) {
    std::ranges::copy(rest.first(kRodManagementTokenBytes), tokens.emplace_back().begin());
  }
  return tokens;
}

}  // namespace peerlane::scsi
