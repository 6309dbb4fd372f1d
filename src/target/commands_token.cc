// POPULATE TOKEN, WRITE USING TOKEN (SBC-3 §5.7, §5.45), RECEIVE ROD TOKEN INFORMATION and REPORT ALL ROD TOKENS (SPC-4
// §6.28, §6.31): copies in two commands, with a token between them, by the same client or another. Windows calls it
// offloaded data transfer.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "scsi/copy_results.h"
#include "scsi/cscd.h"
#include "scsi/extended_copy.h"
#include "scsi/sense_codes.h"
#include "scsi/third_party_copy.h"
#include "scsi/token_parameters.h"
#include "target/commands.h"
#include "target/copy_manager.h"
#include "target/copy_run.h"
#include "target/peer_units.h"
#include "target/snapshot.h"
#include "target/token_store.h"
#include "target/zero_disk.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::RodType;

constexpr scsi::CdbField kListLength{10, 4};
// In parameter lists.
constexpr std::size_t kRodTypeByte = 8;
constexpr std::size_t kRangesByte = 16;
constexpr std::size_t kOffsetByte = 8;

/// The copy manager and tokens of a command's nexus, and the identifier that it gives its operation.
struct Copies {
  CopyManager& manager;
  TokenStore& tokens;
  std::uint32_t list_identifier;
};

std::expected<Copies, scsi::Sense> copies_of(const CommandContext& context) {
  CopyManager* const manager = context.nexus.view().copies();
  TokenStore* const tokens = context.nexus.view().tokens();
  const auto cdb = scsi::decode_copy_cdb(context.cdb());
  if (manager == nullptr || tokens == nullptr || !cdb) {
    return std::unexpected(scsi::illegal_request(codes::kInvalidOperationCode));
  }
  return Copies{*manager, *tokens, cdb->list_identifier};
}

/// A new operation for the command.
std::expected<CopyOperation*, scsi::Sense> begin(const CommandContext& context, const Copies& copies) {
  if (copies.manager.in_use(scsi::CopyForm::kLid4, copies.list_identifier)) {
    return std::unexpected(scsi::illegal_request(codes::kOperationInProgress));
  }
  CopyOperation* const operation = copies.manager.begin(scsi::CopyForm::kLid4, copies.list_identifier, true);
  if (operation == nullptr) return std::unexpected(scsi::copy_aborted(codes::kInsufficientResources, 0));
  operation->initiator = context.nexus.view().name().initiator;
  operation->service_action = *context.description.service_action;
  operation->block = context.unit.block_size();
  return operation;
}

/// The ranges in bytes, without empty ones. Errors: LBA OUT OF RANGE.
std::expected<std::vector<ByteRange>, scsi::Sense> to_bytes(const LogicalUnit& unit,
                                                            const std::vector<scsi::BlockRange>& ranges) {
  std::vector<ByteRange> bytes;
  for (const scsi::BlockRange& range : ranges) {
    const bool there =
        range.lba.value <= unit.capacity().value && scsi::within(range.lba, range.count, unit.capacity());
    if (!there) return std::unexpected(scsi::illegal_request(codes::kLbaOutOfRange));
    if (range.count.value == 0) continue;
    bytes.push_back({byte_offset(unit, range.lba), byte_length(unit, range.count)});
  }
  return bytes;
}

std::uint64_t total(const std::vector<ByteRange>& ranges) {
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges) bytes += range.length;
  return bytes;
}

ByteRange hull(const std::vector<ByteRange>& ranges) {
  std::uint64_t begin = UINT64_MAX;
  std::uint64_t end = 0;
  for (const ByteRange& range : ranges) {
    begin = std::min(begin, range.offset);
    end = std::max(end, range.offset + range.length);
  }
  return {begin, end - begin};
}

// --- POPULATE TOKEN ---

/// The types of tokens that can be asked for.
bool can_make(RodType type) {
  return type == RodType::kPointInTime || type == RodType::kPointInTimeAny || type == RodType::kPointInTimeVulnerable ||
         type == RodType::kPointInTimePersistent;
}

