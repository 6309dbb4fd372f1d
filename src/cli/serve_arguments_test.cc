#include "cli/serve_arguments.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command_line.h"

namespace peerlane::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

admin::SecretSource fake_secrets() {
  return {[](const std::string& path) -> Result<admin::SecretFile> {
            if (path == "missing") return fail(ENOENT);
            return admin::SecretFile{"the secret in " + path + "\n", false};
          },
          [](const std::string& name) -> std::optional<std::string> { return "the secret in " + name; }};
}

/// What a command line means.
admin::Configuration parse(const std::string& line) {
  std::vector<std::string> words = {"serve"};
  std::istringstream stream(line);
  for (std::string word; stream >> word;) words.push_back(word);
  const auto command_line = parse_command_line(words);
  if (!command_line) {
    ADD_FAILURE() << command_line.error().text;
    return {};
  }
  return to_configuration(std::get<ServeArguments>(*command_line), fake_secrets());
}

std::vector<std::string> findings(const std::string& line) {
  std::vector<std::string> lines;
  for (const admin::Finding& finding : parse(line).findings) lines.push_back(admin::to_line("serve", finding));
  return lines;
}

TEST(ServeArguments, OneDiskWithDefaults) {
  const admin::Configuration configuration = parse("ram:1G");
  EXPECT_THAT(configuration.findings, IsEmpty());
  const target::Declaration& declaration = configuration.declaration;
  ASSERT_EQ(declaration.portals.size(), 1u);
  EXPECT_EQ(declaration.portals[0].host, "127.0.0.1");
  EXPECT_EQ(declaration.portals[0].port, 3260);
  ASSERT_EQ(declaration.targets.size(), 1u);
  EXPECT_THAT(declaration.targets[0].name, ::testing::StartsWith("iqn.2026-11.dev.peerlane:"));
  EXPECT_TRUE(declaration.targets[0].authentication.allow_none);
  ASSERT_EQ(declaration.targets[0].luns.size(), 1u);
  EXPECT_EQ(declaration.targets[0].luns[0].number, 0);
  EXPECT_EQ(declaration.targets[0].luns[0].disk, "ram:1G");
}

TEST(ServeArguments, EveryOptionArrives) {
  const admin::Configuration configuration = parse(
      "--listen 127.0.0.1:0 --listen [::1]:3261 --target-name iqn.2026-11.a:b --alias A --threads 2 --read-only "
      "--block-size 4096 --physical-block-size 4096 --write-through --no-direct --allow-initiator iqn.x:* "
      "--allow-initiator iqn.y "
      "--allow-address 10.0.0.0/8 --chap-user u --chap-secret-file f --mutual-user m --mutual-secret-env E "
      "--allow-anonymous --state s/t --log-level debug --json-log one=ram:1M ram:2M");
  EXPECT_THAT(configuration.findings, IsEmpty());
  EXPECT_TRUE(configuration.json_log);
  EXPECT_EQ(configuration.log_level, log::Level::kDebug);
  const target::Declaration& declaration = configuration.declaration;
  ASSERT_EQ(declaration.portals.size(), 2u);
  EXPECT_EQ(declaration.portals[0].port, 0);
  EXPECT_EQ(declaration.portals[1].host, "::1");
  EXPECT_EQ(declaration.threads, 2u);
  EXPECT_TRUE(declaration.allow_anonymous);
  EXPECT_EQ(declaration.state, "s/t");
  const target::TargetDeclaration& target = declaration.targets.at(0);
  EXPECT_EQ(target.name, "iqn.2026-11.a:b");
  EXPECT_EQ(target.alias, "A");
  EXPECT_THAT(target.access.initiators, ElementsAre("iqn.x:*", "iqn.y"));
  EXPECT_THAT(target.access.addresses, ElementsAre("10.0.0.0/8"));
  EXPECT_FALSE(target.authentication.allow_none);
  ASSERT_EQ(target.authentication.accounts.size(), 1u);
  EXPECT_EQ(target.authentication.accounts[0].name, "u");
  EXPECT_EQ(target.authentication.accounts[0].secret, "the secret in f");
  ASSERT_TRUE(target.authentication.mutual);
  EXPECT_EQ(target.authentication.mutual->secret, "the secret in E");
  EXPECT_FALSE(declaration.discovery.allow_none);
  ASSERT_EQ(target.luns.size(), 2u);
  EXPECT_EQ(target.luns[0].name, "one");
  EXPECT_EQ(target.luns[1].number, 1);
  for (const target::LunDeclaration& lun : target.luns) {
    EXPECT_TRUE(lun.read_only);
    EXPECT_EQ(lun.block_size, 4096u);
    EXPECT_EQ(lun.physical_block_size, 4096u);
    EXPECT_TRUE(lun.write_through);
    EXPECT_FALSE(lun.direct);
  }
}

