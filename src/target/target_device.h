// A SCSI target device (SAM-5 §4.6.4): the logical units behind one iSCSI target name, and the task router that finds
// the one a command is meant for.
//
//     TargetDevice device("iqn...");
//     device.add(std::make_unique<LogicalUnit>(...));                     // before sessions come
//     auto nexus = device.attach({.initiator = ..., .isid = ..., ...});   // at login
//     Completion completion = co_await device.execute(*nexus, lun_field, command);
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "io/task.h"
#include "scsi/lun.h"
#include "scsi/sense.h"
#include "target/command.h"
#include "target/copy_manager.h"
#include "target/logical_unit.h"
#include "target/token_store.h"

namespace peerlane::target {

/// An I_T nexus (SAM-5 §4.5.5): a session, as the SCSI side of the target sees it. Made by TargetDevice::attach;
/// belongs to one session; its target device outlives it, and no command of it is in progress when it goes.
class Nexus final : public NexusView {
 public:
  const NexusName& name() const override { return name_; }
  std::span<const scsi::Lun> luns() const override { return luns_; }
  void clear_attention(scsi::SenseCode code) override;

  ItlNexus* find(scsi::Lun lun) const override { return lun.value < units_.size() ? units_[lun.value].get() : nullptr; }
  CopyManager* copies() override { return &copies_; }
  TokenStore* tokens() override { return &tokens_; }
  CopySettings copy_settings() const override { return copy_settings_; }

 private:
  friend class TargetDevice;
  Nexus(NexusName name, TokenStore& tokens, const CopySettings& copy_settings)
      : name_(std::move(name)), copy_settings_(copy_settings), tokens_(tokens) {}

  const NexusName name_;
  const CopySettings copy_settings_;
  std::vector<scsi::Lun> luns_;
  std::array<std::unique_ptr<ItlNexus>, limits::kLuns> units_;
  CopyManager copies_;
  TokenStore& tokens_;
};

/// Thread-safe once all logical units are added.
class TargetDevice {
 public:
  explicit TargetDevice(std::string name) : name_(std::move(name)) {}

  /// Its iSCSI name.
  const std::string& name() const { return name_; }

  /// What holds for third-party copies of all nexuses to come. `settings.peers` outlives this.
  void set_copies(const CopySettings& settings) { copy_settings_ = settings; }

  /// Adds a logical unit. `lun` is below limits::kLuns and not taken.
  void add(scsi::Lun lun, std::unique_ptr<LogicalUnit> unit);

  /// A new I_T nexus, attached to all logical units.
  std::unique_ptr<Nexus> attach(NexusName name);

  /// Executes a command on the logical unit that `lun_field` (the eight bytes of the LUN) names: one that was added, or
  /// the REPORT LUNS well known one, which every target device has; if there is none, answers as SAM-5 §5.11 says.
  /// `nexus` and `command` stay until the task has ended.
  io::Task<Completion> execute(Nexus& nexus, std::uint64_t lun_field, Command& command);

  /// The logical unit that `lun_field` names, or null.
  LogicalUnit* find(std::uint64_t lun_field) const;

  /// The format for sense data of a command sent to `lun_field`: see LogicalUnit::descriptor_sense.
  bool descriptor_sense(std::uint64_t lun_field) const;

  /// All logical units, by ascending LUN.
  std::span<const scsi::Lun> luns() const { return luns_; }
  LogicalUnit& unit(scsi::Lun lun) const { return *units_[lun.value]; }

  TokenStore& tokens() { return tokens_; }

 private:
  const std::string name_;
  CopySettings copy_settings_;
  std::vector<scsi::Lun> luns_;
  std::array<std::unique_ptr<LogicalUnit>, limits::kLuns> units_;
  TokenStore tokens_;  // watches the units
};

}  // namespace peerlane::target
