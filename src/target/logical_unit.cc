#include "target/logical_unit.h"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "scsi/sense_codes.h"
#include "scsi/vpd.h"
#include "target/command_checks.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::string_view kDefaultProduct = "DISK";

UnitIdentity make_identity(const LogicalUnitOptions& options, const block::Identity& device) {
  // NUL ends each part, so that no two different lists of parts are the same text.
  std::string text = options.target_name;
  text += '\0';
  text += std::to_string(options.lun.value);
  text += '\0';
  text += device.stable;
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(as_bytes(text).data(), text.size(), digest.data());

  UnitIdentity identity;
  identity.target_name = options.target_name;
  identity.product = options.product.empty() ? kDefaultProduct : options.product;
  identity.naa = scsi::locally_assigned_naa(get_be64(digest, 0));
  identity.serial = fmt::format("{:016x}", get_be64(digest, 8));
  return identity;
}

/// The cache can be switched on and off where there is one, unless the owner of the unit has decided for good.
ModeValues changeable_modes(const LogicalUnitOptions& options, const block::Capabilities& device) {
  ModeValues changeable;
  changeable.write_cache = device.volatile_cache && !options.write_through;
  changeable.descriptor_sense = true;
  changeable.software_write_protect = true;
  return changeable;
}

ModeValues default_modes(const LogicalUnitOptions& options, const block::Capabilities& device) {
  ModeValues defaults;
  defaults.write_cache = device.volatile_cache && !options.write_through;
  return defaults;
}

/// The place of one value of the unit in its store.
SavedState saved_state(const LogicalUnitOptions& options, std::string_view what, const UnitIdentity& identity) {
  return {options.state, fmt::format("{}-{:016x}", what, identity.naa)};
}

/// Runs a command that needs no waiting but for a buffer for its parameter data.
io::Task<Completion> answer(CommandContext context) {
  const CommandDescription& description = context.description;
  std::optional<io::Buffer> buffer = co_await context.command.allocate(kAnswerBytes);
  if (!buffer) co_return Completion::good();
  const Answer size = description.answer(context, buffer->bytes());
  if (!size) co_return Completion::check(size.error());
  send_answer(context.command, description, std::move(*buffer), *size);
  co_return Completion::good();
}

}  // namespace

ItlNexus::~ItlNexus() {
  unit_.detach(*this);
}

LogicalUnit::LogicalUnit(std::unique_ptr<block::Device> device, const LogicalUnitOptions& options)
    : device_(std::make_unique<WatchedDevice>(std::move(device), changes_)),
      capabilities_(device_->capabilities()),
      block_size_(device_->geometry().logical_block_size),
      physical_block_size_(options.physical_block_size != 0 ? options.physical_block_size
                                                            : device_->geometry().physical_block_size),
      read_only_(options.read_only || capabilities_.read_only),
      identity_(make_identity(options, device_->identity())),
      part_(options.part),
      blocks_(device_->geometry().size / block_size_),
      sanitize_record_(saved_state(options, "sanitize", identity_)),
      modes_(default_modes(options, capabilities_), changeable_modes(options, capabilities_),
             saved_state(options, "mode", identity_)),
      port_groups_(options.port_groups),
      information_(saved_state(options, "information", identity_)),
      reservations_(*this, options.state, fmt::format("reservations-{:016x}", identity_.naa)) {}

LogicalUnit::~LogicalUnit() {
  assert(nexuses_.empty());
}

Result<void> LogicalUnit::load_state() {
  auto loaded = modes_.load();
  if (loaded) loaded = information_.load();
  if (loaded) loaded = reservations_.load();
  if (loaded) loaded = sanitize_record_.load(condition_);
  return loaded;
}

ItlNexus* NexusView::find(scsi::Lun) const {
  return nullptr;
}

std::unique_ptr<ItlNexus> LogicalUnit::attach(NexusView& view) {
  std::unique_ptr<ItlNexus> nexus(new ItlNexus(*this, view, port_groups_.find(view.name().portal_group)));
  nexus->attentions().establish(scsi::sense_codes::kPowerOnOrReset);
  {
    const std::lock_guard lock(nexuses_mutex_);
    nexuses_.push_back(nexus.get());
  }
  reservations_.joined(*nexus);
  return nexus;
}

