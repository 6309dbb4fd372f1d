#include "initiator/credentials.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "initiator/disk.h"

namespace peerlane::initiator {
namespace {

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

iscsi::Url url_of(const char* text) {
  return iscsi::parse_url(text).value_or(iscsi::Url{});
}

constexpr const char* kPlain = "iscsi://host/iqn.2026-11.dev.peerlane:t/0";

TEST(CredentialsTest, NoneIsFine) {
  const auto found = credentials_for(url_of(kPlain), environment_of({}));
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->account || found->target_account);
}

TEST(CredentialsTest, TheUrlComesFirst) {
  const auto found =
      credentials_for(url_of("iscsi://alice%secret-of-alice@host/iqn.2026-11.dev.peerlane:t/0"),
                      environment_of({{"PEERLANE_CHAP_USER", "bob"}, {"PEERLANE_CHAP_SECRET", "secret-of-bob-1"}}));
  ASSERT_TRUE(found && found->account);
  EXPECT_EQ(found->account->name, "alice");
  EXPECT_EQ(found->account->secret, "secret-of-alice");
}

TEST(CredentialsTest, TheEnvironmentCompletesIt) {
  const auto found = credentials_for(url_of("iscsi://alice@host/iqn.2026-11.dev.peerlane:t/0"),
                                     environment_of({{"PEERLANE_CHAP_SECRET", "secret-of-alice"},
                                                     {"PEERLANE_TARGET_CHAP_USER", "target"},
                                                     {"PEERLANE_TARGET_CHAP_SECRET", "secret-of-target"}}));
  ASSERT_TRUE(found && found->account && found->target_account);
  EXPECT_EQ(found->account->secret, "secret-of-alice");
  EXPECT_EQ(found->target_account->name, "target");
}

TEST(CredentialsTest, ASecretFromAFileIsItsFirstLine) {
  const std::string path = ::testing::TempDir() + "peerlane-secret";
  std::ofstream(path) << "secret-of-alice\nand more\n";
  const auto found = credentials_for(url_of("iscsi://alice@host/iqn.2026-11.dev.peerlane:t/0"),
                                     environment_of({{"PEERLANE_CHAP_SECRET_FILE", path}}));
  std::remove(path.c_str());
  ASSERT_TRUE(found && found->account);
  EXPECT_EQ(found->account->secret, "secret-of-alice");
}

TEST(CredentialsTest, WhatIsMissingIsSaid) {
  const auto error_of = [](const char* url, std::map<std::string, std::string> variables) {
    const auto found = credentials_for(url_of(url), environment_of(std::move(variables)));
    return found ? std::string() : found.error().text();
  };
  const char* const with_user = "iscsi://alice@host/iqn.2026-11.dev.peerlane:t/0";
  EXPECT_NE(error_of(with_user, {}).find("PEERLANE_CHAP_SECRET"), std::string::npos);
  EXPECT_NE(error_of(with_user, {{"PEERLANE_CHAP_SECRET_FILE", "/no/such/file"}}).find("/no/such/file"),
            std::string::npos);
  const std::string short_one = error_of(with_user, {{"PEERLANE_CHAP_SECRET", "tooshort"}});
  EXPECT_FALSE(short_one.empty());
  EXPECT_EQ(short_one.find("tooshort"), std::string::npos);
  EXPECT_FALSE(
      error_of(kPlain, {{"PEERLANE_TARGET_CHAP_USER", "t"}, {"PEERLANE_TARGET_CHAP_SECRET", "secret-of-target"}})
          .empty());
}

TEST(InitiatorNameTest, IsOneInAnyCase) {
  EXPECT_TRUE(initiator_name(environment_of({}))->starts_with("iqn.2026-11.dev.peerlane:initiator."));
  EXPECT_EQ(*initiator_name(environment_of({{"PEERLANE_INITIATOR_NAME", "iqn.2026-11.org.Example:x"}})),
            "iqn.2026-11.org.example:x");
  EXPECT_FALSE(initiator_name(environment_of({{"PEERLANE_INITIATOR_NAME", "not a name"}})));
}

TEST(SessionOptionsTest, DigestsOfTheUrl) {
  const auto options_of = [](const char* options) {
    return session_options_for(url_of((std::string(kPlain) + options).c_str()), {}, environment_of({}));
  };
  EXPECT_EQ(options_of("?header_digest=require&data_digest=prefer")->login.offers.header_digest,
            iscsi::DigestOffer::kRequired);
  EXPECT_EQ(options_of("?data_digest=prefer")->login.offers.data_digest, iscsi::DigestOffer::kPreferred);
  EXPECT_EQ(options_of("")->login.offers.data_digest, iscsi::DigestOffer::kAccepted);
  EXPECT_FALSE(options_of("?header_digest=md5"));
}

TEST(SessionOptionsTest, TokensOfTheUrl) {
  const auto options_of = [](const char* options) {
    return session_options_for(url_of((std::string(kPlain) + options).c_str()), {}, environment_of({}));
  };
  EXPECT_TRUE(options_of("")->tokens);
  EXPECT_TRUE(options_of("?tokens=yes")->tokens);
  EXPECT_FALSE(options_of("?tokens=no")->tokens);
  EXPECT_FALSE(options_of("?tokens=maybe"));
}

}  // namespace
}  // namespace peerlane::initiator
