// What the commands print: objects that programs can read, and text for people with the same facts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "block/device.h"
#include "cli/bench_report.h"
#include "cli/discover_report.h"
#include "cli/info_facts.h"
#include "cli/pr.h"
#include "cli/reservation_text.h"
#include "cli/run.h"
#include "cli/sg.h"

namespace peerlane::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Reports, BenchTellsReadsAndWritesApart) {
  BenchResult result;
  result.disk = "ram:1G";
  result.pattern = "randrw";
  result.options.end = 1 << 30;
  result.seconds = 2;
  result.cpu_seconds = 0.5;
  for (unsigned i = 0; i < 900; ++i) result.reads.record(1000);
  for (unsigned i = 0; i < 100; ++i) result.writes.record(9000);
  const auto json = to_json(result);
  EXPECT_EQ(json["ios"], 1000);
  EXPECT_EQ(json["iops"], 500);
  EXPECT_EQ(json["bytes_per_second"], 500 * 4096);
  EXPECT_EQ(json["reads"]["ios"], 900);
  EXPECT_EQ(json["writes"]["ios"], 100);
  EXPECT_EQ(json["reads"]["latency_us"]["p99.99"], 1);
  EXPECT_EQ(json["latency_us"]["p50"], 1);
  EXPECT_EQ(json["latency_us"]["max"], 9);
  EXPECT_EQ(json["latency_us"]["mean"], 1.8);
  EXPECT_EQ(json["cpu_seconds_per_million_ios"], 500);
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_FALSE(json.contains("verify"));
  const std::string text = to_text(result);
  EXPECT_THAT(text, HasSubstr("900 reads, 100 writes"));
  EXPECT_THAT(text, HasSubstr("500 IOPS"));
}

TEST(Reports, BenchOfNothing) {
  BenchResult result;
  result.error = Error{EIO, "it broke"};
  EXPECT_EQ(to_json(result)["error"], "it broke");
  EXPECT_EQ(to_json(result)["iops"], 0);
  EXPECT_THAT(to_text(result), HasSubstr("nothing was measured"));
}

TEST(Reports, BenchProgressGroupsDigits) {
  EXPECT_EQ(bench_progress(12.2, 30, 1234567, 5.0e9), "12 s of 30: 1,234,567 IOPS, 5,000 MB/s");
  EXPECT_EQ(bench_progress(1, std::nullopt, 999, 0), "1 s: 999 IOPS, 0 MB/s");
}

TEST(Reports, DiscoverHasAnErrorWhereItBelongs) {
  FoundTarget good;
  good.target = {"iqn.a", {{"192.0.2.7", 3260, 1}}};
  good.asked = true;
  good.units.push_back({.lun = 3, .url = "iscsi://192.0.2.7:3260/iqn.a/3", .size = 1 << 20, .block_size = 512});
  good.units.push_back({.lun = 4, .url = "iscsi://192.0.2.7:3260/iqn.a/4", .error = "it does not answer"});
  FoundTarget bad;
  bad.target = {"iqn.b", {{"192.0.2.7", 3260, std::nullopt}}};
  bad.asked = true;
  bad.error = "refused";
  const auto json = to_json("iscsi://192.0.2.7", {good, bad});
  EXPECT_EQ(json["targets"][0]["luns"][0]["size"], 1 << 20);
  EXPECT_TRUE(json["targets"][0]["luns"][0]["error"].is_null());
  EXPECT_TRUE(json["targets"][0]["luns"][1]["size"].is_null());
  EXPECT_EQ(json["targets"][0]["luns"][1]["error"], "it does not answer");
  EXPECT_EQ(json["targets"][0]["portals"][0]["group"], 1);
  EXPECT_TRUE(json["targets"][1]["portals"][0]["group"].is_null());
  EXPECT_EQ(json["targets"][1]["error"], "refused");
  const std::string text = to_text({good, bad});
  EXPECT_THAT(text, HasSubstr("LUN 3  1 MiB"));
  EXPECT_THAT(text, HasSubstr("error: refused"));
  EXPECT_THAT(text, Not(HasSubstr("no logical units")));
}

TEST(Reports, InfoOfALocalDisk) {
  const auto disk = block::open_device("ram:3M", {});
  ASSERT_TRUE(disk);
  const auto groups = device_facts(**disk);
  const auto json = to_json(groups);
  EXPECT_EQ(json["geometry"]["size"], 3 << 20);
  EXPECT_EQ(json["capabilities"]["write"], true);
  EXPECT_EQ(json["identity"]["disk"], "ram:3M");
  const std::string text = to_text(groups);
  EXPECT_THAT(text, HasSubstr("3 MiB (3145728 bytes)"));
  EXPECT_THAT(text, HasSubstr("write zeroes"));
  EXPECT_THAT(text, Not(HasSubstr("null")));
}

