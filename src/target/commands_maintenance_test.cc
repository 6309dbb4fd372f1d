// REPORT and SET IDENTIFYING INFORMATION, REPORT and SET TIMESTAMP.

#include <gtest/gtest.h>

#include "base/limits.h"
#include "scsi/identifying_information.h"
#include "scsi/timestamp.h"
#include "scsi/transport_id.h"
#include "target/testing/fake_state_store.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;
using testing::repeated;
using Bytes = std::vector<std::uint8_t>;

class MaintenanceTest : public testing::UnitTest {
 protected:
  void begin() {
    LogicalUnitOptions options;
    options.state = &store;
    start(options);
    EXPECT_TRUE(unit->load_state());
    other = unit->attach(view);
    while (other->attentions().take()) {
    }
  }
  void restart() {
    other.reset();
    nexus.reset();
    prepare();
    begin();
  }
  static FakeCommand report(unsigned type) {
    return FakeCommand({0xa3, 0x05, 0, 0, 0, 0, 0, 0, 4, 0, type << 1, 0}, 1024);
  }
  std::string information(unsigned type) {
    FakeCommand command = report(type);
    expect_good(execute(command));
    EXPECT_EQ(get_be16(command.data_in(), 2), command.data_in().size() - 4);
    return std::string(as_text(scsi::decode_identifying_information(command.data_in()).value()));
  }
  Completion set(unsigned type, const std::string& text) {
    const auto size = static_cast<unsigned>(text.size());
    FakeCommand command({0xa4, 0x06, 0, 0, 0, 0, 0, 0, size >> 8, size & 0xff, type << 1, 0});
    return execute(command.sends(Bytes(text.begin(), text.end())));
  }
  scsi::Timestamp timestamp() {
    FakeCommand command({0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0}, 12);
    expect_good(execute(command));
    return scsi::decode_timestamp(command.data_in()).value();
  }
  Completion set_time(const Bytes& list) {
    FakeCommand command({0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, static_cast<unsigned>(list.size()), 0, 0});
    return execute(command.sends(list));
  }

  testing::FakeStateStore store;
  std::unique_ptr<ItlNexus> other;
  void TearDown() override { other.reset(); }
};

TEST_F(MaintenanceTest, TypesAndTheirLengths) {
  begin();
  FakeCommand command = report(0x7f);
  expect_good(execute(command));
  EXPECT_EQ(scsi::decode_supported_information(command.data_in()),
            (std::vector<scsi::SupportedInformation>{{scsi::InformationType::kIdentifier, 512},
                                                     {scsi::InformationType::kText, 256}}));
  for (const unsigned type : {0x02u, 0x7eu}) {
    expect_invalid_field(execute(report(type)), 10, 7);
    expect_invalid_field(set(type, "a"), 10, 7);
  }
  expect_invalid_field(set(0x7f, "a"), 10, 7);
}

TEST_F(MaintenanceTest, InformationIsKeptAcrossARestart) {
  begin();
  EXPECT_EQ(information(0), "");
  const std::string binary("\x00\xff\n\"", 4);
  expect_good(set(0, binary));
  expect_good(set(1, std::string("Gr\xc3\xbc\xc3\x9f\x65", 7) + '\0'));
  EXPECT_EQ(information(0), binary);
  restart();
  EXPECT_EQ(information(0), binary);
  EXPECT_EQ(information(1), std::string("Gr\xc3\xbc\xc3\x9f\x65", 7) + '\0');
  expect_good(set(0, ""));  // removes it
  EXPECT_EQ(information(0), "");
  EXPECT_EQ(information(1).size(), 8u);
}

TEST_F(MaintenanceTest, OthersAreTold) {
  begin();
  expect_good(set(0, "x"));
  EXPECT_FALSE(nexus->attentions().pending());
  EXPECT_EQ(other->attentions().take()->code, codes::kDeviceIdentifierChanged);
}

