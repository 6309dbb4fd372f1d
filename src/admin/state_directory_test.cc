#include "admin/state_directory.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::admin {
namespace {

std::string chosen(const std::map<std::string, std::string>& variables, bool root = false) {
  const Environment environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  return default_state_directory(environment, root);
}

TEST(StateDirectory, WhatSystemdHasMadeComesFirst) {
  EXPECT_EQ(chosen({{"STATE_DIRECTORY", "/var/lib/x"}, {"HOME", "/home/a"}}), "/var/lib/x");
  EXPECT_EQ(chosen({{"STATE_DIRECTORY", "/var/lib/x:/var/lib/y"}}, true), "/var/lib/x");
}

TEST(StateDirectory, RootHasThePlaceOfServices) {
  EXPECT_EQ(chosen({{"HOME", "/root"}, {"XDG_STATE_HOME", "/root/s"}}, true), "/var/lib/peerlane");
  EXPECT_EQ(chosen({{"STATE_DIRECTORY", ""}}, true), "/var/lib/peerlane");
}

TEST(StateDirectory, OthersHaveTheirHome) {
  EXPECT_EQ(chosen({{"HOME", "/home/a"}}), "/home/a/.local/state/peerlane");
  EXPECT_EQ(chosen({{"HOME", "/home/a"}, {"XDG_STATE_HOME", "/x"}}), "/x/peerlane");
  EXPECT_EQ(chosen({{"HOME", "/home/a"}, {"XDG_STATE_HOME", "x"}}), "/home/a/.local/state/peerlane");
  EXPECT_EQ(chosen({}), "");
}

TEST(StateDirectory, RelativePathsStartWhereTheyAreToldTo) {
  EXPECT_EQ(resolve_directory("state", "/etc/peerlane"), "/etc/peerlane/state");
  EXPECT_EQ(resolve_directory("../state", "/etc/peerlane"), "/etc/state");
  EXPECT_EQ(resolve_directory("/state", "/etc/peerlane"), "/state");
  EXPECT_EQ(resolve_directory("state", ""), "state");
}

TEST(StateDirectory, OneThatCannotBeUsedIsAProblem) {
  EXPECT_FALSE(check_state_directory("/tmp/peerlane-state-that-nobody-has-made"));
  const auto problem = check_state_directory("/dev/null");
  ASSERT_TRUE(problem);
  EXPECT_THAT(problem->what, ::testing::HasSubstr("/dev/null is no directory"));
}

}  // namespace
}  // namespace peerlane::admin
