#include "admin/config.h"

#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::admin {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// Secrets that are there without files: "good.secret", "open.secret" (others may read it), "short.secret";
/// GOOD_SECRET.
SecretSource fake_secrets() {
  return {[](const std::string& path) -> Result<SecretFile> {
            if (path.ends_with("short.secret")) return SecretFile{"short\n", false};
            if (path.ends_with("lines.secret")) return SecretFile{"first line is long\nsecond\n", false};
            if (path.ends_with(".secret"))
              return SecretFile{"secret of " + path + "\r\n", path.ends_with("open.secret")};
            return fail(ENOENT);
          },
          [](const std::string& name) -> std::optional<std::string> {
            if (!name.ends_with("_SECRET")) return std::nullopt;
            return "from the environment " + name;
          }};
}

Configuration parse(std::string_view text) {
  ConfigurationContext context;
  context.secrets = fake_secrets();
  context.check_disks = false;
  return parse_configuration(text, context);
}

/// The findings as "LINE:COLUMN severity what; remedy".
std::vector<std::string> findings(const Configuration& configuration) {
  std::vector<std::string> lines;
  for (const Finding& finding : configuration.findings) lines.push_back(to_line("f", finding).substr(2));
  return lines;
}

std::vector<std::string> findings(std::string_view text) {
  return findings(parse(text));
}

/// A file with one target with one LUN that has nothing wrong, before `more`.
std::string with_target(std::string_view more) {
  return fmt::format("[[target]]\nname = \"iqn.2026-11.com.example:a\"\nlun = [{{ disk = \"ram:1G\" }}]\n{}", more);
}

TEST(Configuration, MinimalFileHasDefaults) {
  const Configuration configuration = parse("[[target]]\n[[target.lun]]\ndisk = \"ram:1G\"\n");
  EXPECT_THAT(findings(configuration), IsEmpty());
  const target::Declaration& declaration = configuration.declaration;
  ASSERT_EQ(declaration.portals.size(), 1u);
  EXPECT_EQ(declaration.portals[0].host, "127.0.0.1");
  EXPECT_EQ(declaration.portals[0].port, 3260);
  EXPECT_EQ(declaration.portals[0].group_tag, 1);
  ASSERT_EQ(declaration.targets.size(), 1u);
  EXPECT_THAT(declaration.targets[0].name, StartsWith("iqn.2026-11.dev.peerlane:"));
  EXPECT_TRUE(declaration.targets[0].authentication.allow_none);
  ASSERT_EQ(declaration.targets[0].luns.size(), 1u);
  const target::LunDeclaration& lun = declaration.targets[0].luns[0];
  EXPECT_EQ(lun.number, 0);
  EXPECT_EQ(lun.disk, "ram:1G");
  EXPECT_EQ(lun.block_size, 0u);
  EXPECT_FALSE(lun.read_only);
  EXPECT_TRUE(lun.direct);
  EXPECT_FALSE(lun.write_through);
  EXPECT_EQ(declaration.threads, 0u);
}