TEST_F(MaintenanceTest, InformationThatIsTooLongOrNoText) {
  begin();
  expect_good(set(0, std::string(limits::kIdentifierBytes, 'x')));
  expect_invalid_field(set(0, std::string(limits::kIdentifierBytes + 1, 'x')), 6, std::nullopt);
  expect_good(set(1, std::string(limits::kIdentifierTextBytes - 1, 'x') + '\0'));
  expect_invalid_field(set(1, std::string(limits::kIdentifierTextBytes + 1, '\0')), 6, std::nullopt);
  for (const std::string& text : {std::string("no end"), std::string("two\0ends\0", 9), std::string("early\0end", 9)}) {
    expect_check(set(1, text), SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
  }
  EXPECT_EQ(information(1).size(), limits::kIdentifierTextBytes);
  restart();
  EXPECT_EQ(information(0).size(), limits::kIdentifierBytes);
}

TEST_F(MaintenanceTest, WhatCannotBeKeptIsNotTaken) {
  begin();
  store.save_error = EIO;
  expect_check(set(0, "x"), SenseKey::kHardwareError, codes::kInternalTargetFailure);
  EXPECT_EQ(information(0), "");
  EXPECT_FALSE(other->attentions().pending());
  store.save_error.reset();
  const auto turn = unit->information().changes().take();
  EXPECT_EQ(set(0, "x").status, scsi::Status::kBusy);
}

TEST_F(MaintenanceTest, WithoutAPlaceThereIsNoSuchCommand) {
  start();
  expect_check(set(0, "x"), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
  EXPECT_EQ(information(0), "");
}

TEST_F(MaintenanceTest, DamagedInformationIsAnError) {
  begin();
  expect_good(set(0, "x"));
  std::string& value = store.kept.begin()->second;
  for (const char* const damaged : {"x", R"({"version":1,"identifier":"7"})", R"({"version":1,"text":"7G"})",
                                    R"({"version":1,"text":7})", R"({"version":0})"}) {
    value = damaged;
    EXPECT_FALSE(unit->load_state()) << damaged;
  }
  value = R"({"version":1,"text":")" + std::string(2 * limits::kIdentifierTextBytes + 2, '0') + "\"}";
  EXPECT_FALSE(unit->load_state());
}

TEST_F(MaintenanceTest, CommandsHaveNoPriorities) {
  begin();
  const auto priorities = [this](unsigned which, unsigned length) {
    FakeCommand command({0xa3, 0x0e, which << 6, 0, 0, 0, 0, 0, 0, length, 0, 0}, 255);
    expect_good(execute(command));
    return Bytes(command.data_in());
  };
  const Bytes own = priorities(0, 255);
  ASSERT_GE(own.size(), 12u);
  EXPECT_EQ(get_be32(own, 0), own.size() - 4);
  // No priority; relative target port 7.
  EXPECT_EQ(Bytes(own.begin() + 4, own.begin() + 10), (Bytes{0, 0, 0, 7, 0, 0}));
  EXPECT_EQ(get_be16(own, 10), own.size() - 12);
  const auto id = scsi::decode_transport_id(ByteView(own).subspan(12));
  ASSERT_TRUE(id);
  EXPECT_EQ(id->id, (scsi::TransportId{.name = "iqn.2026-11.test:initiator", .isid = 1}));
  EXPECT_EQ(id->size, own.size() - 12);
  EXPECT_EQ(priorities(0, 6).size(), 6u);
  EXPECT_EQ(priorities(1, 255), Bytes(4, 0));
  expect_invalid_field(execute(FakeCommand({0xa3, 0x0e, 0x80, 0, 0, 0, 0, 0, 0, 255, 0, 0}, 255)), 2, 7);
}

TEST_F(MaintenanceTest, TheTimestampIsTheHostsUntilItIsSet) {
  start();
  const std::uint64_t before = UnitTimestamp::host_clock();
  const scsi::Timestamp now = timestamp();
  EXPECT_EQ(now.origin, scsi::TimestampOrigin::kOutside);
  EXPECT_GE(now.milliseconds, before);
  EXPECT_LE(now.milliseconds, UnitTimestamp::host_clock());
  const auto joined = unit->attach(view);
  while (joined->attentions().take()) {
  }
  expect_good(set_time({0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(joined->attentions().take()->code, codes::kTimestampChanged);
  const scsi::Timestamp then = timestamp();
  EXPECT_EQ(then.origin, scsi::TimestampOrigin::kSet);
  EXPECT_GE(then.milliseconds, 0x10000u);
  EXPECT_LT(then.milliseconds, 0x10000u + 60'000);
}

TEST_F(MaintenanceTest, TimestampListsOfAnotherLength) {
  start();
  expect_good(set_time({}));
  expect_check(set_time(Bytes(11)), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  EXPECT_EQ(timestamp().origin, scsi::TimestampOrigin::kOutside);
}

TEST(UnitTimestamp, GoesOnWithTheHostsClock) {
  UnitTimestamp timestamp;
  timestamp.set(100, 5000);
  EXPECT_EQ(timestamp.at(5007).milliseconds, 107u);
  timestamp.set(0xffff'ffff'ffff, 5000);
  EXPECT_EQ(timestamp.at(5001).milliseconds, 0u);  // 48 bits
}

}  // namespace
}  // namespace peerlane::target
