// LOG SENSE and LOG SELECT, SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS.

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "copy/job.h"
#include "scsi/copy_log_page.h"
#include "scsi/log_page.h"
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

class LogTest : public testing::UnitTest {
 protected:
  static FakeCommand sense(unsigned page, unsigned subpage = 0, unsigned pointer = 0, unsigned control = 1) {
    return FakeCommand({0x4d, 0, control << 6 | page, subpage, 0, pointer >> 8, pointer & 0xff, 4, 0, 0}, 1024);
  }
  Bytes log(unsigned page, unsigned subpage = 0, unsigned pointer = 0, unsigned control = 1) {
    FakeCommand command = sense(page, subpage, pointer, control);
    expect_good(execute(command));
    return command.data_in();
  }
  /// The four counters of the statistics page.
  std::array<std::uint64_t, 4> counters(unsigned control = 1) {
    const Bytes page = log(0x19, 0, 0, control);
    const auto parameters = scsi::decode_log_parameters(page);
    EXPECT_EQ(parameters->size(), 3u);
    const ByteView value = parameters->at(0).value;
    EXPECT_EQ(value.size(), 64u);
    EXPECT_TRUE(std::all_of(value.begin() + 32, value.end(), [](std::uint8_t byte) { return byte == 0; }));
    return {get_be64(value, 0), get_be64(value, 8), get_be64(value, 16), get_be64(value, 24)};
  }
  void read(unsigned count) { expect_good(execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, count, 0}, count * 512))); }
  void write(unsigned count) {
    FakeCommand command({0x2a, 0, 0, 0, 0, 0, 0, 0, count, 0});
    expect_good(execute(command.sends(repeated(count * std::size_t{512}, 1))));
  }
  Completion diagnose(unsigned flags, const Bytes& list = {}) {
    FakeCommand command({0x1d, flags, 0, 0, static_cast<unsigned>(list.size()), 0});
    return execute(command.sends(list));
  }
};

using Codes = std::vector<scsi::LogPageCode>;

TEST_F(LogTest, SupportedPages) {
  start();
  EXPECT_EQ(log(0x00), (Bytes{0x00, 0, 0, 5, 0x00, 0x0c, 0x19, 0x2f, 0x36}));
  const auto all = scsi::decode_supported_log_pages(log(0x00, 0xff));
  EXPECT_EQ(all, (Codes{{0x00, 0}, {0x00, 0xff}, {0x0c, 0}, {0x19, 0}, {0x2f, 0}, {0x36, 0}}));
  for (const scsi::LogPageCode code : *all) {
    const Bytes page = log(code.page, code.subpage);
    EXPECT_EQ(scsi::log_page_code(page), code);
    EXPECT_EQ(get_be16(page, 2), page.size() - 4);
  }
  nexus.reset();

  prepare();
  device->claims.unmap = false;
  start();
  EXPECT_EQ(log(0x00), (Bytes{0x00, 0, 0, 4, 0x00, 0x19, 0x2f, 0x36}));
  expect_invalid_field(execute(sense(0x0c)), 2, 5);
}

copy::Summary copied(copy::Way way, std::uint64_t bytes, const char* through) {
  copy::Summary summary;
  summary.account.add(way, bytes);
  summary.account.memory_bytes = way == copy::Way::kHostMemory ? bytes : 0;
  summary.through = through;
  return summary;
}

TEST_F(LogTest, CopiesThatHaveBeen) {
  start();
  const auto before = scsi::decode_copy_log(log(0x36));
  ASSERT_TRUE(before);
  EXPECT_EQ(copy::kWays, before->ways.size());
  EXPECT_EQ("", before->last);
  unit->copy_tally().add(copied(copy::Way::kPeerToPeer, 1u << 20, "through the memory of 0000:03:00.0"));
  EXPECT_EQ("peer-to-peer through the memory of 0000:03:00.0", scsi::decode_copy_log(log(0x36))->last);
  unit->copy_tally().add(copied(copy::Way::kHostMemory, 5, ""));
  unit->copy_tally().add(copied(copy::Way::kHostMemory, 6, ""));
  unit->copy_tally().add({});  // it ended before it moved anything
  const auto after = scsi::decode_copy_log(log(0x36));
  EXPECT_EQ("host memory", after->last);
  EXPECT_EQ(11u, after->memory_bytes);
  for (const scsi::CopyLog::Way& way : after->ways) {
    EXPECT_EQ(way.name == "peer-to-peer" ? 1u << 20 : way.name == "host memory" ? 11u : 0u, way.bytes) << way.name;
  }
  EXPECT_EQ(log(0x36, 0, 0, 3).size(), 4u) << "no counter has a default value";
}

