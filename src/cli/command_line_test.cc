#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CommandLine, Serve) {
  const auto parsed = parse_command_line({"serve", "--listen", "127.0.0.1", "--read-only", "a=/srv/a", "ram:1G"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  const auto& serve = std::get<ServeArguments>(*parsed);
  EXPECT_THAT(serve.listen, ElementsAre("127.0.0.1"));
  EXPECT_TRUE(serve.read_only);
  EXPECT_THAT(serve.disks, ElementsAre("a=/srv/a", "ram:1G"));
}

TEST(CommandLine, AnOptionTakesNoDisk) {
  const auto parsed =
      parse_command_line({"serve", "--allow-initiator", "iqn.a", "ram:1G", "--listen", "127.0.0.1", "ram:2G"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_THAT(std::get<ServeArguments>(*parsed).disks, ElementsAre("ram:1G", "ram:2G"));
}

TEST(CommandLine, Check) {
  const auto parsed = parse_command_line({"check", "/etc/peerlane.toml", "--json"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(std::get<CheckArguments>(*parsed).file, "/etc/peerlane.toml");
  EXPECT_TRUE(std::get<CheckArguments>(*parsed).json);
}

TEST(CommandLine, ACdbFollowsTwoDashes) {
  const auto parsed = parse_command_line({"sg", "iscsi://h/iqn.a/0", "--in", "96", "--", "12", "00", "60", "00"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  const auto& sg = std::get<SgArguments>(*parsed);
  EXPECT_EQ(sg.disk, "iscsi://h/iqn.a/0");
  EXPECT_EQ(sg.in, "96");
  EXPECT_THAT(sg.cdb, ElementsAre("12", "00", "60", "00"));
}

TEST(CommandLine, ReservationsAndLoads) {
  const auto pr = parse_command_line({"pr", "iscsi://h/iqn.a/0", "reserve", "--key", "1", "--type", "we"});
  ASSERT_TRUE(pr) << pr.error().text;
  EXPECT_EQ(std::get<PrArguments>(*pr).action, "reserve");
  const auto bench = parse_command_line({"bench", "ram:1G", "-p", "randrw", "-q", "8", "-t", "2.5", "-y"});
  ASSERT_TRUE(bench) << bench.error().text;
  EXPECT_EQ(std::get<BenchArguments>(*bench).depth, 8u);
  EXPECT_EQ(std::get<BenchArguments>(*bench).time, 2.5);
  EXPECT_TRUE(std::get<BenchArguments>(*bench).yes);
}

TEST(CommandLine, AttachAndDetach) {
  const auto parsed = parse_command_line({"attach", "--queues", "2", "--depth", "64", "iscsi://host/iqn.a/0"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  const auto& attach = std::get<AttachArguments>(*parsed);
  EXPECT_EQ(attach.disk, "iscsi://host/iqn.a/0");
  EXPECT_EQ(attach.queues, 2u);
  EXPECT_EQ(attach.depth, 64u);
  EXPECT_FALSE(attach.foreground);

  const auto list = parse_command_line({"attach", "--list", "--json"});
  ASSERT_TRUE(list) << list.error().text;
  EXPECT_TRUE(std::get<AttachArguments>(*list).list);

  const auto detach = parse_command_line({"detach", "/dev/ublkb0", "--force"});
  ASSERT_TRUE(detach) << detach.error().text;
  EXPECT_EQ(std::get<DetachArguments>(*detach).disk, "/dev/ublkb0");
  EXPECT_TRUE(std::get<DetachArguments>(*detach).force);
}

TEST(CommandLine, HelpAndVersionAreAnswers) {
  const struct {
    std::vector<std::string> words;
    const char* text;
  } cases[] = {{{"--help"}, "Subcommands:"},
               {{"serve", "--help"}, "peerlane serve ram:1G"},
               {{"check", "-h"}, "peerlane check /etc"},
               {{"bench", "--help"}, "--read-percent"},
               {{"info", "--help"}, "peerlane info /dev"},
               {{"discover", "--help"}, "--targets-only"},
               {{"pr", "--help"}, "read-full-status"},
               {{"unmap", "--help"}, "--yes"},
               {{"sg", "--help"}, "TEST UNIT READY"},
               {{"--version"}, "compiler: "}};
  for (const auto& expected : cases) {
    const auto parsed = parse_command_line(expected.words);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().exit_code, ExitCode::kOk);
    EXPECT_THAT(parsed.error().text, HasSubstr(expected.text));
    EXPECT_TRUE(parsed.error().text.ends_with('\n'));
  }
}

TEST(CommandLine, WhatIsWrong) {
  const std::vector<std::vector<std::string>> lines = {{},
                                                       {"dance"},
                                                       {"check"},
                                                       {"check", "a", "b"},
                                                       {"bench", "ram:1M", "--depth", "1025"},
                                                       {"bench", "ram:1M", "--pattern", "dance"},
                                                       {"pr", "iscsi://h/iqn.a/0", "dance"},
                                                       {"sg", "iscsi://h/iqn.a/0"},
                                                       {"unmap", "a", "--all", "--length", "1M"},
                                                       {"discover"},
                                                       {"serve", "--no-such-option", "ram:1M"},
                                                       {"attach"},
                                                       {"attach", "--list", "ram:1M"},
                                                       {"attach", "--queues", "0", "ram:1M"},
                                                       {"attach", "--depth", "1025", "ram:1M"},
                                                       {"detach"},
                                                       {"serve", "--threads", "0", "ram:1M"},
                                                       {"serve", "--threads", "257", "ram:1M"},
                                                       {"serve", "--threads", "two", "ram:1M"},
                                                       {"serve", "--block-size", "1024", "ram:1M"},
                                                       {"serve", "--log-level", "loud", "ram:1M"}};
  for (const auto& words : lines) {
    const auto parsed = parse_command_line(words);
    ASSERT_FALSE(parsed) << ::testing::PrintToString(words);
    EXPECT_EQ(parsed.error().exit_code, ExitCode::kUsage);
    EXPECT_THAT(parsed.error().text, StartsWith("peerlane: "));
  }
}

}  // namespace
}  // namespace peerlane::cli