TEST(ServeArguments, NoDisk) {
  EXPECT_THAT(findings(""), ElementsAre(HasSubstr("there is no disk to serve")));
}

TEST(ServeArguments, AllMistakesAtOnce) {
  EXPECT_THAT(
      findings("--listen somewhere --target-name disk --allow-initiator me --allow-address there /nonexistent ram:x"),
      ElementsAre(HasSubstr("\"somewhere\""), HasSubstr("\"disk\""), HasSubstr("\"me\""), HasSubstr("\"there\""),
                  HasSubstr("/nonexistent"), HasSubstr("\"x\" is not a size")));
}

TEST(ServeArguments, ListeningTwice) {
  EXPECT_THAT(findings("--listen 127.0.0.1 --listen 127.0.0.1:3260 ram:1M"),
              ElementsAre(HasSubstr("listened on already")));
}

TEST(ServeArguments, BeyondLoopback) {
  EXPECT_THAT(findings("--listen 0.0.0.0 ram:1M"), ElementsAre(HasSubstr("--allow-anonymous")));
  EXPECT_THAT(findings("--listen 0.0.0.0 --allow-anonymous ram:1M"), IsEmpty());
  EXPECT_THAT(findings("--listen 0.0.0.0 --chap-user u --chap-secret-file f ram:1M"), IsEmpty());
}

TEST(ServeArguments, Accounts) {
  EXPECT_THAT(findings("--chap-user u ram:1M"), ElementsAre(HasSubstr("--chap-secret-file or --chap-secret-env")));
  EXPECT_THAT(findings("--chap-secret-file f ram:1M"), ElementsAre(HasSubstr("--chap-user needs a name")));
  EXPECT_THAT(findings("--chap-user u --chap-secret-file f --chap-secret-env E ram:1M"),
              ElementsAre(HasSubstr("one secret")));
  EXPECT_THAT(findings("--chap-user u --chap-secret-file missing ram:1M"), ElementsAre(HasSubstr("cannot be read")));
  EXPECT_THAT(findings("--mutual-user m --mutual-secret-file f ram:1M"), ElementsAre(HasSubstr("without --chap-user")));
  EXPECT_THAT(findings("--chap-user u --chap-secret-file f --mutual-user m --mutual-secret-file f ram:1M"),
              ElementsAre(HasSubstr("is the same as")));
}

TEST(ServeArguments, AMissingSecretNeverOpensTheDoor) {
  const admin::Configuration configuration = parse("--chap-user u --chap-secret-file missing ram:1M");
  EXPECT_FALSE(configuration.declaration.targets.at(0).authentication.allow_none);
}

TEST(ServeArguments, ConfigExcludesTheRest) {
  const auto lines = findings("--config /nonexistent.toml --read-only");
  EXPECT_THAT(lines, ElementsAre(HasSubstr("cannot be read"), HasSubstr("--config was given together with")));
}

TEST(ServeArguments, Cache) {
  const admin::Configuration configuration = parse("--cache write-back --cache-memory 64M --read-ahead 2M /dev/null");
  const target::LunDeclaration& lun = configuration.declaration.targets.at(0).luns.at(0);
  EXPECT_EQ(lun.filters.cache.mode, block::CacheMode::kWriteBack);
  EXPECT_EQ(lun.filters.cache.read_ahead, 2u << 20);
  EXPECT_EQ(configuration.declaration.cache_memory, 64u << 20);
  EXPECT_THAT(findings("--cache write-through ram:1M"), ElementsAre(HasSubstr("in memory already")));
  EXPECT_THAT(findings("--cache-memory 64M ram:1M"), ElementsAre(HasSubstr("do nothing without a cache")));
  EXPECT_THAT(findings("--cache write-through --cache-memory 1M --read-ahead x ram:1M"),
              ElementsAre(HasSubstr("--cache-memory cannot be \"1M\""), HasSubstr("--read-ahead cannot be \"x\""),
                          HasSubstr("in memory already")));
  EXPECT_THAT(findings("--cache write-back --write-through ram:1M"), ElementsAre(HasSubstr("cannot go both")));
  EXPECT_THAT(findings("--config /nonexistent.toml --cache off"),
              ElementsAre(HasSubstr("cannot be read"), HasSubstr("--config was given together with")));
}

}  // namespace
}  // namespace peerlane::cli