TEST_F(LogTest, CopiesThatMightBe) {
  start();
  expect_invalid_field(execute(sense(0x36, 0, 0x101)), 5, std::nullopt);  // after what has been, before what might be
  EXPECT_EQ(log(0x36, 0, 0x4000).size(), 4u) << "the nexus has no other unit";
  LogicalUnitOptions options;
  options.target_name = "iqn.2026-11.test:target";
  options.lun = scsi::Lun{3};
  options.port_groups = {{.tag = 7}, {.tag = 8}};
  LogicalUnit other(std::make_unique<testing::FaultyDevice>(1u << 20, 512), options);
  const auto to_other = other.attach(view);
  view.other = to_other.get();
  for (const unsigned first : {0x4000u, 0x4003u}) {
    const auto forecast = scsi::decode_copy_forecast(log(0x36, 0, first), scsi::Lun{3});
    ASSERT_TRUE(forecast);
    EXPECT_EQ("host memory", forecast->way);
    EXPECT_FALSE(forecast->refusals.empty());
  }
  EXPECT_EQ(log(0x36, 0, 0x4004).size(), 4u);
  EXPECT_FALSE(scsi::decode_copy_forecast(log(0x36, 0, 0), scsi::Lun{3}))
      << "it takes work, and is for who asks for it";
  other.set_started(false);
  EXPECT_EQ("nothing, as a unit cannot be used now",
            scsi::decode_copy_forecast(log(0x36, 0, 0x4000), scsi::Lun{3})->way);
  view.other = nullptr;
}

TEST_F(LogTest, WhatThereIsNot) {
  start();
  expect_invalid_field(execute(sense(0x02)), 2, 5);
  expect_invalid_field(execute(sense(0x19, 0x01)), 3, std::nullopt);
  expect_invalid_field(execute(sense(0x3f)), 2, 5);
  expect_invalid_field(execute(sense(0x19, 0, 4)), 5, std::nullopt);  // after the last parameter
  expect_invalid_field(execute(sense(0x00, 0, 1)), 5, std::nullopt);  // a list has no parameters
  EXPECT_EQ(log(0x19, 0, 1), log(0x19));
  EXPECT_EQ(log(0x19, 0, 2).size(), 4u + 12 + 12);
  expect_invalid_field(execute(sense(0x19, 0, 0, 0)), 2, 7);  // thresholds
  expect_invalid_field(execute(sense(0x19, 0, 0, 2)), 2, 7);
  expect_invalid_field(execute(FakeCommand({0x4d, 1, 0x59, 0, 0, 0, 0, 4, 0, 0}, 1024)), 1, 0);  // SP
}

TEST_F(LogTest, AllocationLength) {
  start();
  for (unsigned length = 0; length < 100; ++length) {
    FakeCommand command({0x4d, 0, 0x59, 0, 0, 0, 0, 0, length, 0}, 255);
    expect_good(execute(command));
    EXPECT_EQ(command.data_in().size(), std::min(length, 96u));
  }
}

TEST_F(LogTest, StatisticsCountWhatSucceeds) {
  start();
  EXPECT_EQ(counters(), (std::array<std::uint64_t, 4>{0, 0, 0, 0}));
  read(3);
  read(4);
  write(5);
  EXPECT_EQ(counters(), (std::array<std::uint64_t, 4>{2, 1, 5, 7}));
  device->read_error = EIO;
  execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512));
  execute(FakeCommand({0x28, 0, 0xff, 0, 0, 0, 0, 0, 1, 0}, 512));
  EXPECT_EQ(counters(), (std::array<std::uint64_t, 4>{2, 1, 5, 7}));
  EXPECT_EQ(counters(3), (std::array<std::uint64_t, 4>{0, 0, 0, 0}));  // the defaults
}

TEST_F(LogTest, StatisticsAreOfAllSessionsAndOutliveThem) {
  start();
  read(3);
  nexus.reset();
  nexus = unit->attach(view);
  while (nexus->attentions().take()) {
  }
  write(1);
  EXPECT_EQ(counters(), (std::array<std::uint64_t, 4>{1, 1, 1, 3}));
}

