#include "target/copy_resolution.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/peer_units.h"
#include "target/target_device.h"
#include "target/testing/faulty_device.h"
#include "target/testing/run.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using testing::FaultyDevice;

constexpr std::uint64_t kSize = 1u << 20;  // of each disk, bytes

/// Peers with what a test puts there: the same unit for every question, or an error.
class FakePeers : public PeerUnits {
 public:
  io::Task<Result<PeerUnit>> find(scsi::Cscd cscd, PeerAsker asker) override {
    questions.push_back(std::move(cscd));
    askers.push_back(std::move(asker));
    return io::ready(answer);
  }
  io::Task<Result<PeerUnit>> find_token(scsi::RodTokenBytes, PeerAsker) override {
    return io::ready(Result<PeerUnit>(fail(ENOTSUP)));
  }

  Result<PeerUnit> answer = fail(ENOENT);
  std::vector<scsi::Cscd> questions;
  std::vector<PeerAsker> askers;
};

scsi::Cscd named(scsi::Designator designator) {
  return {.unit = std::move(designator), .block_length = 512};
}

class CopyResolutionTest : public ::testing::Test {
 protected:
  CopyResolutionTest() {
    target.set_copies({&peers, {}});
    LogicalUnitOptions options;
    options.target_name = target.name();
    target.add({0}, std::make_unique<LogicalUnit>(std::make_unique<FaultyDevice>(kSize), options));
    nexus = target.attach({.initiator = "iqn.2026-11.test:i", .isid = 1, .portal_group = 1});
    list.cscds = {named(scsi::naa_designator(0x3000'0000'0000'0001)), named(own_names()[0])};
    list.segments = {scsi::BlocksSegment{.source = 0, .destination = 1, .blocks = 8}};
  }

  std::array<scsi::Designator, 2> own_names() { return unit_designators(target.unit({0}).identity()); }

  PeerUnit remote(std::uint64_t size = kSize, std::uint32_t block_size = 512) const {
    PeerUnit unit;
    unit.device = std::make_shared<FaultyDevice>(size, block_size);
    return unit;
  }

  CopyMoves resolve() { return testing::run(resolve_copy(*nexus->find({0}), list)); }
  /// The additional sense code of the refusal; 0000h: none.
  std::uint16_t refusal() {
    const CopyMoves moves = resolve();
    if (moves) return 0;
    EXPECT_EQ(moves.error().key, scsi::SenseKey::kCopyAborted);
    return static_cast<std::uint16_t>(moves.error().code);
  }

  FakePeers peers;
  TargetDevice target{"iqn.2026-11.test:t"};
  std::unique_ptr<Nexus> nexus;
  scsi::ExtendedCopy list;
};

TEST_F(CopyResolutionTest, OwnUnitsAreNotLookedForElsewhere) {
  list.cscds[0] = list.cscds[1];
  ASSERT_TRUE(resolve());
  EXPECT_TRUE(peers.questions.empty());
}

TEST_F(CopyResolutionTest, ThePeersAreToldWhoAsks) {
  peers.answer = remote();
  const CopyMoves moves = resolve();
  ASSERT_TRUE(moves);
  EXPECT_EQ(moves->front().source.unit, nullptr);
  EXPECT_EQ(moves->front().source.disk, peers.answer->device);
  EXPECT_EQ(moves->front().destination.unit, nexus->find({0}));
  ASSERT_EQ(peers.askers.size(), 1u);
  EXPECT_EQ(peers.questions[0], list.cscds[0]);
  EXPECT_EQ(peers.askers[0].initiator, "iqn.2026-11.test:i");
  EXPECT_EQ(peers.askers[0].target, "iqn.2026-11.test:t");
}

TEST_F(CopyResolutionTest, EachDescriptorIsLookedForOnce) {
  peers.answer = remote();
  list.segments.assign(20, list.segments[0]);
  ASSERT_TRUE(resolve());
  EXPECT_EQ(peers.questions.size(), 1u);
}

TEST_F(CopyResolutionTest, AddressesGoToThePeers) {
  peers.answer = remote();
  list.cscds[0].unit = scsi::RemoteLun{.target = {.address = {192, 0, 2, 8}, .port = 3260, .protocol = 6}, .lun = 0};
  ASSERT_TRUE(resolve());
  EXPECT_EQ(peers.questions.size(), 1u);
}

TEST_F(CopyResolutionTest, WhatIsNotFound) {
  for (const int error : {ENOENT, ENODEV, ETIMEDOUT, EACCES, ECONNREFUSED}) {
    peers.answer = fail(error, "a sentence");
    EXPECT_EQ(refusal(), 0x0d02) << error;
  }
  peers.answer = fail(ENOTBLK, "a tape");
  EXPECT_EQ(refusal(), 0x0d03);
}

TEST_F(CopyResolutionTest, WithoutPeersNobodyIsAsked) {
  target.set_copies({});
  nexus = target.attach({.initiator = "iqn.2026-11.test:i", .isid = 2, .portal_group = 1});
  peers.answer = remote();
  EXPECT_EQ(refusal(), 0x0d02);
  EXPECT_TRUE(peers.questions.empty());
}

TEST_F(CopyResolutionTest, ADestinationElsewhereMustBeWritable) {
  peers.answer = remote();
  std::get<scsi::BlocksSegment>(list.segments[0]) = {.source = 1, .destination = 0, .blocks = 8};
  EXPECT_EQ(refusal(), 0x2700);
  peers.answer->writable = true;
  EXPECT_EQ(refusal(), 0);
  static_cast<FaultyDevice&>(*peers.answer->device).claims.read_only = true;
  EXPECT_EQ(refusal(), 0x2700);
}

TEST_F(CopyResolutionTest, BoundsAndBlocksOfADiskElsewhere) {
  peers.answer = remote(4096);
  EXPECT_EQ(refusal(), 0);
  std::get<scsi::BlocksSegment>(list.segments[0]).blocks = 9;
  EXPECT_EQ(refusal(), 0x0d02);
  peers.answer = remote(kSize, 4096);
  EXPECT_EQ(refusal(), 0x0d03);
  list.cscds[0].block_length = 0;
  EXPECT_EQ(refusal(), 0);
}

TEST_F(CopyResolutionTest, OneDiskByTwoWaysIsRefused) {
  PeerUnit unit = remote();
  unit.writable = true;
  static_cast<FaultyDevice&>(*unit.device).stable = "naa.3000000000000001";
  // Another object each time, as two sessions with one disk would be.
  class TwoWays final : public FakePeers {
   public:
    io::Task<Result<PeerUnit>> find(scsi::Cscd, PeerAsker) override {
      PeerUnit found = unit;
      auto device = std::make_shared<FaultyDevice>(kSize);
      device->stable = unit.device->identity().stable;
      found.device = std::move(device);
      return io::ready(Result<PeerUnit>(std::move(found)));
    }
    PeerUnit unit;
  } two_ways;
  two_ways.unit = unit;
  target.set_copies({&two_ways, {}});
  nexus = target.attach({.initiator = "iqn.2026-11.test:i", .isid = 2, .portal_group = 1});
  list.cscds[1] = named(scsi::naa_designator(0x3000'0000'0000'0002));
  EXPECT_EQ(refusal(), 0x0d02);
}

}  // namespace
}  // namespace peerlane::target
