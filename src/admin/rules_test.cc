#include "admin/rules.h"

#include <gtest/gtest.h>

namespace peerlane::admin {
namespace {

TEST(Rules, NamesAreNormalised) {
  EXPECT_EQ(parse_name("iqn.2026-11.Com.Example:Disk"), "iqn.2026-11.com.example:disk");
  EXPECT_EQ(parse_name("eui.02004567A425678D"), "eui.02004567a425678d");
  for (const char* name : {"", "disk", "iqn.", "eui.123", "iqn.2026-11.com.example:a b"})
    EXPECT_FALSE(parse_name(name)) << name;
  EXPECT_FALSE(parse_name("iqn.2026-11.com.example:" + std::string(223, 'x')));
}

TEST(Rules, NamePatterns) {
  EXPECT_EQ(parse_name_pattern("iqn.1993-08.org.Debian:01:*"), "iqn.1993-08.org.debian:01:*");
  EXPECT_EQ(parse_name_pattern("*"), "*");
  EXPECT_EQ(parse_name_pattern("iqn.2026-11.a:b"), "iqn.2026-11.a:b");
  for (const char* pattern : {"", "disk", "iqn.*.x*", "iqn x*", "iqn.2026-11.a:*b"})
    EXPECT_FALSE(parse_name_pattern(pattern)) << pattern;
}

TEST(Rules, DefaultNameIsValid) {
  EXPECT_TRUE(parse_name(default_target_name())) << default_target_name();
}

target::PortalDeclaration portal(const char* host, std::uint16_t port, std::uint16_t group = 1) {
  return {host, port, group};
}

TEST(Rules, CollidingPortals) {
  EXPECT_TRUE(portals_collide(portal("127.0.0.1", 1), portal("127.0.0.1", 1)));
  EXPECT_TRUE(portals_collide(portal("127.0.0.1", 1), portal("0.0.0.0", 1)));
  EXPECT_TRUE(portals_collide(portal("::", 1), portal("::1", 1)));
  EXPECT_FALSE(portals_collide(portal("127.0.0.1", 1), portal("127.0.0.1", 2)));
  EXPECT_FALSE(portals_collide(portal("127.0.0.1", 1), portal("127.0.0.2", 1)));
  EXPECT_FALSE(portals_collide(portal("127.0.0.1", 0), portal("127.0.0.1", 0)));
  EXPECT_FALSE(portals_collide(portal("0.0.0.0", 1), portal("::", 1)));
}

TEST(Rules, ExposureIsJudgedByThePortalsThatLeadToTheTarget) {
  target::Declaration declaration;
  declaration.portals = {portal("127.0.0.1", 1, 1), portal("192.0.2.1", 1, 2)};
  target::TargetDeclaration target;
  EXPECT_TRUE(check_exposure(declaration, target));
  target.portal_groups = {1};
  EXPECT_FALSE(check_exposure(declaration, target));
  target.portal_groups = {2};
  EXPECT_TRUE(check_exposure(declaration, target));
  target.authentication.allow_none = false;
  EXPECT_FALSE(check_exposure(declaration, target));
  target.authentication.allow_none = true;
  declaration.allow_anonymous = true;
  EXPECT_FALSE(check_exposure(declaration, target));
}

TEST(Rules, OneSecretForBothDirections) {
  target::Authentication authentication;
  authentication.accounts = {{"a", "secret of both"}, {"b", "another secret"}};
  EXPECT_FALSE(check_distinct_secrets(authentication));
  authentication.mutual = target::ChapAccount{"t", "another secret"};
  EXPECT_TRUE(check_distinct_secrets(authentication));
  authentication.mutual->secret = "a third secret";
  EXPECT_FALSE(check_distinct_secrets(authentication));
}

}  // namespace
}  // namespace peerlane::admin