TEST(Configuration, EveryKeyArrives) {
  const Configuration configuration = parse(R"(
[service]
threads = 3
poll = 50
allow_anonymous = true
json_log = true
log_level = "debug"
state = "/var/lib/elsewhere"
[[portal]]
listen = "[::1]:3261"
group = 7
[discovery.chap]
accounts = [{ name = "d", secret_file = "d.secret" }]
required = false
[[target]]
name = "iqn.2026-11.com.example:a"
alias = "A"
portal_groups = [7]
access = { initiators = ["iqn.x:*"], addresses = ["10.0.0.0/8", "::1"] }
[target.chap]
accounts = [{ name = "u", secret_env = "U_SECRET" }, { name = "v", secret = "inline secret of v" }]
mutual = { name = "t", secret_file = "t.secret" }
[[target.lun]]
number = 9
disk = "/dev/sda"
name = "first"
block_size = 4096
physical_block_size = 4096
read_only = true
direct = false
write_cache = "through"
)");
  EXPECT_THAT(findings(configuration), IsEmpty());
  const target::Declaration& declaration = configuration.declaration;
  EXPECT_EQ(declaration.threads, 3u);
  EXPECT_EQ(declaration.poll.count(), 50);
  EXPECT_TRUE(declaration.allow_anonymous);
  EXPECT_EQ(declaration.state, "/var/lib/elsewhere");
  EXPECT_TRUE(configuration.json_log);
  EXPECT_EQ(configuration.log_level, log::Level::kDebug);
  ASSERT_EQ(declaration.portals.size(), 1u);
  EXPECT_EQ(declaration.portals[0].host, "::1");
  EXPECT_EQ(declaration.portals[0].port, 3261);
  EXPECT_EQ(declaration.portals[0].group_tag, 7);
  EXPECT_TRUE(declaration.discovery.allow_none);
  ASSERT_EQ(declaration.discovery.accounts.size(), 1u);
  EXPECT_EQ(declaration.discovery.accounts[0].secret, "secret of d.secret");
  ASSERT_EQ(declaration.targets.size(), 1u);
  const target::TargetDeclaration& target = declaration.targets[0];
  EXPECT_EQ(target.alias, "A");
  EXPECT_THAT(target.portal_groups, ElementsAre(7));
  EXPECT_THAT(target.access.initiators, ElementsAre("iqn.x:*"));
  EXPECT_THAT(target.access.addresses, ElementsAre("10.0.0.0/8", "::1"));
  EXPECT_FALSE(target.authentication.allow_none);
  ASSERT_EQ(target.authentication.accounts.size(), 2u);
  EXPECT_EQ(target.authentication.accounts[0].secret, "from the environment U_SECRET");
  EXPECT_EQ(target.authentication.accounts[1].secret, "inline secret of v");
  ASSERT_TRUE(target.authentication.mutual);
  EXPECT_EQ(target.authentication.mutual->name, "t");
  ASSERT_EQ(target.luns.size(), 1u);
  const target::LunDeclaration& lun = target.luns[0];
  EXPECT_EQ(lun.number, 9);
  EXPECT_EQ(lun.disk, "/dev/sda");
  EXPECT_EQ(lun.name, "first");
  EXPECT_EQ(lun.block_size, 4096u);
  EXPECT_EQ(lun.physical_block_size, 4096u);
  EXPECT_TRUE(lun.read_only);
  EXPECT_FALSE(lun.direct);
  EXPECT_TRUE(lun.write_through);
}

TEST(Configuration, PortGroups) {
  const std::string portals = "[[portal]]\nlisten = \"127.0.0.1:1\"\n[[portal]]\nlisten = \"127.0.0.1:2\"\ngroup = 2\n";
  const Configuration configuration =
      parse(portals + with_target("[[target.port_group]]\ngroup = 2\nstate = \"standby\"\npreferred = true\n"
                                  "[[target.port_group]]\ngroup = 1\n"));
  EXPECT_THAT(findings(configuration), IsEmpty());
  const auto& states = configuration.declaration.targets[0].access_states;
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[0].tag, 2);
  EXPECT_EQ(states[0].state, scsi::AccessState::kStandby);
  EXPECT_TRUE(states[0].preferred);
  EXPECT_EQ(states[1].state, scsi::AccessState::kOptimized);
  EXPECT_FALSE(states[1].preferred);

  const auto wrong = [&](std::string_view more) { return findings(portals + with_target(more)); };
  EXPECT_THAT(wrong("[[target.port_group]]\nstate = \"standby\"\n"), ElementsAre(HasSubstr("has no group")));
  EXPECT_THAT(wrong("[[target.port_group]]\ngroup = 3\n"), ElementsAre(HasSubstr("no portal of group 3")));
  EXPECT_THAT(wrong("portal_groups = [1]\n[[target.port_group]]\ngroup = 2\n"),
              ElementsAre(HasSubstr("no portal of group 2")));
  EXPECT_THAT(wrong("[[target.port_group]]\ngroup = 1\nstate = \"offline\"\n"),
              ElementsAre(AllOf(HasSubstr("state"), HasSubstr("non-optimized"))));
  EXPECT_THAT(wrong("[[target.port_group]]\ngroup = 1\n[[target.port_group]]\ngroup = 1\n"),
              ElementsAre(HasSubstr("described already")));
}

TEST(Configuration, PortalGroupsHaveALimit) {
  std::string portals;
  for (unsigned group = 1; group <= limits::kPortalGroups + 2; ++group) {
    portals += fmt::format("[[portal]]\nlisten = \"127.0.0.1:{}\"\ngroup = {}\n", group, group);
  }
  EXPECT_THAT(findings(portals + with_target("")), ElementsAre(HasSubstr("more than 256 portal groups")));
}

TEST(Configuration, BrokenFormIsReportedWithItsPlace) {
  const Configuration configuration = parse("[service]\nthreads = = 2\n");
  ASSERT_EQ(configuration.findings.size(), 1u);
  EXPECT_EQ(configuration.findings[0].line, 2u);
  EXPECT_GT(configuration.findings[0].column, 1u);
  EXPECT_TRUE(has_errors(configuration.findings));
}

