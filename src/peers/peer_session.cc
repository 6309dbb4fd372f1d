#include "peers/peer_session.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "initiator/discovery.h"
#include "iscsi/url.h"
#include "scsi/cscd.h"
#include "scsi/disk_place.h"
#include "scsi/lun.h"
#include "scsi/sense_codes.h"
#include "scsi/vpd.h"

namespace peerlane::peers {
namespace {

constexpr std::chrono::seconds kLookAgain{5};  // before this machine's disks are looked through again for one

std::optional<initiator::Account> account_of(const std::optional<target::ChapAccount>& declared) {
  if (!declared) return std::nullopt;
  return initiator::Account{declared->name, declared->secret};
}

initiator::SessionOptions options_for(const target::PeerDeclaration& declaration) {
  initiator::SessionOptions options;
  options.link.host = declaration.host;
  options.link.port = declaration.port;
  options.link.follow = false;  // to a place that is not listed
  options.link.connect_timeout = limits::kPeerConnectTimeout;
  options.link.login_timeout = limits::kPeerLoginTimeout;
  options.login.initiator_name = declaration.initiator_name;
  options.login.target_name = declaration.target;
  options.login.account = account_of(declaration.account);
  options.login.target_account = account_of(declaration.mutual);
  options.connection.nop_interval = limits::kPeerNopInterval;
  options.connection.nop_timeout = limits::kPeerNopTimeout;
  options.replacement_timeout = limits::kPeerReplacement;
  options.reconnect_most = limits::kPeerReconnectMost;
  return options;
}

std::string url_of(const target::PeerDeclaration& declaration, std::uint32_t lun) {
  iscsi::Url url;
  url.host = declaration.host;
  url.port = declaration.port;
  url.target = declaration.target;
  url.lun = lun;
  return iscsi::to_string(url);
}

initiator::UnitAccess unit_at(initiator::Session& session, std::uint32_t lun) {
  const scsi::Lun number{static_cast<std::uint16_t>(lun)};
  return {session, iscsi::LunField{scsi::encode_lun(number)}, nullptr, false};
}

bool has_name(const std::vector<scsi::Designator>& designators, const scsi::Designator& wanted) {
  return std::ranges::any_of(designators, [&](const auto& own) { return scsi::same_unit(wanted, own); });
}

}  // namespace

/// Keeps a session while a disk of it is lent.
struct PeerSession::Loan {
  explicit Loan(std::shared_ptr<PeerSession> lender) : session(std::move(lender)), pass(session->lent_) {}
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  ~Loan() { session->last_use_ = session->reactor_.now(); }

