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

TEST(CommandLine, HelpAndVersionAreAnswers) {
  const struct {
    std::vector<std::string> words;
    const char* text;
  } cases[] = {{{"--help"}, "Subcommands:"},
               {{"serve", "--help"}, "peerlane serve ram:1G"},
               {{"check", "-h"}, "peerlane check /etc"},
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
                                                       {"serve", "--no-such-option", "ram:1M"},
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
