#include "pcie/config_space.h"

#include <vector>

#include <gtest/gtest.h>

namespace peerlane::pcie {
namespace {

/// 4096 bytes with a PCI Express capability of this port type at 0x40.
std::vector<std::uint8_t> configuration(std::uint8_t port_type) {
  std::vector<std::uint8_t> bytes(4096);
  bytes[0x06] = 0x10;
  bytes[0x34] = 0x40;
  bytes[0x40] = 0x10;
  bytes[0x42] = static_cast<std::uint8_t>(port_type << 4 | 2);
  return bytes;
}

/// Writes the header of an extended capability.
void put_extended(std::vector<std::uint8_t>& bytes, std::size_t at, unsigned id, std::size_t next) {
  const auto value = static_cast<std::uint32_t>(id | 1u << 16 | next << 20);
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
}

TEST(ConfigSpace, Roles) {
  EXPECT_EQ(decode_config_space(configuration(0x0)).role, Role::kEndpoint);
  EXPECT_EQ(decode_config_space(configuration(0x4)).role, Role::kRootPort);
  EXPECT_EQ(decode_config_space(configuration(0x5)).role, Role::kUpstreamPort);
  EXPECT_EQ(decode_config_space(configuration(0x6)).role, Role::kDownstreamPort);
  EXPECT_EQ(decode_config_space(configuration(0x7)).role, Role::kBridge);
  auto conventional = configuration(0x4);
  conventional[0x06] = 0;  // has no capabilities
  EXPECT_FALSE(decode_config_space(conventional).role);
}

TEST(ConfigSpace, AcsBehindAnotherCapability) {
  auto bytes = configuration(0x6);
  put_extended(bytes, 0x100, 0x0001, 0x148);
  put_extended(bytes, 0x148, 0x000d, 0);
  bytes[0x148 + 4] = 0xff;  // what it can do, which does not count
  EXPECT_EQ(decode_config_space(bytes).acs, (Acs{Acs::State::kPresent, 0}));
  EXPECT_FALSE(decode_config_space(bytes).acs.redirects());
  bytes[0x148 + 6] = 0x1d;
  EXPECT_EQ(decode_config_space(bytes).acs, (Acs{Acs::State::kPresent, 0x1d}));
}

TEST(ConfigSpace, WhatRedirects) {
  for (unsigned bit = 0; bit < 8; ++bit) {
    const Acs acs{Acs::State::kPresent, static_cast<std::uint16_t>(1u << bit)};
    EXPECT_EQ(acs.redirects(), bit == 2 || bit == 3 || bit == 5) << bit;
  }
  EXPECT_FALSE((Acs{Acs::State::kNotVisible, 0xff}.redirects()));
}

TEST(ConfigSpace, WithoutPrivilegesNothingIsVisible) {
  auto bytes = configuration(0x6);
  put_extended(bytes, 0x100, 0x000d, 0);
  bytes.resize(64);
  EXPECT_FALSE(decode_config_space(bytes).role);
  EXPECT_EQ(decode_config_space(bytes).acs.state, Acs::State::kNotVisible);
  EXPECT_EQ(decode_config_space({}).acs.state, Acs::State::kNotVisible);
}

TEST(ConfigSpace, ConventionalPciHasNoAcs) {
  auto bytes = configuration(0x0);
  bytes.resize(256);
  EXPECT_EQ(decode_config_space(bytes).acs.state, Acs::State::kAbsent);
}

TEST(ConfigSpace, ChainsThatGoInCirclesEnd) {
  auto bytes = configuration(0x6);
  bytes[0x40] = 0x01;
  bytes[0x41] = 0x40;  // its own successor
  put_extended(bytes, 0x100, 0x0001, 0x100);
  EXPECT_FALSE(decode_config_space(bytes).role);
  EXPECT_EQ(decode_config_space(bytes).acs.state, Acs::State::kAbsent);
}

TEST(ConfigSpace, ChainsThatLeaveTheSpaceEnd) {
  for (const std::size_t size : {65u, 129u, 256u, 257u, 259u, 4095u, 4096u}) {
    std::vector<std::uint8_t> bytes(size, 0xff);
    EXPECT_FALSE(decode_config_space(bytes).role) << size;
  }
  auto bytes = configuration(0x6);
  put_extended(bytes, 0x100, 0x0001, 0xffc);
  put_extended(bytes, 0xffc, 0x000d, 0);  // its control register would lie behind the end
  EXPECT_FALSE(decode_config_space(bytes).acs.redirects());
}

}  // namespace
}  // namespace peerlane::pcie