TEST_F(LogTest, SelectSetsCountersToZero) {
  start();
  const auto select = [](unsigned flags, unsigned page, unsigned subpage = 0) {
    return FakeCommand({0x4c, flags, page, subpage, 0, 0, 0, 0, 0, 0});
  };
  const auto other = unit->attach(view);
  while (other->attentions().take()) {
  }
  read(3);
  expect_good(execute(select(0, 0x40)));  // nothing asked for
  expect_good(execute(select(2, 0x2f)));  // another page
  EXPECT_EQ(counters()[0], 1u);
  EXPECT_FALSE(other->attentions().pending());
  expect_good(execute(select(2, 0x00)));  // PCR, all pages
  EXPECT_EQ(counters()[0], 0u);
  EXPECT_EQ(other->attentions().take()->code, codes::kLogParametersChanged);
  EXPECT_FALSE(nexus->attentions().pending());
  read(1);
  expect_good(execute(select(2, 0x19)));
  EXPECT_EQ(counters()[0], 0u);
  read(1);
  expect_good(execute(select(0, 0xd9)));  // default cumulative values
  EXPECT_EQ(counters()[0], 0u);
  expect_invalid_field(execute(select(2, 0x02)), 2, 5);
  expect_invalid_field(execute(FakeCommand({0x4c, 0, 0x40, 0, 0, 0, 0, 0, 4, 0})), 7, std::nullopt);
}

TEST_F(LogTest, ProvisioningTellsTheSpaceOfTheDisk) {
  start();
  const auto used = [this] {
    const Bytes page = log(0x0c);
    const auto parameters = scsi::decode_log_parameters(page);
    EXPECT_EQ(parameters->size(), 2u);
    EXPECT_EQ(parameters->at(0).code, 1);
    EXPECT_EQ(get_be32(parameters->at(0).value, 0), 1000u);
    EXPECT_EQ(parameters->at(1).code, 2);
    EXPECT_EQ(parameters->at(1).value[4], 1);  // SCOPE: this logical unit
    return get_be32(parameters->at(1).value, 0);
  };
  device->available = 512'000;
  EXPECT_EQ(used(), 0u);
  write(1);
  EXPECT_EQ(used(), 8u);  // a page of 4096 bytes
}

TEST_F(LogTest, NoInformationalExceptions) {
  start();
  EXPECT_EQ(log(0x2f), (Bytes{0x2f, 0, 0, 8, 0, 0, 3, 4, 0, 0, 0xff, 0}));
}

// --- Diagnostics ---

TEST_F(LogTest, SelfTestReadsTheDiskAndFlushes) {
  start();
  for (const unsigned flags : {0x04u, 0x07u, 0x14u, 0xa0u, 0xc0u}) {
    device->log.clear();
    expect_good(diagnose(flags));
    EXPECT_EQ(device->log, (std::vector<std::string>{"read 0+512", "read 33553920+512", "flush"})) << flags;
  }
}

TEST_F(LogTest, SelfTestTellsTheTruth) {
  start();
  device->read_error = EIO;
  device->successes = 1;
  expect_check(diagnose(0x04), SenseKey::kHardwareError, codes::kSelfTestFailed);
  device->read_error.reset();
  device->flush_error = EIO;
  expect_check(diagnose(0x04), SenseKey::kHardwareError, codes::kSelfTestFailed);
  device->flush_error.reset();
  expect_good(diagnose(0x04));
}

TEST_F(LogTest, OtherTestsAreNotOffered) {
  start();
  for (const unsigned code : {1u, 2u, 3u, 4u, 7u}) expect_invalid_field(diagnose(code << 5), 1, 7);
  expect_invalid_field(diagnose(0xa4), 1, 7);  // SELFTEST with a code
  expect_invalid_field(diagnose(0x04, Bytes(4)), 3, std::nullopt);
  EXPECT_TRUE(device->log.empty());
}

TEST_F(LogTest, DiagnosticPages) {
  start();
  expect_good(diagnose(0x00));
  expect_good(diagnose(0x10, {0, 0, 0, 0}));
  FakeCommand receive({0x1c, 0, 0, 0, 255, 0}, 255);
  expect_good(execute(receive));
  EXPECT_EQ(receive.data_in(), (Bytes{0, 0, 0, 1, 0}));
  FakeCommand named({0x1c, 1, 0, 0, 4, 0}, 255);
  expect_good(execute(named));
  EXPECT_EQ(named.data_in(), (Bytes{0, 0, 0, 1}));
  expect_invalid_field(execute(FakeCommand({0x1c, 1, 0x40, 0, 255, 0}, 255)), 2, std::nullopt);
  expect_invalid_field(diagnose(0x00, {0, 0, 0, 0}), 1, 4);  // no PF
  expect_check(diagnose(0x10, {0x40, 0, 0, 0}), SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
  expect_check(diagnose(0x10, {0, 0, 0, 1, 0}), SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
  expect_check(diagnose(0x10, {0, 0, 0}), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
}

}  // namespace
}  // namespace peerlane::target
