// For tests: a logical unit on a FaultyDevice, and one I_T_L nexus to it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "target/logical_unit.h"
#include "target/testing/fake_command.h"
#include "target/testing/faulty_device.h"
#include "target/testing/run.h"

namespace peerlane::target::testing {

class FakeView final : public NexusView {
 public:
  FakeView() = default;
  explicit FakeView(NexusName name) : name_(std::move(name)) {}

  const NexusName& name() const override { return name_; }
  std::span<const scsi::Lun> luns() const override { return luns_; }
  void clear_attention(scsi::SenseCode code) override { cleared = code; }

  ItlNexus* find(scsi::Lun lun) const override { return lun == luns_[1] ? other : nullptr; }

  std::optional<scsi::SenseCode> cleared;
  ItlNexus* other = nullptr;  // with the unit of the second LUN

 private:
  NexusName name_{.initiator = "iqn.2026-11.test:initiator", .isid = 1, .portal_group = 7};
  std::array<scsi::Lun, 2> luns_{scsi::Lun{0}, scsi::Lun{3}};
};

class UnitTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBlocks = 65536;

  /// Makes the device; set what it claims before start().
  void prepare(std::uint32_t block_size = 512) { prepare_size(kBlocks * block_size, block_size); }
  void prepare_size(std::uint64_t bytes, std::uint32_t block_size = 512) {
    owned_ = std::make_unique<FaultyDevice>(bytes, block_size);
    device = owned_.get();
  }
  void start(LogicalUnitOptions options = {}) {
    if (!owned_) prepare();
    options.target_name = "iqn.2026-11.test:target";
    if (options.port_groups.empty()) options.port_groups = {{.tag = 7}, {.tag = 8}};
    unit = std::make_unique<LogicalUnit>(std::move(owned_), options);
    nexus = unit->attach(view);
    while (nexus->attentions().take()) {
    }
  }

  Completion execute(FakeCommand& command) { return execute(*nexus, command); }
  Completion execute(ItlNexus& through, FakeCommand& command) {
    std::optional<Completion> result;
    io::spawn(keep_result(unit->execute(through, command), result));
    while (!result && executor().run_one()) {
    }
    Completion completion = result.value();
    if (TaskSet* const set = command.place().leave(completion.status)) set->advance();
    return completion;
  }
  Completion execute(FakeCommand&& command) { return execute(command); }
  /// Lets it run until it has to wait; `result` is set when it has ended.
  void begin(FakeCommand& command, std::optional<Completion>& result) {
    io::spawn(keep_result(unit->execute(*nexus, command), result));
  }
  void TearDown() override { executor().run_all(); }

  /// Fills blocks with a byte, without the unit's help.
  void fill(std::uint64_t lba, std::uint64_t count, std::uint8_t value) {
    const std::vector<std::uint8_t> data(count * unit->block_size(), value);
    ASSERT_TRUE(run(device->write(lba * unit->block_size(), data, block::WriteFlags::kNone)));
    device->log.clear();
  }
  std::vector<std::uint8_t> contents(std::uint64_t lba, std::uint64_t count) {
    std::vector<std::uint8_t> data(count * unit->block_size());
    EXPECT_TRUE(run(device->read(lba * unit->block_size(), data)));
    device->log.pop_back();
    return data;
  }

  FaultyDevice* device = nullptr;
  FakeView view;
  std::unique_ptr<LogicalUnit> unit;
  std::unique_ptr<ItlNexus> nexus;

 private:
  std::unique_ptr<FaultyDevice> owned_;
};

inline std::vector<std::uint8_t> repeated(std::size_t size, unsigned value) {
  return std::vector<std::uint8_t>(size, static_cast<std::uint8_t>(value));
}

inline void expect_good(const Completion& completion) {
  EXPECT_EQ(completion.status, scsi::Status::kGood);
  EXPECT_FALSE(completion.sense) << std::hex << static_cast<unsigned>(completion.sense->code);
}

inline void expect_check(const Completion& completion, scsi::SenseKey key, scsi::SenseCode code) {
  EXPECT_EQ(completion.status, scsi::Status::kCheckCondition);
  ASSERT_TRUE(completion.sense);
  EXPECT_EQ(completion.sense->key, key);
  EXPECT_EQ(static_cast<unsigned>(completion.sense->code), static_cast<unsigned>(code));
}

inline void expect_invalid_field(const Completion& completion, unsigned byte, std::optional<unsigned> bit) {
  expect_check(completion, scsi::SenseKey::kIllegalRequest, scsi::sense_codes::kInvalidFieldInCdb);
  ASSERT_TRUE(completion.sense && completion.sense->field);
  EXPECT_TRUE(completion.sense->field->in_cdb);
  EXPECT_EQ(completion.sense->field->byte, byte);
  EXPECT_EQ(completion.sense->field->bit.has_value(), bit.has_value());
  if (bit && completion.sense->field->bit) {
    EXPECT_EQ(*completion.sense->field->bit, *bit);
  }
}

}  // namespace peerlane::target::testing