/// What a token tells of itself and of the unit.
scsi::RodToken looks_of(const LogicalUnit& unit, std::uint64_t bytes, bool persistent) {
  const auto designators = unit_designators(unit.identity());
  scsi::RodToken token;
  token.type = persistent ? RodType::kPointInTimePersistent : RodType::kPointInTimeVulnerable;
  scsi::Cscd creator;
  creator.unit = *scsi::copy_designator(designators);
  creator.block_length = unit.block_size();
  token.creator = creator;
  token.bytes = bytes;
  token.block_length = unit.block_size();
  for (std::uint32_t size = unit.block_size(); size < unit.physical_block_size(); size *= 2) ++token.physical_exponent;
  token.target_device = scsi::scsi_name_designator(scsi::Association::kTargetDevice, unit.identity().target_name);
  token.thin = unit.capabilities().unmap;
  token.reads_zeroes = unit.capabilities().unmap;
  return token;
}

/// Sets the data aside where that costs nothing, and watches them otherwise. The ranges belong to the caller alone.
io::Task<void> represent(LogicalUnit& unit, Rod& rod, std::optional<RodType> type) {
  if (type != RodType::kPointInTimeVulnerable) {
    std::vector<ByteRange> ranges = rod.ranges;
    auto snapshot = co_await take_snapshot(unit, std::move(ranges));
    if (snapshot) rod.snapshot = std::move(*snapshot);
  }
  if (rod.snapshot == nullptr) rod.watched = std::make_unique<ChangeWatch::Watched>(unit.changes(), rod.ranges);
}

/// Makes the token. The completion of the command.
io::Task<Completion> make_token(CommandContext context, const scsi::PopulateTokenParameters& parameters,
                                std::vector<ByteRange> ranges, TokenStore& tokens, CopyOperation& operation) {
  auto rod = std::make_unique<Rod>();
  rod->unit = &context.unit;
  rod->resets = context.unit.resets();
  rod->bytes = total(ranges);
  rod->ranges = std::move(ranges);
  rod->initiator = operation.initiator;
  rod->inactivity_timeout = parameters.inactivity_timeout != 0 ? std::chrono::seconds(parameters.inactivity_timeout)
                                                               : limits::kTokenInactivity;
  {
    // What was being written has ended, and nobody writes until the data are set aside or watched.
    const ByteRange all = hull(rod->ranges);
    RangeLock::Pass pass(context.unit.ranges(), RangeLock::Mode::kExclusive, all.offset, all.length);
    if (const auto ended = co_await wait_for(context, pass)) co_return *ended;
    co_await represent(context.unit, *rod, parameters.type);
  }
  const bool persistent = rod->snapshot != nullptr;
  if (parameters.type == RodType::kPointInTimePersistent && !persistent) {
    co_return Completion::check(scsi::invalid_field_in_parameter_list(kRodTypeByte));
  }
  const std::uint64_t bytes = rod->bytes;
  const auto token = tokens.add(std::move(rod), looks_of(context.unit, bytes, persistent), TokenStore::Clock::now());
  if (!token) co_return Completion::check(scsi::illegal_request(token.error()));
  operation.token = *token;
  operation.bytes = bytes;
  co_return Completion::good();
}

// --- WRITE USING TOKEN ---

/// What the token of a command stands for, as the source of moves.
struct TokenSource {
  RodPointer rod;  // null: zeroes, or a token of another target
  CopyEnd end;
  std::vector<ByteRange> ranges;         // of `end`
  std::optional<std::uint64_t> bytes{};  // in all of them, unless they are zeroes without end
};

using CheckedSource = std::expected<TokenSource, scsi::Sense>;

ItlNexus* nexus_with(const NexusView& view, const LogicalUnit& unit) {
  for (const scsi::Lun lun : view.luns()) {
    ItlNexus* const nexus = view.find(lun);
    if (nexus != nullptr && &nexus->unit() == &unit) return nexus;
  }
  return nullptr;
}

/// A token of this target.
CheckedSource own_source(const CommandContext& context, RodPointer rod) {
  TokenSource source;
  source.rod = std::move(rod);
  source.ranges = source.rod->ranges;
  source.bytes = source.rod->bytes;
  ItlNexus* const nexus = nexus_with(context.nexus.view(), *source.rod->unit);
  const auto reason = nexus == nullptr ? std::optional(codes::kCopyTargetNotReachable) : why_not_readable(*nexus);
  if (reason) return std::unexpected(scsi::copy_aborted(*reason, 0));
  source.end.disk = source.rod->snapshot;
  if (source.end.disk == nullptr) source.end.unit = nexus;
  return source;
}

