#include "initiator/token_copy.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <utility>

#include "base/limits.h"
#include "scsi/copy_results.h"
#include "scsi/rod_token.h"
#include "scsi/sense_codes.h"
#include "scsi/token_parameters.h"

namespace peerlane::initiator {
namespace {

using scsi::OperationCode;

constexpr std::uint32_t kProbeInactivity = 1;  // seconds that a token lasts which is only made to see whether it can be

/// A token, and how many bytes from the beginning of its range it stands for.
struct Token {
  scsi::RodTokenBytes bytes{};
  std::uint64_t length = 0;
};

/// What became of a token's use.
struct Written {
  std::uint64_t length = 0;      // bytes that it has written
  std::optional<Error> ended{};  // instead: why the token was of no use any more
};

scsi::BlockRange blocks_of(const Lun& lun, std::uint64_t offset, std::uint64_t length) {
  const std::uint32_t block = lun.facts().capacity.block_size;
  return {.lba = {offset / block}, .count = {length / block}};
}

/// TRANSFER COUNT in bytes, where the unit has such blocks. Nothing if its units are unknown.
std::optional<std::uint64_t> count_of(const scsi::CopyStatus& status, std::uint32_t block) {
  if (status.units != scsi::TransferUnits::kBlocks) return scsi::transferred_bytes(status.units, status.count);
  return status.count > UINT64_MAX / block ? UINT64_MAX : status.count * block;
}

/// How much of `wanted` bytes a command has done that ended well; ENOTSUP if it does not say, or nothing of use.
Result<std::uint64_t> done_of(ByteView information, std::uint64_t wanted, std::uint32_t block, std::uint64_t unit) {
  using enum scsi::CopyOperationStatus;
  const auto status = scsi::decode_copy_status(information);
  if (!status) return fail(ENOTSUP, "RECEIVE ROD TOKEN INFORMATION: the answer is too short");
  if (status->status == kDone || status->status == kDoneTokenPartlyUsed) return wanted;
  const auto count = status->status == kDoneResidual ? count_of(*status, block) : std::nullopt;
  const std::uint64_t whole = std::min(count.value_or(0), wanted) / unit * unit;
  if (whole == 0) return fail(ENOTSUP, "the target has not done, and does not say, what it was asked for by tokens");
  return whole;
}

Cdb ask_cdb(std::uint32_t identifier) {
  return copy_cdb(OperationCode::kThirdPartyCopyIn, scsi::kReceiveRodTokenInformation, identifier, kCopyParameterBytes);
}

/// POPULATE TOKEN for the source of a piece, and what token it gave. At the Lun's home. Errors: ENOTSUP, the target
/// refuses: nothing has been written, and who reads the disk meets its errors.
io::Task<Result<Token>> make_token(Lun& lun, CopyPart part, std::uint64_t unit, std::uint32_t inactivity) {
  scsi::PopulateTokenParameters parameters;
  parameters.inactivity_timeout = inactivity;
  parameters.ranges = {blocks_of(lun, part.range.from, part.range.length)};
  const std::uint32_t identifier = lun.session().next_copy();
  const Bytes list = scsi::encode_populate_token(parameters);
  const Cdb cdb = copy_cdb(OperationCode::kThirdPartyCopyOut, scsi::kPopulateToken, identifier, list.size());
  const auto result = co_await execute_copy(lun, cdb, list, part);
  auto outcome = outcome_of(result, part.watch, "POPULATE TOKEN");
  if (!outcome) {
    if (result) outcome.error().code = part.watch.canceled ? ECANCELED : ENOTSUP;
    co_return std::unexpected(outcome.error());
  }
  const auto information = co_await fetch(lun, ask_cdb(identifier), "RECEIVE ROD TOKEN INFORMATION");
  if (!information) co_return std::unexpected(information.error());
  const auto made = scsi::decode_rod_token_information(*information);
  if (!made || made->empty()) co_return fail(ENOTSUP, "RECEIVE ROD TOKEN INFORMATION: no token");
  const auto length = done_of(*information, part.range.length, lun.facts().capacity.block_size, unit);
  if (!length) co_return std::unexpected(length.error());
  co_return Token{made->front().token, *length};
}

/// Whether the next token may be better.
bool token_ended(const Result<ScsiResult>& result) {
  namespace codes = scsi::sense_codes;
  if (!result || !result->sense) return false;
  const scsi::SenseCode code = result->sense->code;
  return code == codes::kTokenRevoked || code == codes::kTokenExpired || code == codes::kTokenCancelled ||
         code == codes::kTokenDeleted || code == codes::kTokenUnknown;
}

/// WRITE USING TOKEN to the destination of a piece, with all that the token stands for, and which it is good for only
/// once. At the Lun's home.
io::Task<Result<Written>> use_token(Lun& lun, CopyPart part, const Token& token, std::uint64_t unit) {
  scsi::WriteUsingTokenParameters parameters;
  parameters.delete_token = true;
  parameters.token = token.bytes;
  parameters.ranges = {blocks_of(lun, part.range.to, token.length)};
  const std::uint32_t identifier = lun.session().next_copy();
  const std::uint32_t block = lun.facts().capacity.block_size;
  const Bytes list = scsi::encode_write_using_token(parameters);
  const Cdb cdb = copy_cdb(OperationCode::kThirdPartyCopyOut, scsi::kWriteUsingToken, identifier, list.size());
  CopyStatusWatch status(lun, ask_cdb(identifier), part, [block](ByteView data) {
    const auto now = scsi::decode_copy_status(data);
    return now ? count_of(*now, block) : std::nullopt;
  });
  io::spawn(status.run());
  const auto result = co_await execute_copy(lun, cdb, list, part);
  co_await status.stop();
  const auto outcome = outcome_of(result, part.watch, "WRITE USING TOKEN");
  if (!outcome && !part.watch.canceled && token_ended(result)) co_return Written{0, outcome.error()};
  if (!outcome) co_return std::unexpected(outcome.error());
  const auto information = co_await fetch(lun, ask_cdb(identifier), "RECEIVE ROD TOKEN INFORMATION");
  if (!information) co_return std::unexpected(information.error());
  const auto length = done_of(*information, token.length, block, unit);
  if (!length) co_return std::unexpected(length.error());
  co_return Written{*length, std::nullopt};
}

class TokenCommands final : public CopyCommands {
 public:
  TokenCommands(std::uint64_t unit, std::uint64_t most) : CopyCommands(unit, most) {}