TEST(Configuration, AllMistakesAreReportedAtOnceInOrder) {
  EXPECT_THAT(
      findings(R"([service]
threads = 0
alow_anonymous = true
[[portal]]
listen = "localhost"
[[target]]
name = "disk1"
[[target.lun]]
block_size = 1024
disk = "nbd:unix:/x"
)"),
      ElementsAre(AllOf(StartsWith("2:11: error: threads of [service] cannot be 0"), HasSubstr("from 1 to 256")),
                  AllOf(StartsWith("3:1: error: [service] has no key \"alow_anonymous\""),
                        HasSubstr("did you mean allow_anonymous?")),
                  AllOf(StartsWith("5:10: error: \"localhost\" is not a numeric address"), HasSubstr("127.0.0.1:3260")),
                  AllOf(StartsWith("7:8: error: \"disk1\" is not an iSCSI name"), HasSubstr("iqn.")),
                  AllOf(StartsWith("9:14: error: a block size of 1024"), HasSubstr("512 or 4096"))));
}

TEST(Configuration, NoTargetIsAnError) {
  EXPECT_THAT(findings(""), ElementsAre(HasSubstr("there is no target; add one")));
  EXPECT_THAT(findings("[[target]]\nname = \"iqn.2026-11.a:b\"\n"), ElementsAre(HasSubstr("has no disk; add one")));
}

TEST(Configuration, TargetWithoutDoubleBrackets) {
  EXPECT_THAT(findings("[target]\nname = \"iqn.2026-11.a:b\"\n"), ElementsAre(HasSubstr("double brackets")));
}

TEST(Configuration, WrongTypes) {
  EXPECT_THAT(findings(with_target("[service]\nthreads = \"2\"\njson_log = 1\nlog_level = 3\n")),
              ElementsAre(HasSubstr("5:11: error: threads of [service] must be a number, not a text"),
                          HasSubstr("6:12: error: json_log of [service] must be true or false, not a number"),
                          HasSubstr("7:13: error: log_level of [service] must be a text, not a number")));
  EXPECT_THAT(findings(with_target("access = { initiators = \"iqn.x\", addresses = [1] }\n")),
              ElementsAre(HasSubstr("must be a list of texts, not a text"),
                          HasSubstr("must be a list of texts, not a number")));
}

TEST(Configuration, UnknownChoice) {
  EXPECT_THAT(
      findings("[[target]]\n[[target.lun]]\ndisk = \"ram:1G\"\nwrite_cache = \"off\"\n"),
      ElementsAre(AllOf(HasSubstr("4:15"), HasSubstr("cannot be \"off\""), HasSubstr("\"back\", \"through\""))));
}

TEST(Configuration, UnknownKeyWithoutSimilarOne) {
  EXPECT_THAT(findings(with_target("[service]\nzzzzzzzz = 1\n")),
              ElementsAre(HasSubstr("the keys here are: allow_anonymous, cache_memory, json_log, "
                                    "log_level, p2p, poll, state, threads")));
}

TEST(Configuration, AStateDirectoryThatCannotBeUsedIsAWarning) {
  ConfigurationContext context;
  context.directory = "/dev";
  const auto text = "[[target]]\nlun = [{ disk = \"ram:1M\" }]\n[service]\nstate = \"null\"\n";
  const Configuration configuration = parse_configuration(text, context);
  EXPECT_EQ(configuration.declaration.state, "/dev/null");
  EXPECT_FALSE(has_errors(configuration.findings));
  EXPECT_THAT(findings(configuration), ElementsAre(HasSubstr("4:9: warning: /dev/null is no directory")));
}

TEST(Configuration, DuplicateTargetNames) {
  EXPECT_THAT(findings(with_target(with_target(""))), ElementsAre(HasSubstr("5:8: error: there is a target")));
}

TEST(Configuration, DuplicateLunNumbers) {
  EXPECT_THAT(findings("[[target]]\nlun = [{ disk = \"ram:1M\", number = 1 }, { disk = \"ram:1M\" }]\n"),
              ElementsAre(HasSubstr("there is a LUN 1 already")));
  EXPECT_THAT(findings("[[target]]\nlun = [{ disk = \"ram:1M\", number = 256 }]\n"),
              ElementsAre(HasSubstr("from 0 to 255")));
}

