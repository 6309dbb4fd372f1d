// Asymmetric logical unit access: what is reported, what is let through in which state, and how states change.

#include <array>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

#include "scsi/port_groups.h"
#include "target/command_table.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::AccessState;
using scsi::SenseKey;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;
using testing::repeated;
using Bytes = std::vector<std::uint8_t>;

/// A session that came to the other portal group.
class OtherView final : public NexusView {
 public:
  const NexusName& name() const override { return name_; }
  std::span<const scsi::Lun> luns() const override { return {}; }
  void clear_attention(scsi::SenseCode) override {}

 private:
  NexusName name_{.initiator = "iqn.2026-11.test:initiator", .isid = 2, .portal_group = 8};
};

class PortGroupsTest : public testing::UnitTest {
 protected:
  void begin(AccessState seven = AccessState::kOptimized, AccessState eight = AccessState::kNonOptimized) {
    LogicalUnitOptions options;
    options.port_groups = {{.tag = 7, .state = seven}, {.tag = 8, .state = eight, .preferred = true}};
    start(options);
    other = unit->attach(other_view);
    while (other->attentions().take()) {
    }
  }
  std::vector<scsi::TargetPortGroup> report(unsigned format = 0) {
    FakeCommand command({0xa3, 0x0a | format << 5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256);
    expect_good(execute(command));
    return scsi::decode_port_groups(command.data_in()).value();
  }
  Completion set(const Bytes& list) {
    FakeCommand command({0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, static_cast<unsigned>(list.size()), 0, 0});
    return execute(command.sends(list));
  }
  Completion set(AccessState state, std::uint16_t tag) {
    Bytes list(8);
    scsi::encode_set_port_groups(std::array{scsi::SetTargetPortGroup{state, tag}}, list);
    return set(list);
  }

  OtherView other_view;
  std::unique_ptr<ItlNexus> other;
  void TearDown() override { other.reset(); }
};

TEST_F(PortGroupsTest, Report) {
  begin();
  const auto groups = report();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0],
            (scsi::TargetPortGroup{.state = AccessState::kOptimized, .supported = 0x8f, .group = 7, .ports = {7}}));
  EXPECT_EQ(groups[1],
            (scsi::TargetPortGroup{
                .preferred = true, .state = AccessState::kNonOptimized, .supported = 0x8f, .group = 8, .ports = {8}}));
  EXPECT_EQ(report(1), groups);
  FakeCommand extended({0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}, 8);
  expect_good(execute(extended));
  EXPECT_EQ(extended.data_in(), (Bytes{0, 0, 0, 28, 0x10, 0, 0, 0}));
  expect_invalid_field(execute(FakeCommand({0xa3, 0x4a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256)), 1, 6);
}

TEST_F(PortGroupsTest, AnExplicitChangeIsToldToTheOthers) {
  begin();
  expect_good(set(AccessState::kStandby, 8));
  EXPECT_EQ(report()[1].state, AccessState::kStandby);
  EXPECT_EQ(report()[1].status, scsi::AccessStatus::kExplicit);
  EXPECT_EQ(report()[0].status, scsi::AccessStatus::kNone);
  EXPECT_EQ(other->access_state(), AccessState::kStandby);
  EXPECT_FALSE(nexus->attentions().pending());
  const auto attention = other->attentions().take();
  ASSERT_TRUE(attention);
  EXPECT_EQ(attention->code, codes::kAccessStateChanged);
  expect_good(set(AccessState::kStandby, 8));  // as it is already
  EXPECT_FALSE(other->attentions().pending());
}

TEST_F(PortGroupsTest, SwitchingOverInOneList) {
  begin(AccessState::kOptimized, AccessState::kStandby);
  expect_good(set({0, 0, 0, 0, 0x02, 0, 0, 7, 0x00, 0, 0, 8}));
  EXPECT_EQ(nexus->access_state(), AccessState::kStandby);
  EXPECT_EQ(other->access_state(), AccessState::kOptimized);
  // From a port in standby the way back is open.
  expect_good(set(AccessState::kOptimized, 7));
  EXPECT_EQ(nexus->access_state(), AccessState::kOptimized);
}

TEST_F(PortGroupsTest, AnImplicitChangeIsToldToAll) {
  begin();
  unit->change_access(std::array{scsi::SetTargetPortGroup{AccessState::kTransitioning, 8}}, nullptr);
  for (ItlNexus* const each : {nexus.get(), other.get()}) {
    const auto attention = each->attentions().take();
    ASSERT_TRUE(attention);
    EXPECT_EQ(attention->code, codes::kAccessStateChanged);
  }
  EXPECT_EQ(report()[1].state, AccessState::kTransitioning);
  EXPECT_EQ(report()[1].status, scsi::AccessStatus::kImplicit);
}