  const char* name() const override { return "tokens"; }

  io::Task<Result<std::uint64_t>> copy(Lun& from, Lun& to, CopyPart part) const override {
    Error reason;
    for (unsigned tokens = 0; tokens <= limits::kTokenRemakes; ++tokens) {
      const auto written = co_await copy_once(from, to, part);
      if (!written) co_return std::unexpected(written.error());
      if (!written->ended) co_return written->length;
      reason = *written->ended;
    }
    co_return fail(ENOTSUP, reason.text());
  }

 private:
  io::Task<Result<Written>> copy_once(Lun& from, Lun& to, CopyPart part) const {
    std::function<io::Task<Result<Token>>()> make = [this, &from, part] { return make_token(from, part, unit(), 0); };
    const auto token = co_await at_home(from, std::move(make));
    if (!token) co_return std::unexpected(token.error());
    std::function<io::Task<Result<Written>>()> use = [this, &to, part, &token] {
      return use_token(to, part, *token, unit());
    };
    auto written = co_await at_home(to, std::move(use));
    co_return written;
  }
};

/// The bytes of so many blocks; as many as 64 bits hold where there is no limit (0).
std::uint64_t bytes_or_all(std::uint64_t blocks, std::uint32_t block) {
  return blocks == 0 || blocks > UINT64_MAX / block ? UINT64_MAX : blocks * block;
}

/// The most of one token, as one of the units has it.
std::uint64_t most_of(const scsi::ThirdPartyCopyPage& page, std::uint32_t block) {
  std::uint64_t most = limits::kThirdPartyBytes;
  if (page.token_limits) {
    most = std::min(most, bytes_or_all(page.token_limits->max_blocks, block));
    most = std::min(most, bytes_or_all(page.token_limits->optimal_blocks, block));
  }
  if (page.token_features) most = std::min(most, bytes_or_all(page.token_features->max_bytes, 1));
  return most;
}

bool lists(const scsi::ThirdPartyCopyPage& page, std::uint16_t service_action) {
  const auto out = static_cast<std::uint8_t>(OperationCode::kThirdPartyCopyOut);
  const auto in = static_cast<std::uint8_t>(OperationCode::kThirdPartyCopyIn);
  return page.supports(out, static_cast<std::uint8_t>(service_action)) &&
         page.supports(in, static_cast<std::uint8_t>(scsi::kReceiveRodTokenInformation));
}

}  // namespace

io::Task<OfferedCommands> offer_token_copy(Lun& from, Lun& to, const scsi::ThirdPartyCopyPage& from_page,
                                           const scsi::ThirdPartyCopyPage& to_page) {
  if (!from.session().options().tokens || !to.session().options().tokens)
    co_return fail(ENOTSUP, "they are not wanted");
  if (!lists(from_page, scsi::kPopulateToken) || !lists(to_page, scsi::kWriteUsingToken)) {
    co_return fail(ENOTSUP, "the target does not list their commands");
  }
  const std::uint32_t source_block = from.facts().capacity.block_size;
  const std::uint32_t destination_block = to.facts().capacity.block_size;
  const std::uint64_t unit = std::max(source_block, destination_block);
  const std::uint64_t most =
      whole_pieces(std::min(most_of(from_page, source_block), most_of(to_page, destination_block)), unit);
  if (most == 0) co_return fail(ENOTSUP, "the target's limits leave no room for one");
  if (from.geometry().size < unit) co_return fail(ENOTSUP, "the source has no block");
  block::CopyWatch watch;
  const CopyPart first{.range = {.from = 0, .to = 0, .length = unit}, .before = 0, .watch = watch};
  std::function<io::Task<Result<Token>>()> make = [&from, first, unit] {
    return make_token(from, first, unit, kProbeInactivity);
  };
  const auto token = co_await at_home(from, std::move(make));
  if (!token) co_return fail(ENOTSUP, token.error().text());
  co_return std::make_shared<TokenCommands>(unit, most);
}

}  // namespace peerlane::initiator
