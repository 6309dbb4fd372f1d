// READ USING TOKEN and REPORT ROD TOKEN, vendor specific (scsi/token_read.h): what other copy managers use tokens of
// this target with.

#include <algorithm>
#include <optional>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "scsi/token_read.h"
#include "target/commands.h"
#include "target/token_store.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;

constexpr std::size_t kLengthByte = 10;
constexpr std::size_t kOffsetByte = 12;

/// What a CDB's key opens in its unit.
std::expected<TokenStore::Found, scsi::SenseCode> find_token(const CommandContext& context,
                                                             const scsi::RodTokenKey& key) {
  TokenStore* const tokens = context.nexus.view().tokens();
  if (tokens == nullptr) return std::unexpected(codes::kInvalidOperationCode);
  auto found = tokens->find(key, TokenStore::Clock::now());
  if (found && found->rod->unit != &context.unit) return std::unexpected(codes::kTokenUnknown);
  return found;
}

/// Reads bytes of the unit that the token stands for. How the command ends if that fails; nothing if they are there.
io::Task<std::optional<Completion>> read_represented(CommandContext context, const Rod& rod, std::uint64_t at,
                                                     ByteSpan into) {
  LogicalUnit& unit = context.unit;
  RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kShared, at, into.size());
  if (const auto refused = co_await wait_for(context, pass)) co_return *refused;
  block::Device& device = rod.snapshot != nullptr ? *rod.snapshot : unit.device();
  auto read = co_await device.read(at, into);
  if (!read) co_return device_failure(read.error(), MediumAccess::kRead, {at / unit.block_size()});
  // What has been read may have been newer.
  if (const auto ended = rod.ended()) co_return Completion::check(scsi::illegal_request(*ended));
  co_return std::nullopt;
}

}  // namespace

io::Task<Completion> read_using_token(CommandContext context) {
  Command& command = context.command;
  const scsi::TokenReadCdb cdb = scsi::decode_token_read(context.cdb());
  const auto found = find_token(context, cdb.key);
  if (!found) co_return Completion::check(scsi::illegal_request(found.error()));
  const Rod& rod = *found->rod;
  const std::uint64_t start = byte_offset(context.unit, {cdb.offset});
  const std::uint64_t total = byte_length(context.unit, {cdb.length});
  if (total > limits::kMaxTransferBytes) co_return Completion::check(scsi::invalid_field_in_cdb(kLengthByte));
  const bool there = start <= rod.bytes && total <= rod.bytes - start;
  if (!there) co_return Completion::check(scsi::invalid_field_in_cdb(kOffsetByte));
  command.set_transfer_length(total);
  for (std::uint64_t done = 0; done < total;) {
    const ByteRange place = rod.place(start + done);
    const std::size_t piece = std::min({total - done, place.length, std::uint64_t{limits::kOptimalTransferBytes}});
    std::optional<io::Buffer> buffer = co_await command.allocate(piece);
    if (!buffer) co_return Completion::good();
    const auto failed = co_await read_represented(context, rod, place.offset, buffer->bytes());
    if (failed) {
      command.set_transfer_length(done);
      co_return *failed;
    }
    if (command.aborted()) co_return Completion::good();
    command.send(std::move(*buffer), piece);
    if (turn_ends(done, piece)) co_await io::yield(command.executor());
    done += piece;
  }
  co_return Completion::good();
}

Answer report_rod_token(const CommandContext& context, ByteSpan out) {
  const auto found = find_token(context, scsi::decode_token_read(context.cdb()).key);
  if (!found) return std::unexpected(scsi::illegal_request(found.error()));
  const std::size_t size = std::min(found->token.size(), out.size());
  std::copy_n(found->token.begin(), size, out.begin());
  return size;
}

}  // namespace peerlane::target