TEST_F(PortGroupsTest, ListsThatAreWrongChangeNothing) {
  begin();
  const auto expect_at = [](const Completion& completion, unsigned byte, std::optional<std::uint8_t> bit) {
    expect_check(completion, SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
    ASSERT_TRUE(completion.sense->field);
    EXPECT_EQ(completion.sense->field->byte, byte);
    EXPECT_EQ(completion.sense->field->bit, bit);
  };
  for (const unsigned state : {0x04u, 0x05u, 0x0du, 0x0eu, 0x0fu}) {
    expect_at(set({0, 0, 0, 0, 2, 0, 0, 8, static_cast<std::uint8_t>(state), 0, 0, 7}), 8, std::uint8_t{3});
  }
  expect_at(set({0, 0, 0, 0, 2, 0, 0, 8, 0, 0, 0, 9}), 10, std::nullopt);
  for (const std::size_t size : {1u, 3u, 5u, 7u, 10u}) {
    expect_check(set(Bytes(size)), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  }
  EXPECT_EQ(report()[1].state, AccessState::kNonOptimized);
  EXPECT_FALSE(other->attentions().pending());
  expect_good(set(Bytes{}));
  expect_good(set(Bytes(4)));
}

TEST_F(PortGroupsTest, EachStateLetsThroughWhatTheStandardNames) {
  // SPC-4 §5.16.2.4.4 (standby), §5.16.2.4.5 (unavailable), §5.16.2.5 (transitioning); READ CAPACITY besides.
  const std::set<std::string_view> transitioning{"INQUIRY", "REPORT LUNS", "REQUEST SENSE",
                                                 "REPORT TARGET PORT GROUPS"};
  std::set<std::string_view> unavailable = transitioning;
  unavailable.insert("SET TARGET PORT GROUPS");
  std::set<std::string_view> standby = unavailable;
  for (const std::string_view name :
       {"LOG SELECT", "LOG SENSE", "MODE SELECT(6)", "MODE SELECT(10)", "MODE SENSE(6)", "MODE SENSE(10)",
        "RECEIVE DIAGNOSTIC RESULTS", "SEND DIAGNOSTIC", "READ CAPACITY(10)", "READ CAPACITY(16)",
        "REPORT IDENTIFYING INFORMATION", "REPORT SUPPORTED OPERATION CODES",
        "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", "REPORT TIMESTAMP"}) {
    standby.insert(name);
  }
  for (const CommandDescription& row : command_table()) {
    if (row.name.starts_with("PERSISTENT RESERVE")) continue;
    EXPECT_EQ(row.access >= AccessNeed::kStandby, standby.contains(row.name)) << row.name;
    EXPECT_EQ(row.access >= AccessNeed::kUnavailable, unavailable.contains(row.name)) << row.name;
    EXPECT_EQ(row.access >= AccessNeed::kTransitioning, transitioning.contains(row.name)) << row.name;
  }
}

TEST_F(PortGroupsTest, WhatIsNotLetThroughSaysWhy) {
  struct Case {
    AccessState state;
    std::optional<scsi::SenseCode> refused;
  };
  for (const Case& which : {Case{AccessState::kOptimized, {}},
                            {AccessState::kNonOptimized, {}},
                            {AccessState::kStandby, codes::kTargetPortStandby},
                            {AccessState::kUnavailable, codes::kTargetPortUnavailable},
                            {AccessState::kTransitioning, codes::kAccessStateTransition}}) {
    begin(which.state);
    expect_good(execute(FakeCommand({0x12, 0, 0, 0, 96, 0}, 96)));
    expect_good(execute(FakeCommand({0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256)));
    FakeCommand write({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
    write.sends(repeated(512, 1));
    FakeCommand read({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512);
    FakeCommand ready({0x00, 0, 0, 0, 0, 0});
    for (FakeCommand* const command : {&write, &read, &ready}) {
      const Completion done = execute(*command);
      if (which.refused) {
        expect_check(done, SenseKey::kNotReady, *which.refused);
      } else {
        expect_good(done);
      }
    }
    EXPECT_EQ(device->log.empty(), which.refused.has_value());
    // The other port is not concerned.
    FakeCommand elsewhere({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512);
    expect_good(testing::run(unit->execute(*other, elsewhere)));
    elsewhere.place().leave();
    other.reset();
    nexus.reset();
  }
}

TEST_F(PortGroupsTest, AUnitAttentionComesFirst) {
  begin(AccessState::kStandby);
  nexus->attentions().establish(codes::kAccessStateChanged);
  expect_check(execute(FakeCommand({0x00, 0, 0, 0, 0, 0})), SenseKey::kUnitAttention, codes::kAccessStateChanged);
  expect_check(execute(FakeCommand({0x00, 0, 0, 0, 0, 0})), SenseKey::kNotReady, codes::kTargetPortStandby);
}

TEST_F(PortGroupsTest, APortalGroupThatWasNotDeclaredIsActive) {
  LogicalUnitOptions options;
  options.port_groups = {{.tag = 1, .state = AccessState::kUnavailable}};
  start(options);  // the session is of group 7
  EXPECT_EQ(nexus->access_state(), AccessState::kOptimized);
  EXPECT_EQ(report().size(), 1u);
}

}  // namespace
}  // namespace peerlane::target