TEST(Reservations, TypesHaveTwoNamesEach) {
  for (const int code : {1, 3, 5, 6, 7, 8}) {
    const auto type = scsi::reservation_type(static_cast<std::uint8_t>(code));
    ASSERT_TRUE(type);
    EXPECT_EQ(reservation_type_named(name(*type)), type);
  }
  EXPECT_EQ(reservation_type_named("wero"), scsi::ReservationType::kWriteExclusiveRegistrantsOnly);
  EXPECT_EQ(reservation_type_named(""), std::nullopt);
}

TEST(Reservations, Reports) {
  const scsi::FullStatus status{.generation = 7,
                                .registrations = {{.key = 0x1f,
                                                   .holds = scsi::ReservationType::kWriteExclusive,
                                                   .relative_target_port = 2,
                                                   .initiator = {.name = "iqn.a", .isid = 0x80504c000001}}}};
  const auto json = to_json(status);
  EXPECT_EQ(json["registrations"][0]["key"], "0x1f");
  EXPECT_EQ(json["registrations"][0]["holds"], "write-exclusive");
  EXPECT_EQ(json["registrations"][0]["initiator"], "iqn.a,i,0x80504c000001");
  EXPECT_THAT(to_text(status), HasSubstr("0x1f of iqn.a,i,0x80504c000001 at target port 2, holds write-exclusive"));
  EXPECT_TRUE(to_json(scsi::ReservationState{.generation = 1})["reservation"].is_null());
  EXPECT_EQ(to_json(scsi::ReservationKeys{.generation = 1, .keys = {1, 2}})["keys"][1], "0x2");
}

TEST(Reservations, ActionsNeedTheirOptions) {
  PrArguments arguments;
  const auto refusal = [&] {
    const auto command = to_pr_command(arguments);
    return command ? std::string("accepted") : command.error().text();
  };
  arguments.action = "preempt";
  EXPECT_THAT(refusal(), HasSubstr("--key"));
  arguments.key = "1";
  EXPECT_THAT(refusal(), HasSubstr("--victim"));
  arguments.victim = "0x2";
  EXPECT_THAT(refusal(), HasSubstr("--type"));
  arguments.type = "earo";
  const auto command = to_pr_command(arguments);
  ASSERT_TRUE(command);
  const auto& out = std::get<ReserveOutCommand>(*command);
  EXPECT_EQ(out.action, scsi::ReserveOutAction::kPreempt);
  EXPECT_EQ(out.parameters.key, 1u);
  EXPECT_EQ(out.parameters.action_key, 2u);
  EXPECT_EQ(out.type, scsi::ReservationType::kExclusiveAccessRegistrantsOnly);
  arguments.persist = true;
  EXPECT_THAT(refusal(), HasSubstr("--aptpl"));
}

TEST(Reservations, RegisterTakesTheOldKeyIfThereIsOne) {
  PrArguments arguments;
  arguments.action = "register";
  arguments.new_key = "0xffffffffffffffff";
  arguments.persist = true;
  auto command = to_pr_command(arguments);
  ASSERT_TRUE(command);
  EXPECT_EQ(std::get<ReserveOutCommand>(*command).parameters.key, 0u);
  EXPECT_EQ(std::get<ReserveOutCommand>(*command).parameters.action_key, ~std::uint64_t{0});
  EXPECT_TRUE(std::get<ReserveOutCommand>(*command).parameters.persist);
  arguments.new_key = "0x1ffffffffffffffff";
  EXPECT_FALSE(to_pr_command(arguments));
}

TEST(RawCommand, BytesComeInManyForms) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"12", "00", "ff"}, {"1200ff"}, {"12 00 FF"}, {"0x12,0x00,0xff"}, {"12:00", "ff"}}) {
    const auto bytes = parse_hex(words);
    ASSERT_TRUE(bytes) << words.front();
    EXPECT_THAT(*bytes, ElementsAre(0x12, 0x00, 0xff));
  }
  EXPECT_THAT(*parse_hex({"1", "2"}), ElementsAre(1, 2));
  EXPECT_TRUE(parse_hex({})->empty());
  EXPECT_FALSE(parse_hex({"123"}));
  EXPECT_FALSE(parse_hex({"1g"}));
}

TEST(RawCommand, DumpsAllBytes) {
  std::vector<std::uint8_t> bytes(18, 'a');
  bytes[17] = 0;
  EXPECT_EQ(hex_dump(bytes),
            "000000  61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61  aaaaaaaaaaaaaaaa\n"
            "000010  61 00                                            a.\n");
  EXPECT_EQ(hex_dump({}), "");
}

TEST(Numbers, AreDecimalOrHexadecimal) {
  EXPECT_EQ(parse_number("12", "x"), 12u);
  EXPECT_EQ(parse_number("0x1F", "x"), 31u);
  for (const char* const wrong : {"", "0x", "1g", "-1", " 1", "18446744073709551616"}) {
    EXPECT_FALSE(parse_number(wrong, "x")) << wrong;
  }
}

}  // namespace
}  // namespace peerlane::cli