/// Whether a token says that it is of this target: such a one is known, or of no use.
bool claims_to_be_ours(const CommandContext& context, const scsi::RodTokenBytes& token) {
  const auto told = scsi::decode_rod_token(token);
  if (!told || !told->target_device) return true;
  const auto own = scsi::scsi_name_designator(scsi::Association::kTargetDevice, context.unit.identity().target_name);
  return *told->target_device == own;
}

/// A token of another target (SPC-4 §5.17.6.5.2.3).
io::Task<CheckedSource> remote_source(CommandContext context, scsi::RodTokenBytes token) {
  PeerUnits* const peers = context.nexus.view().copy_settings().peers;
  if (peers == nullptr) {
    co_return std::unexpected(scsi::illegal_request(codes::kRemoteTokenUsageNotSupported));
  }
  PeerAsker asker{context.nexus.view().name().initiator, context.unit.identity().target_name};
  auto finding = peers->find_token(token, asker);
  auto found = co_await std::move(finding);
  if (!found) {
    const std::string what = fmt::format("a token used by {} at {}", asker.initiator, asker.target);
    context.nexus.view().copies()->warn_not_found(what, found.error().text());
    const auto ended = token_end(found.error());
    co_return std::unexpected(ended ? scsi::illegal_request(*ended)
                                    : scsi::copy_aborted(codes::kCopyTargetNotReachable, 0));
  }
  TokenSource source;
  source.end.disk = std::move(found->device);
  source.bytes = source.end.disk->geometry().size;
  source.ranges = {{0, *source.bytes}};
  co_return source;
}

io::Task<CheckedSource> find_source(CommandContext context, TokenStore& tokens,
                                    const scsi::WriteUsingTokenParameters& parameters, std::uint64_t wanted) {
  if (parameters.token == scsi::block_zero_rod_token()) {
    TokenSource source;
    source.end.disk = std::make_shared<ZeroDisk>(wanted, context.unit.block_size());
    source.ranges = {{0, wanted}};
    co_return source;
  }
  auto rod = tokens.find(parameters.token, TokenStore::Clock::now());
  const bool remote = !rod && rod.error() == codes::kTokenUnknown && !claims_to_be_ours(context, parameters.token);
  if (!rod && !remote) co_return std::unexpected(scsi::illegal_request(rod.error()));
  CheckedSource source;
  if (remote) {
    auto finding = remote_source(context, parameters.token);
    source = co_await std::move(finding);
  } else {
    source = own_source(context, std::move(*rod));
  }
  if (source && parameters.offset >= *source->bytes / context.unit.block_size()) {
    co_return std::unexpected(scsi::invalid_field_in_parameter_list(kOffsetByte));
  }
  co_return source;
}

/// Lays the bytes of the source, from `skip` on, over the ranges of the destination, as far as both go.
std::vector<CopyMove> lay_out(const TokenSource& source, std::uint64_t skip, const CopyEnd& destination,
                              const std::vector<ByteRange>& ranges) {
  std::vector<CopyMove> moves;
  std::size_t at = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    for (std::uint64_t done = 0; done < ranges[i].length;) {
      while (at < source.ranges.size() && skip >= source.ranges[at].length) skip -= source.ranges[at++].length;
      if (at == source.ranges.size()) return moves;
      CopyMove& move = moves.emplace_back();
      move.source = source.end;
      move.destination = destination;
      move.from = source.ranges[at].offset + skip;
      move.to = ranges[i].offset + done;
      move.length = std::min(ranges[i].length - done, source.ranges[at].length - skip);
      move.segment = i;
      done += move.length;
      skip += move.length;
    }
  }
  return moves;
}

scsi::CopyOperationStatus success_of(const TokenSource& source, std::uint64_t skip, std::uint64_t wanted,
                                     std::uint64_t moved) {
  if (moved < wanted) return scsi::CopyOperationStatus::kDoneResidual;
  const bool partly = source.bytes && *source.bytes - skip > moved;
  return partly ? scsi::CopyOperationStatus::kDoneTokenPartlyUsed : scsi::CopyOperationStatus::kDone;
}

}  // namespace