TEST(Configuration, CollidingPortals) {
  EXPECT_THAT(findings(with_target("[[portal]]\nlisten=\"127.0.0.1\"\n[[portal]]\nlisten=\"127.0.0.1:3260\"\n")),
              ElementsAre(HasSubstr("is listened on already")));
  EXPECT_THAT(findings(with_target("[[portal]]\nlisten=\"127.0.0.1:0\"\n[[portal]]\nlisten=\"127.0.0.1:0\"\n")),
              IsEmpty());
  EXPECT_THAT(findings(with_target("[service]\nallow_anonymous=true\n"
                                   "[[portal]]\nlisten=\"127.0.0.1\"\n[[portal]]\nlisten=\"0.0.0.0\"\n")),
              ElementsAre(HasSubstr("is listened on already")));
}

TEST(Configuration, PortalGroupThatNoPortalHas) {
  EXPECT_THAT(findings(with_target("portal_groups = [1, 3]\n")),
              ElementsAre(HasSubstr("4:21: error: no portal is of group 3")));
}

TEST(Configuration, AccessListSyntax) {
  EXPECT_THAT(
      findings(with_target("access = { initiators = [\"host\"], addresses = [\"10.0.0.1/8\", \"a\", \"::/129\"] }\n")),
      ElementsAre(HasSubstr("\"host\" is not an iSCSI name"),
                  AllOf(HasSubstr("bits set after its 8 bits"), HasSubstr("10.0.0.0/8")),
                  HasSubstr("\"a\" is not a numeric address"), HasSubstr("from 0 to 128")));
}