void LogicalUnit::detach(const ItlNexus& nexus) {
  reservations_.leaves(nexus);
  const std::lock_guard lock(nexuses_mutex_);
  std::erase(nexuses_, &nexus);
  past_statistics_ += nexus.counters_.totals();
}

IoTotals LogicalUnit::all_statistics() const {
  IoTotals all = past_statistics_;
  for (const ItlNexus* const nexus : nexuses_) all += nexus->counters_.totals();
  return all;
}

IoTotals LogicalUnit::statistics() {
  const std::lock_guard lock(nexuses_mutex_);
  return all_statistics() - statistics_origin_;
}

void LogicalUnit::reset_statistics() {
  const std::lock_guard lock(nexuses_mutex_);
  statistics_origin_ = all_statistics();
}

io::Task<Completion> LogicalUnit::execute(ItlNexus& nexus, Command& command) {
  switch (nexus.task_set().enter(command.place(), command.attribute(), scsi::naca(command.cdb()))) {
    case TaskSet::Entrance::kEnabled:
      break;
    case TaskSet::Entrance::kDormant:
      return perform_in_turn(nexus, command);
    case TaskSet::Entrance::kAcaActive:
      return io::ready(Completion{scsi::Status::kAcaActive, std::nullopt});
    case TaskSet::Entrance::kNoAca:
      return io::ready(Completion::check(scsi::illegal_request(scsi::sense_codes::kInvalidMessageError)));
  }
  return perform(nexus, command);
}

io::Task<Completion> LogicalUnit::perform_in_turn(ItlNexus& nexus, Command& command) {
  while (command.place().dormant() && !command.aborted()) co_await command.place().turn();
  if (command.aborted()) co_return Completion::good();
  const Completion completion = co_await perform(nexus, command);
  co_return completion;
}

io::Task<Completion> LogicalUnit::perform(ItlNexus& nexus, Command& command) {
  const auto found = find_command(command.cdb());
  if (!found) return io::ready(Completion::check(found.error()));
  const CommandDescription& description = **found;
  CommandContext context{*this, nexus, command, description, {}};
  if (const auto refused = check_command(context)) return io::ready(*refused);
  if (description.work != nullptr) return description.work(context);
  if (description.direction != DataDirection::kNone) return answer(context);
  const Answer done = description.answer(context, {});
  return io::ready(done ? Completion::good() : Completion::check(done.error()));
}

io::Task<void> LogicalUnit::reset(scsi::SenseCode code, const ItlNexus* requester) {
  const bool had_write_cache = write_cache();
  resets_.fetch_add(1, std::memory_order_acq_rel);
  modes_.restore();
  set_started(true);
  reservations_.reset();
  establish(code, requester);
  if (!had_write_cache || write_cache()) co_return;
  auto flushed = co_await device_->flush();
  if (!flushed) condition_.defer(deferred_failure(flushed.error()));
}

void LogicalUnit::establish(scsi::SenseCode code, const ItlNexus* except) {
  for_each_nexus([&](ItlNexus& nexus) {
    if (&nexus != except) nexus.attentions().establish(code);
  });
}

void LogicalUnit::change_access(std::span<const scsi::SetTargetPortGroup> changes, const ItlNexus* except) {
  const scsi::AccessStatus why = except != nullptr ? scsi::AccessStatus::kExplicit : scsi::AccessStatus::kImplicit;
  if (port_groups_.change(changes, why)) establish(scsi::sense_codes::kAccessStateChanged, except);
}

Result<bool> LogicalUnit::check_size() {
  const auto refreshed = device_->refresh_size();
  if (!refreshed) return std::unexpected(refreshed.error());
  // Compared with what was told last, not with what refresh_size says: another caller may have asked before.
  const std::uint64_t blocks = device_->geometry().size / block_size_;
  if (blocks_.exchange(blocks, std::memory_order_acq_rel) == blocks) return false;
  establish(scsi::sense_codes::kCapacityChanged, nullptr);
  return true;
}

}  // namespace peerlane::target