  std::shared_ptr<PeerSession> session;  // goes after the pass
  io::Gate::Pass pass;
};

// --- Its life ---

io::Task<Result<std::shared_ptr<PeerSession>>> PeerSession::open(io::Reactor& reactor,
                                                                 const target::PeerDeclaration& declaration,
                                                                 LocalDisks& local_disks) {
  initiator::SessionOptions options = options_for(declaration);
  auto opening = initiator::Session::open(reactor, std::move(options));
  auto session = co_await std::move(opening);
  if (!session) co_return std::unexpected(std::move(session.error()));
  co_return std::shared_ptr<PeerSession>(new PeerSession(reactor, declaration, local_disks, std::move(*session)));
}

PeerSession::PeerSession(io::Reactor& reactor, const target::PeerDeclaration& declaration, LocalDisks& local_disks,
                         std::unique_ptr<initiator::Session> session)
    : reactor_(reactor),
      declaration_(declaration),
      local_disks_(local_disks),
      session_(std::move(session)),
      last_use_(reactor.now()) {
  session_->attach(*this);
}

PeerSession::~PeerSession() {
  assert(session_ == nullptr && lent_.inside() == 0);
}

bool PeerSession::usable() const {
  using enum initiator::Session::State;
  const auto state = session_->state();
  return state != kFailed && state != kClosing && state != kClosed;
}

io::Task<void> PeerSession::end() {
  const auto self = shared_from_this();
  co_await lent_.drained();
  cut_short();
  co_await logging_out_.drained();
  for (const auto& [number, unit] : luns_) {
    auto closed = co_await unit.lun->close();
    if (!closed) log::debug("{}: closing LUN {}: {}", declaration_.target, number, closed.error().text());
  }
  luns_.clear();
  session_->detach(*this);
  session_.reset();
}

void PeerSession::cut_short() {
  if (std::exchange(closing_, true)) return;
  io::spawn(log_out());
}

io::Task<void> PeerSession::log_out() {
  const auto self = shared_from_this();
  const io::Gate::Pass pass(logging_out_);
  co_await session_->close();
}

io::Task<Result<void>> PeerSession::restore() {
  directory_.reset();
  return io::ready(Result<void>());
}

void PeerSession::scsi_event(iscsi::LunField, const scsi::Sense& sense) {
  if (sense.code == scsi::sense_codes::kReportedLunsChanged) directory_.reset();
}

// --- Its units ---

io::Task<Result<PeerSession::Found>> PeerSession::find(Wanted wanted) {
  last_use_ = reactor_.now();
  const auto* const designator = std::get_if<scsi::Designator>(&wanted);
  return designator != nullptr ? find_named(*designator) : open_lun(std::get<std::uint32_t>(wanted));
}

bool PeerSession::knows(const scsi::Designator& designator) const {
  return entry_of(designator) != nullptr;
}

const PeerSession::Entry* PeerSession::entry_of(const scsi::Designator& designator) const {
  if (!directory_) return nullptr;
  const auto at =
      std::ranges::find_if(*directory_, [&](const Entry& entry) { return has_name(entry.designators, designator); });
  return at != directory_->end() ? &*at : nullptr;
}

/// Looks anew where the unit is not, or no longer, where it was seen.
io::Task<Result<PeerSession::Found>> PeerSession::find_named(scsi::Designator designator) {
  const io::Gate::Pass pass(lent_);
  if (const Entry* const entry = entry_of(designator)) {
    auto found = co_await open_lun(entry->lun);
    if (!found && !usable()) co_return found;
    if (found && has_name(found->designators, designator)) co_return found;
    directory_.reset();
  }
  // Who asks for units that do not exist does not keep the peer busy.
  const bool fresh = directory_ && reactor_.now() - learned_ < limits::kPeerPause;
  if (!fresh) {
    auto learned = co_await learn();
    if (!learned) co_return std::unexpected(std::move(learned.error()));
  }
  const Entry* const entry = entry_of(designator);
  if (entry == nullptr) co_return fail(ENOENT, fmt::format("{} has no unit of this name", declaration_.target));
  auto found = co_await open_lun(entry->lun);
  if (found && !has_name(found->designators, designator)) co_return fail(ESTALE, "the unit has changed its name");
  co_return found;
}

/// Which units there are, and their names.
io::Task<Result<void>> PeerSession::learn() {
  auto luns = co_await initiator::report_luns(*session_);
  if (!luns) co_return std::unexpected(std::move(luns.error()));
  if (luns->size() > limits::kPeerLuns) {
    log::warning("{} has {} logical units, of which copies find the first {}", declaration_.target, luns->size(),
                 limits::kPeerLuns);
    luns->resize(limits::kPeerLuns);
  }
  std::vector<Entry> entries;
  for (const std::uint32_t lun : *luns) {
    initiator::UnitAccess unit = unit_at(*session_, lun);
    const auto page = co_await unit.vpd(scsi::VpdPage::kDeviceIdentification);
    if (!page && !usable()) co_return std::unexpected(page.error());
    auto designators = page ? scsi::decode_device_identification(*page) : std::nullopt;
    if (designators) entries.push_back({lun, std::move(*designators)});
  }
  directory_ = std::move(entries);
  learned_ = reactor_.now();
  co_return Result<void>();
}

io::Task<Result<PeerSession::Found>> PeerSession::open_lun(std::uint32_t number) {
  const io::Gate::Pass pass(lent_);
  auto at = luns_.find(number);
  if (at != luns_.end()) {
    auto recognised = co_await recognise(*at->second.lun);
    if (!recognised) co_return std::unexpected(std::move(recognised.error()));
  } else {
    if (luns_.size() >= limits::kPeerLuns) co_return fail(ENOBUFS, "too many logical units of it are open");
    initiator::LunOptions options;
    options.spec = url_of(declaration_, number);
    options.read_only = !declaration_.writable;
    auto opening = initiator::Lun::open(session_, number, std::move(options));
    auto lun = co_await std::move(opening);
    if (!lun) co_return std::unexpected(std::move(lun.error()));
    at = luns_.emplace(number, Open{std::move(*lun)}).first;
  }
  Open& unit = at->second;
  Found found{lend(*unit.lun), unit.lun->facts().designators, nullptr};
  auto local = co_await local_disk(unit);
  if (local != nullptr) {
    found.shared = std::make_shared<SharedDisk>(std::move(local), found.lun, found.lun->identity().spec);
  }
  co_return found;
}

bool PeerSession::may_share(const scsi::DiskPlace& place) const {
  return std::ranges::any_of(declaration_.shared_disks, [&](const std::string& pattern) {
    const bool any_rest = pattern.ends_with('*');
    return any_rest ? place.identity.starts_with(pattern.substr(0, pattern.size() - 1)) : place.identity == pattern;
  });
}

/// The disk of this machine that the unit lies on; null: there is none, or none that the configuration lists.
io::Task<std::shared_ptr<LocalDisk>> PeerSession::local_disk(Open& unit) {
  if (declaration_.shared_disks.empty()) co_return nullptr;
  // A unit without the page lies on no disk that others may have. It is asked each time, since it may have moved.
  const auto page = co_await unit.lun->vpd(scsi::VpdPage::kDiskPlace);
  const auto place = page ? scsi::decode_disk_place(*page) : std::nullopt;
  const block::Geometry shape = unit.lun->geometry();
  if (!place || place->length != shape.size || !may_share(*place)) co_return nullptr;
  if (const auto& looked = unit.looked; looked && looked->place == *place) {
    if (looked->disk != nullptr && looked->disk->is_usable()) co_return looked->disk;
    if (reactor_.now() - looked->when < kLookAgain) co_return nullptr;
  }
  scsi::DiskPlace wanted = *place;
  auto opening = local_disks_.open(reactor_, std::move(wanted), shape.logical_block_size);
  auto opened = co_await std::move(opening);
  const std::string& name = unit.lun->identity().spec;
  if (opened) {
    log::info("{} lies on {} of this machine: copies read it there", name, (*opened)->identity().spec);
  } else if (!unit.looked || unit.looked->place != *place || unit.looked->disk != nullptr) {
    log::info("copies read {} over the network: {}", name, opened.error().text());
  }
  auto disk = opened ? std::make_shared<LocalDisk>(std::move(*opened), *place) : nullptr;
  unit.looked = Looked{*place, disk, reactor_.now()};
  co_return disk;
}

/// Whether a unit that is open is still the same; its size is asked for besides.
io::Task<Result<void>> PeerSession::recognise(initiator::Lun& lun) {
  const auto page = co_await lun.vpd(scsi::VpdPage::kDeviceIdentification);
  if (!page) co_return std::unexpected(page.error());
  const auto designators = scsi::decode_device_identification(*page);
  if (!designators || *designators != lun.facts().designators) {
    co_return fail(ESTALE, "another unit answers at a LUN now");
  }
  lun.refresh_size();
  co_return Result<void>();
}

std::shared_ptr<initiator::Lun> PeerSession::lend(initiator::Lun& lun) {
  auto loan = std::make_shared<Loan>(shared_from_this());
  // Given back wherever its borrower is, and noted here.
  auto give_back = [&reactor = reactor_, loan = std::move(loan)](initiator::Lun*) mutable {
    reactor.post([loan = std::move(loan)] {});
  };
  return {&lun, std::move(give_back)};
}

}  // namespace peerlane::peers