TEST(Configuration, SecretsThatAreNotGood) {
  EXPECT_THAT(
      findings(with_target(R"([target.chap]
accounts = [
  { name = "a", secret = "11 bytes..." },
  { name = "b", secret_file = "short.secret" },
  { name = "c", secret_env = "NOT_SET" },
  { name = "d", secret_file = "missing" },
  { name = "e" },
  { name = "f", secret_env = "F_SECRET", secret_file = "f.secret" },
  { name = "g", secret_file = "lines.secret" },
  { secret_file = "h.secret" },
]
)")),
      ElementsAre(HasSubstr("6:26: error: the secret here has 11 bytes"),
                  HasSubstr("7:31: error: the secret in short.secret has 5 bytes"),
                  HasSubstr("8:30: error: the environment variable NOT_SET is not set"),
                  HasSubstr("9:31: error: the secret file missing cannot be read: No such file"),
                  HasSubstr("10:12: error: an account needs one secret"),
                  HasSubstr("11:12: error: an account needs one secret"),
                  HasSubstr("12:31: error: the secret in lines.secret contains a control character or a line break"),
                  HasSubstr("an account needs a name")));
}

TEST(Configuration, SecretsNeverAppearInFindings) {
  const auto lines = findings(with_target("[target.chap]\naccounts = [{ name = \"a\", secret = \"hunter2\" }]\n"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], ::testing::Not(HasSubstr("hunter2")));
}

TEST(Configuration, SameSecretInBothDirections) {
  EXPECT_THAT(findings(with_target("[target.chap]\n"
                                   "accounts = [{ name = \"a\", secret_file = \"x.secret\" }]\n"
                                   "mutual = { name = \"b\", secret_file = \"x.secret\" }\n")),
              ElementsAre(HasSubstr("6:10: error: the target's own secret is the same as that of the account \"a\"")));
}

TEST(Configuration, AccountTwice) {
  EXPECT_THAT(findings(with_target("[target.chap]\naccounts = [{ name = \"a\", secret_file = \"x.secret\" }, "
                                   "{ name = \"a\", secret_file = \"y.secret\" }]\n")),
              ElementsAre(HasSubstr("there is an account \"a\" already")));
}

TEST(Configuration, ReadableSecretFileIsAWarning) {
  const Configuration configuration =
      parse(with_target("[target.chap]\naccounts = [{ name = \"a\", secret_file = \"open.secret\" }]\n"));
  EXPECT_THAT(findings(configuration),
              ElementsAre(AllOf(HasSubstr("5:41: warning"), HasSubstr("chmod 600 open.secret"))));
  EXPECT_FALSE(has_errors(configuration.findings));
}

TEST(Configuration, InlineSecretInReadableFileIsAWarning) {
  ConfigurationContext context;
  context.readable_by_others = true;
  const Configuration configuration = parse_configuration(
      with_target("[target.chap]\naccounts = [{ name = \"a\", secret = \"long enough a\" }, { name = \"b\", "
                  "secret = \"long enough b\" }]\n"),
      context);
  EXPECT_THAT(findings(configuration), ElementsAre(HasSubstr("warning: other users may read this file")));
}

TEST(Configuration, ListeningBeyondLoopbackNeedsAuthentication) {
  const std::string portal = "[[portal]]\nlisten = \"0.0.0.0:3260\"\n";
  const std::string chap = "[target.chap]\naccounts = [{ name = \"a\", secret_file = \"x.secret\" }]\n";
  EXPECT_THAT(
      findings(portal + with_target("")),
      ElementsAre(AllOf(HasSubstr("4:8: error"), HasSubstr("without authentication"), HasSubstr("allow_anonymous"))));
  EXPECT_THAT(findings(portal + with_target(chap)), IsEmpty());
  EXPECT_THAT(findings(portal + with_target(chap + "required = false\n")),
              ElementsAre(HasSubstr("without authentication")));
  EXPECT_THAT(findings("[service]\nallow_anonymous = true\n" + portal + with_target("")), IsEmpty());
  EXPECT_THAT(
      findings(portal + "group = 2\n[[portal]]\nlisten = \"[::1]:3260\"\n" + with_target("portal_groups = [1]\n")),
      IsEmpty());
}

TEST(Configuration, RelativePathsStartAtTheFile) {
  ConfigurationContext context;
  context.directory = "/etc/peerlane";
  context.secrets = fake_secrets();
  context.check_disks = false;
  const Configuration configuration = parse_configuration(
      "[[target]]\nlun = [{ disk = \"a.img\" }, { disk = \"/b.img\" }, { disk = \"ram:1G\" }, { disk = \"../c.img\" "
      "}]\n",
      context);
  EXPECT_THAT(findings(configuration), IsEmpty());
  const auto& luns = configuration.declaration.targets.at(0).luns;
  ASSERT_EQ(luns.size(), 4u);
  EXPECT_EQ(luns[0].disk, "/etc/peerlane/a.img");
  EXPECT_EQ(luns[1].disk, "/b.img");
  EXPECT_EQ(luns[2].disk, "ram:1G");
  EXPECT_EQ(luns[3].disk, "/etc/c.img");
}

TEST(Configuration, DisksThatDoNotExist) {
  ConfigurationContext context;
  const Configuration configuration = parse_configuration(
      "[[target]]\nlun = [{ disk = \"/nonexistent/a.img\" }, { disk = \"/dev\" }, { disk = \"/dev/null\" }]\n",
      context);
  EXPECT_THAT(findings(configuration),
              ElementsAre(AllOf(HasSubstr("2:17"), HasSubstr("No such file"), HasSubstr("truncate")),
                          HasSubstr("neither a regular file nor a block device"),
                          HasSubstr("neither a regular file nor a block device")));
}

TEST(Configuration, OneDiskTwice) {
  EXPECT_THAT(findings("[[target]]\nlun = [{ disk = \"/a\" }, { disk = \"/a\", read_only = true }]\n"),
              ElementsAre(HasSubstr("warning: /a is served as another LUN too")));
  EXPECT_THAT(
      findings("[[target]]\nlun = [{ disk = \"/a\", read_only = true }, { disk = \"/a\", read_only = true }]\n"),
      IsEmpty());
}

TEST(Configuration, FileThatCannotBeRead) {
  EXPECT_THAT(findings(load_configuration("/nonexistent.toml")), ElementsAre(HasSubstr("the file cannot be read")));
  EXPECT_THAT(findings(load_configuration("/")), ElementsAre(HasSubstr("the file cannot be read: Is a directory")));
}

TEST(Configuration, ArbitraryBytesAreNoHarm) {
  EXPECT_TRUE(has_errors(parse(std::string_view("\x00\xff\xfe[[", 5)).findings));
  const Configuration deep = parse("a = " + std::string(5000, '['));
  EXPECT_TRUE(has_errors(deep.findings));
}

TEST(Configuration, FindingsAsJson) {
  const Configuration configuration =
      parse("[[target]]\nname = \"quote\\\" \\u00e9\"\nlun = [{ disk = \"ram:1M\" }]\n");
  const std::string json = to_json("a.toml", configuration.findings);
  EXPECT_THAT(json, AllOf(HasSubstr("\"valid\": false"), HasSubstr("\"line\": 2"), HasSubstr("quote\\\"")));
}

/// The TOML examples of a Markdown file.
std::vector<std::string> toml_examples(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> examples;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```toml") {
      inside = true;
      examples.emplace_back();
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      examples.back() += line + "\n";
    }
  }
  return examples;
}

TEST(Configuration, ExamplesOfTheDocumentAreValid) {
  const auto examples = toml_examples(PEERLANE_SOURCE_DIR "/docs/configuration.md");
  ASSERT_EQ(examples.size(), 4u);
  for (const std::string& example : examples) EXPECT_THAT(findings(example), IsEmpty()) << example;
}

}  // namespace
}  // namespace peerlane::admin
