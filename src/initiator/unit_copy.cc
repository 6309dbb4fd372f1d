#include "initiator/unit_copy.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "initiator/copy_commands.h"
#include "initiator/discovery.h"
#include "initiator/extended_copy.h"
#include "initiator/lun.h"
#include "initiator/scsi_error.h"
#include "initiator/token_copy.h"
#include "scsi/copy_log_page.h"
#include "scsi/vpd.h"

namespace peerlane::initiator {
namespace {

constexpr std::string_view kOwnVendor = "PEERLANE";  // whose targets have the log page

/// What a target offers for copies between two disks.
struct Offered {
  std::vector<std::shared_ptr<const CopyCommands>> commands = {};  // the best first; one at least
  std::string place = {};                                          // "within the target iqn.2026-11.org.example:a"
  std::optional<scsi::CopyLog> before = {};                        // what its log page said then
  block::CopyOffer offer = {};
};

bool in_one_target(const Lun& from, const Lun& to) {
  return target_of(from) == target_of(to);
}

// --- What the target tells of itself ---

io::Task<Result<Bytes>> log_page(Lun& lun, std::uint16_t first) {
  constexpr std::uint8_t kCumulative = 1;
  Cdb cdb{};
  cdb[0] = static_cast<std::uint8_t>(scsi::OperationCode::kLogSense);
  cdb[2] = static_cast<std::uint8_t>(kCumulative << 6 | scsi::kCopyLogPage.page);
  put_be16(cdb, 5, first);
  put_be16(cdb, 7, kCopyParameterBytes);
  return fetch(lun, cdb, "LOG SENSE");
}

/// What has been counted so far, and how a copy from `from` would go.
io::Task<void> read_log(const Lun& from, Lun& to, Offered& offered) {
  if (to.facts().inquiry.vendor != kOwnVendor) co_return;
  const auto past = co_await log_page(to, 0);
  if (past) offered.before = scsi::decode_copy_log(*past);
  if (!in_one_target(from, to) || !offered.before) co_return;
  const auto future = co_await log_page(to, static_cast<std::uint16_t>(scsi::kCopyForecasts + from.lun().value));
  const auto forecast = future ? scsi::decode_copy_forecast(*future, from.lun()) : std::nullopt;
  if (!forecast) co_return;
  offered.offer.way = forecast->way;
  offered.offer.refusals = forecast->refusals;
}

std::uint64_t bytes_of(const scsi::CopyLog& log, const std::string& way) {
  const auto found = std::ranges::find(log.ways, way, &scsi::CopyLog::Way::name);
  return found == log.ways.end() ? 0 : found->bytes;
}

/// What has been counted since. A counter that went down was reset.
std::uint64_t since(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

io::Task<std::optional<block::CopyAccount>> account_of(Lun& lun, const std::optional<scsi::CopyLog>& before) {
  if (!before) co_return std::nullopt;
  const auto page = co_await log_page(lun, 0);
  const auto now = page ? scsi::decode_copy_log(*page) : std::nullopt;
  if (!now) co_return std::nullopt;
  block::CopyAccount account;
  for (const scsi::CopyLog::Way& way : now->ways) {
    const std::uint64_t bytes = since(bytes_of(*before, way.name), way.bytes);
    if (bytes != 0) account.ways.push_back({way.name, bytes});
  }
  account.memory_bytes = since(before->memory_bytes, now->memory_bytes);
  account.last = now->last;
  co_return account;
}

// --- The offer ---

/// Whether a target has a logical unit of its own with that designator. Errors: those of asking it.
io::Task<Result<bool>> has_unit(Session& session, scsi::Designator designator) {
  const auto luns = co_await report_luns(session);
  if (!luns) co_return std::unexpected(luns.error());
  for (const std::uint32_t lun : *luns) {
    const scsi::Lun number{static_cast<std::uint16_t>(lun)};
    UnitAccess unit(session, iscsi::LunField{scsi::encode_lun(number)}, nullptr, false);
    const auto page = co_await unit.vpd(scsi::VpdPage::kDeviceIdentification);
    const auto own = page ? scsi::decode_device_identification(*page) : std::nullopt;
    if (!own) continue;
    if (std::ranges::any_of(*own, [&](const auto& each) { return scsi::same_unit(designator, each); })) co_return true;
  }
  co_return false;
}

/// Whether the name of another target's disk can be told to the destination's target, and means that disk there.
io::Task<Result<void>> check_name(const Lun& from, Lun& to) {
  const scsi::Designator* const named = scsi::copy_designator(from.facts().designators);
  if (named == nullptr) co_return Result<void>();  // EXTENDED COPY says so
  scsi::Designator source = *named;
  const auto ambiguous = co_await has_unit(to.session(), std::move(source));
  if (!ambiguous) co_return fail(ENOTSUP, ambiguous.error().text());
  if (*ambiguous) {
    co_return fail(ENOTSUP, fmt::format("{} has a disk of its own by the name that the source has", target_of(to)));
  }
  co_return Result<void>();
}

/// Asks the target for all command sets, and takes what it offers. At the home of `to`.
io::Task<Result<Offered>> ask(Lun& from, Lun& to) {
  if (!to.facts().inquiry.third_party_copy) {
    co_return fail(ENOTSUP, fmt::format("{} does not offer third-party copies", target_of(to)));
  }
  const bool inside = in_one_target(from, to);
  if (!inside) {
    const auto sure = co_await check_name(from, to);
    if (!sure) co_return std::unexpected(sure.error());
  }
  Offered offered;
  offered.place = inside ? fmt::format("within the target {}", target_of(to))
                         : fmt::format("from the target {} to {}", target_of(from), target_of(to));
  const auto to_page = co_await third_party_page(to);
  std::string no_tokens;
  if (inside) {
    const auto from_page = co_await third_party_page(from);
    const auto tokens = co_await offer_token_copy(from, to, from_page, to_page);
    if (tokens) offered.commands.push_back(*tokens);
    if (!tokens) no_tokens = fmt::format("not tokens: {}", tokens.error().text());
  }
  const auto extended = co_await offer_extended_copy(from, to, to_page);
  if (extended) offered.commands.push_back(*extended);
  if (offered.commands.empty()) {
    const std::string more = no_tokens.empty() ? "" : "; " + no_tokens;
    co_return fail(ENOTSUP, extended.error().text() + more);
  }
  offered.offer.most = offered.commands.front()->most();
  offered.offer.unit = 1;
  for (const auto& each : offered.commands) offered.offer.unit = std::max(offered.offer.unit, each->unit());
  co_await read_log(from, to, offered);
  if (!no_tokens.empty()) offered.offer.refusals.push_back(std::move(no_tokens));
  co_return offered;
}

// --- The copy ---

class UnitCopy final : public block::OffloadedCopy {
 public:
  UnitCopy(RemoteDisk& source, RemoteDisk& destination, Offered offered)
      : source_(source), destination_(destination), offered_(std::move(offered)) {}

  const block::CopyOffer& offer() const override { return offered_.offer; }

  std::string place() const override {
    const std::lock_guard lock(mutex_);
    const char* const asked = offered_.commands[current_]->name();
    if (current_ == 0) return fmt::format("{} by {}", offered_.place, asked);
    return fmt::format("{} by {}, then {} ({})", offered_.place, offered_.commands.front()->name(), asked, refusal_);
  }

  /// A copy can be done twice: one whose connection was lost is asked for again, on whatever paths there are. Where
  /// none comes back, or the target takes too long, other ways may still work.
  io::Task<Result<void>> copy(block::CopyRange range, block::CopyWatch& watch) override {
    unsigned lost = 0;
    for (std::uint64_t done = 0; done < range.length;) {
      const std::size_t chosen = current();
      const CopyCommands& commands = *offered_.commands[chosen];
      const block::CopyRange rest{
          .from = range.from + done, .to = range.to + done, .length = std::min(range.length - done, commands.most())};
      const CopyPart part{.range = rest, .before = done, .watch = watch};
      const auto copied = co_await commands.copy(source_.path(), destination_.path(), part);
      if (copied) {
        done += *copied;
        continue;
      }
      const Error& error = copied.error();
      if (watch.canceled) co_return std::unexpected(error);
      if (is_path_error(error)) {
        if (error.code == ETIMEDOUT || ++lost >= limits::kThirdPartyTries) co_return fail(ENOTSUP, error.text());
      } else if (error.code != ENOTSUP || !go_on_after(chosen, error)) {
        co_return std::unexpected(error);
      }
    }
    co_return Result<void>();
  }

  io::Task<std::optional<block::CopyAccount>> account() override {
    Lun& lun = destination_.path();
    std::function<io::Task<std::optional<block::CopyAccount>>()> make = [this, &lun] {
      return account_of(lun, offered_.before);
    };
    return at_home(lun, std::move(make));
  }

 private:
  std::size_t current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

  /// Whether there is another command set, after one was refused.
  bool go_on_after(std::size_t refused, const Error& error) {
    const std::lock_guard lock(mutex_);
    if (refused + 1 >= offered_.commands.size()) return false;
    if (current_ == refused) {
      ++current_;
      refusal_ = error.text();
    }
    return true;
  }

  RemoteDisk& source_;
  RemoteDisk& destination_;
  const Offered offered_;
  mutable std::mutex mutex_;  // what follows
  std::size_t current_ = 0;   // of the command sets
  std::string refusal_;       // of the one before
};

}  // namespace

io::Task<Result<std::shared_ptr<block::OffloadedCopy>>> RemoteDisk::offer_copy_from(block::CopyOffload& source) {
  auto* const remote = dynamic_cast<RemoteDisk*>(&source);
  if (remote == nullptr) co_return fail(ENOTSUP, "the source is no disk of a target");
  Lun& from = remote->path();
  Lun& to = path();
  const LinkOptions& way_there = to.session().options().link;
  const LinkOptions& way_from = from.session().options().link;
  const bool one_portal =
      remote->has_portal(way_there.host, way_there.port) || has_portal(way_from.host, way_from.port);
  if (in_one_target(from, to) && !one_portal) {
    co_return fail(ENOTSUP, fmt::format("whether {} at {} is the target at {} is not known; name both disks by one of "
                                        "its portals",
                                        target_of(to), way_from.host, way_there.host));
  }
  std::function<io::Task<Result<Offered>>()> make = [&from, &to] { return ask(from, to); };
  auto offered = co_await at_home(to, std::move(make));
  if (!offered) co_return std::unexpected(offered.error());
  co_return std::make_shared<UnitCopy>(*remote, *this, std::move(*offered));
}

}  // namespace peerlane::initiator