io::Task<Completion> populate_token(CommandContext context) {
  const auto copies = copies_of(context);
  if (!copies) co_return Completion::check(copies.error());
  const std::uint64_t length = scsi::get_field(context.cdb(), kListLength);
  if (length == 0) co_return Completion::good();
  ParameterList received = co_await receive_parameter_list(context, length);
  if (!received) co_return received.error();
  const auto parameters =
      scsi::decode_populate_token(received->bytes(), CopyManager::token_limits(context.unit.block_size()));
  if (!parameters) co_return Completion::check(parameters.error());
  received->release();
  if (parameters->type && !can_make(*parameters->type)) {
    co_return Completion::check(scsi::invalid_field_in_parameter_list(kRodTypeByte));
  }
  auto ranges = to_bytes(context.unit, parameters->ranges);
  if (!ranges) co_return Completion::check(ranges.error());
  if (ranges->empty()) co_return Completion::check(scsi::invalid_field_in_parameter_list(kRangesByte));
  const auto operation = begin(context, *copies);
  if (!operation) co_return Completion::check(operation.error());
  auto completion = co_await make_token(context, *parameters, std::move(*ranges), copies->tokens, **operation);
  copies->manager.end(**operation, completion);
  co_return completion;
}

io::Task<Completion> write_using_token(CommandContext context) {
  const auto copies = copies_of(context);
  if (!copies) co_return Completion::check(copies.error());
  const std::uint64_t length = scsi::get_field(context.cdb(), kListLength);
  if (length == 0) co_return Completion::good();
  ParameterList received = co_await receive_parameter_list(context, length);
  if (!received) co_return received.error();
  const auto parameters =
      scsi::decode_write_using_token(received->bytes(), CopyManager::token_limits(context.unit.block_size()));
  if (!parameters) co_return Completion::check(parameters.error());
  received->release();
  const auto ranges = to_bytes(context.unit, parameters->ranges);
  if (!ranges) co_return Completion::check(ranges.error());
  const std::uint64_t wanted = total(*ranges);
  if (wanted == 0) co_return Completion::good();
  auto finding = find_source(context, copies->tokens, *parameters, wanted);
  const auto source = co_await std::move(finding);
  if (!source) co_return Completion::check(source.error());
  if (const auto reason = why_not_writable(context.nexus)) {
    co_return Completion::check(scsi::copy_aborted(*reason, 0));
  }
  const auto operation = begin(context, *copies);
  if (!operation) co_return Completion::check(operation.error());
  const std::uint64_t skip = source->bytes ? parameters->offset * context.unit.block_size() : 0;
  std::vector<CopyMove> moves = lay_out(*source, skip, CopyEnd{&context.nexus}, *ranges);
  std::uint64_t moved = 0;
  for (const CopyMove& move : moves) moved += move.length;
  (*operation)->rod = source->rod;
  (*operation)->success = success_of(*source, skip, wanted, moved);
  auto completion =
      co_await run_command(copies->manager, std::move(moves), **operation, context.command, parameters->immediate);
  // What goes on in background has what the token stands for.
  if (parameters->delete_token) copies->tokens.remove(parameters->token);
  co_return completion;
}

Answer receive_rod_token_information(const CommandContext& context, ByteSpan out) {
  const auto operation = named_operation(context, scsi::CopyForm::kLid4);
  if (!operation) return std::unexpected(operation.error());
  std::vector<scsi::MadeToken> tokens;
  if ((*operation)->token) tokens.push_back({0, *(*operation)->token});
  const auto data = scsi::encode_rod_token_information(copy_status(context.unit, **operation), tokens);
  const std::size_t size = std::min(data.size(), out.size());
  std::copy_n(data.begin(), size, out.begin());
  return size;
}

io::Task<Completion> report_all_rod_tokens(CommandContext context) {
  TokenStore* const tokens = context.nexus.view().tokens();
  if (tokens == nullptr) co_return Completion::check(scsi::illegal_request(codes::kInvalidOperationCode));
  const auto data = scsi::encode_all_rod_tokens(tokens->list(TokenStore::Clock::now()));
  std::optional<io::Buffer> buffer = co_await context.command.allocate(data.size());
  if (!buffer) co_return Completion::good();
  std::ranges::copy(data, buffer->bytes().begin());
  send_answer(context.command, context.description, std::move(*buffer), data.size());
  co_return Completion::good();
}

}  // namespace peerlane::target
