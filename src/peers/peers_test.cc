#include "peers/peers.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "block/ram_device.h"
#include "initiator/testing/stand_in_target.h"
#include "io/testing.h"
#include "scsi/disk_place.h"
#include "scsi/lun.h"
#include "scsi/sense_codes.h"
#include "scsi/vpd.h"

namespace peerlane::peers {
namespace {

using initiator::testing::StandInTarget;
using scsi::OperationCode;
using ::testing::HasSubstr;

constexpr std::uint64_t kFirst = 0x3000'0000'0000'0001;
constexpr std::uint64_t kSecond = 0x3000'0000'0000'0002;
constexpr std::uint64_t kNobody = 0x3000'0000'0000'000f;

using scsi::sense_codes::kInvalidFieldInCdb;
constexpr const char* kIdentity = "eui.0025385b71b0a1c2";
constexpr std::uint64_t kUnitBytes = 1u << 20;  // of a stand-in's disk

/// A target whose unit at LUN 0 has a name, which a test may change.
class NamedTarget {
 public:
  NamedTarget(io::Reactor& reactor, std::uint64_t naa) : name(naa), target(reactor) {
    target.on_command = [this](const iscsi::ScsiCommand& command) { return answer(command); };
  }

  std::uint64_t name;
  std::optional<scsi::DiskPlace> place;  // that it states for its unit
  unsigned places_asked = 0;
  StandInTarget target;

  std::uint16_t port() const { return target.options().link.port; }
  std::size_t logins() const { return target.logins().size(); }
  unsigned logouts() const { return target.logouts(); }
  unsigned lists() const { return target.count(OperationCode::kReportLuns); }

 private:
  std::optional<StandInTarget::Answer> answer(const iscsi::ScsiCommand& command) {
    std::vector<std::uint8_t> data(4096);
    const auto operation = static_cast<OperationCode>(command.cdb[0]);
    if (operation == OperationCode::kReportLuns) {
      data.resize(scsi::encode_lun_list(std::array{scsi::Lun{0}}, {}, data));
      return StandInTarget::Answer{.data = std::move(data)};
    }
    if (operation != OperationCode::kInquiry || (command.cdb[1] & 1) == 0) return std::nullopt;
    switch (static_cast<scsi::VpdPage>(command.cdb[2])) {
      case scsi::VpdPage::kSupportedPages:
        data.resize(scsi::encode_supported_pages(
            {}, std::array{scsi::VpdPage::kSupportedPages, scsi::VpdPage::kDeviceIdentification}, data));
        break;
      case scsi::VpdPage::kDeviceIdentification:
        data.resize(scsi::encode_device_identification({}, std::array{scsi::naa_designator(name)}, data));
        break;
      case scsi::VpdPage::kDiskPlace:
        ++places_asked;
        if (!place) return StandInTarget::check_condition(scsi::SenseKey::kIllegalRequest, kInvalidFieldInCdb);
        data.resize(scsi::encode_disk_place({}, *place, data));
        break;
      default:
        return std::nullopt;
    }
    return StandInTarget::Answer{.data = std::move(data)};
  }
};

scsi::Cscd by_name(std::uint64_t naa) {
  return {.unit = scsi::naa_designator(naa)};
}

scsi::Cscd by_address(std::uint16_t port, std::uint64_t lun = 0) {
  return {.unit = scsi::RemoteLun{.target = {.address = {127, 0, 0, 1}, .port = port, .protocol = 6}, .lun = lun}};
}

/// Two peers on the reactor of those who look for their units.
class PeersTest : public ::testing::Test {
 protected:
  PeersTest() : reactor(std::move(*io::Reactor::create())), first(*reactor, kFirst), second(*reactor, kSecond) {
    declared.push_back(declaration(first.port(), "iqn.2026-11.test:first"));
    declared.push_back(declaration(second.port(), "iqn.2026-11.test:second"));
  }

  static target::PeerDeclaration declaration(std::uint16_t port, std::string name) {
    target::PeerDeclaration peer;
    peer.target = std::move(name);
    peer.host = "127.0.0.1";
    peer.port = port;
    return peer;
  }

  using Script = io::Task<void> (*)(PeersTest&);
  void play(Script script) { io::testing::run(*reactor, open_play_close(*this, script)); }

  static io::Task<void> open_play_close(PeersTest& test, Script script) {
    PeersTest* const opener = &test;
    auto created = Peers::create(
        *test.reactor, test.declared, test.idle,
        [opener](const scsi::DiskPlace& place, std::uint32_t block_size) { return opener->open(place, block_size); });
    test.peers = std::move(*created);
    co_await script(test);
    test.peers->stop();
    co_await test.peers->end();
    test.peers.reset();
    co_await test.first.target.close();
    co_await test.second.target.close();
  }

 public:
  io::Task<Result<target::PeerUnit>> find(const scsi::Cscd& cscd, const char* initiator = "iqn.2026-11.test:client",
                                          const char* through = "iqn.2026-11.test:ours") {
    scsi::Cscd copy = cscd;
    target::PeerAsker asker{initiator, through};
    auto finding = peers->find(std::move(copy), std::move(asker));
    auto found = co_await std::move(finding);
    co_return found;
  }
  io::Task<Result<target::PeerUnit>> find_name(std::uint64_t naa, const char* initiator = "iqn.2026-11.test:client",
                                               const char* through = "iqn.2026-11.test:ours") {
    const scsi::Cscd cscd = by_name(naa);
    auto found = co_await find(cscd, initiator, through);
    co_return found;
  }
  io::Task<Result<target::PeerUnit>> find_at(std::uint16_t port, std::uint64_t lun = 0) {
    const scsi::Cscd cscd = by_address(port, lun);
    auto found = co_await find(cscd);
    co_return found;
  }

  /// Who looks for disks of this machine.
  Result<std::unique_ptr<block::Device>> open(const scsi::DiskPlace& place, std::uint32_t block_size) {
    opened.push_back(place);
    EXPECT_EQ(block_size, 512u);
    if (!has_disk) return fail(ENODEV, "this machine has no such disk");
    auto disk = block::RamDevice::create(disk_bytes, 512, true, "ram:1M");
    return std::unique_ptr<block::Device>(std::move(*disk));
  }

  bool has_disk = true;
  std::uint64_t disk_bytes = kUnitBytes;
  std::vector<scsi::DiskPlace> opened;  // places that were looked for here
  LocalDisks local_disks{open_local_disk};
  std::unique_ptr<io::Reactor> reactor;
  NamedTarget first;
  NamedTarget second;
  std::vector<target::PeerDeclaration> declared;  // before play()
  io::Duration idle = limits::kPeerIdle;
  std::unique_ptr<Peers> peers;
};

TEST_F(PeersTest, NobodyIsLoggedInToBeforeAQuestion) {
  play([](PeersTest& test) -> io::Task<void> {
    co_await io::yield(*test.reactor);
    EXPECT_EQ(test.first.logins() + test.second.logins(), 0u);
  });
}

TEST_F(PeersTest, AUnitIsFoundByItsNameAndWorks) {
  play([](PeersTest& test) -> io::Task<void> {
    auto found = co_await test.find_name(kSecond);
    EXPECT_TRUE(found);
    if (!found) co_return;
    EXPECT_THAT(found->device->identity().spec, HasSubstr("/iqn.2026-11.test:second/0"));
    EXPECT_FALSE(found->writable);
    EXPECT_TRUE(found->device->capabilities().read_only);
    std::array<std::uint8_t, 512> block{};
    const auto read = co_await found->device->read(0, block);
    EXPECT_TRUE(read);
    EXPECT_EQ(block[0], 0x11);
  });
}

TEST_F(PeersTest, WhoIsKnownToHaveAUnitIsAskedAlone) {
  play([](PeersTest& test) -> io::Task<void> {
    for (int i = 0; i < 3; ++i) {
      const auto found = co_await test.find_name(kSecond);
      EXPECT_TRUE(found);
    }
    EXPECT_EQ(test.second.lists(), 1u);
    EXPECT_LE(test.first.lists(), 1u);
    EXPECT_EQ(test.second.logins(), 1u);
  });
}

TEST_F(PeersTest, NamesThatNobodyHasKeepNobodyBusy) {
  play([](PeersTest& test) -> io::Task<void> {
    for (int i = 0; i < 20; ++i) {
      const auto found = co_await test.find_name(kNobody);
      EXPECT_TRUE(!found && found.error().code == ENOENT);
    }
    EXPECT_LE(test.first.lists(), 2u);
    EXPECT_LE(test.second.lists(), 2u);
  });
}

TEST_F(PeersTest, AnAddressMustBeListed) {
  play([](PeersTest& test) -> io::Task<void> {
    const auto listed = co_await test.find_at(test.first.port());
    EXPECT_TRUE(listed);
    const auto missing = co_await test.find_at(test.first.port(), std::uint64_t{1} << 63);
    EXPECT_TRUE(!missing && missing.error().code == ENODEV);
    scsi::Cscd other_host = by_address(test.second.port());
    std::get<scsi::RemoteLun>(other_host.unit).target.address = {127, 0, 0, 2};
    scsi::Cscd other_protocol = by_address(test.second.port());
    std::get<scsi::RemoteLun>(other_protocol.unit).target.protocol = 17;
    scsi::Cscd other_family = by_address(test.second.port());
    std::get<scsi::RemoteLun>(other_family.unit).target.ipv6 = true;
    const std::array<scsi::Cscd, 4> others{by_address(1), other_host, other_protocol, other_family};
    for (const scsi::Cscd& cscd : others) {
      const auto found = co_await test.find(cscd);
      EXPECT_TRUE(!found && found.error().code == ENOENT);
    }
    EXPECT_EQ(test.second.logins(), 0u);
  });
}

TEST_F(PeersTest, AddressesAreComparedAsNumbers) {
  const auto is_at = [this](const char* host, const scsi::IpEndpoint& endpoint) {
    target::PeerDeclaration peer = declaration(3260, "iqn.2026-11.test:peer");
    peer.host = host;
    return Peer(*reactor, peer, local_disks, idle).is_at(endpoint);
  };
  const scsi::IpEndpoint v4{.address = {127, 0, 0, 1}, .port = 3260, .protocol = 6};
  const scsi::IpEndpoint v6{.ipv6 = true,
                            .address = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8},
                            .port = 3260,
                            .protocol = 6};
  EXPECT_TRUE(is_at("127.0.0.1", v4));
  EXPECT_TRUE(is_at("2001:db8::8", v6));
  EXPECT_TRUE(is_at("2001:0DB8:0::8", v6));
  EXPECT_FALSE(is_at("2001:db8::9", v6));
  EXPECT_FALSE(is_at("127.0.0.1", v6));
  EXPECT_FALSE(is_at("2001:db8::8", v4));
  EXPECT_FALSE(is_at("localhost", v4));
  play([](PeersTest&) { return io::ready(); });  // the two targets are to end as usual
}

TEST_F(PeersTest, ANameAtAnAddressIsLookedForThereOnly) {
  play([](PeersTest& test) -> io::Task<void> {
    const scsi::IpEndpoint place{.address = {127, 0, 0, 1}, .port = test.second.port(), .protocol = 6};
    const scsi::Cscd there{.unit = scsi::RemoteDesignator{place, scsi::naa_designator(kSecond)}};
    const scsi::Cscd elsewhere{.unit = scsi::RemoteDesignator{place, scsi::naa_designator(kFirst)}};
    const auto found = co_await test.find(there);
    EXPECT_TRUE(found);
    const auto missing = co_await test.find(elsewhere);
    EXPECT_TRUE(!missing && missing.error().code == ENOENT);
    EXPECT_EQ(test.first.logins(), 0u);
  });
}

TEST_F(PeersTest, ALunDoesNotTellTwoTargetsOfAPortalApart) {
  declared[1].port = declared[0].port;
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_at(test.first.port());
    EXPECT_TRUE(!found && found.error().code == ENOENT);
    EXPECT_EQ(test.first.logins(), 0u);
  });
}

TEST_F(PeersTest, ARodIsNoUnit) {
  play([](PeersTest& test) -> io::Task<void> {
    const scsi::Cscd rod{.unit = scsi::RodReference{}};
    const auto found = co_await test.find(rod);
    EXPECT_TRUE(!found && found.error().code == ENOTSUP);
    EXPECT_EQ(test.first.logins() + test.second.logins(), 0u);
  });
}

TEST_F(PeersTest, WhoIsNotAdmittedDoesNotReachAPeer) {
  declared[0].initiators = {"iqn.2026-11.test:c*"};
  declared[1].targets = {"iqn.2026-11.test:ours"};
  play([](PeersTest& test) -> io::Task<void> {
    const auto wrong_initiator = co_await test.find_name(kFirst, "iqn.2026-11.test:eve");
    EXPECT_TRUE(!wrong_initiator && wrong_initiator.error().code == ENOENT);
    EXPECT_EQ(test.first.logins(), 0u);
    const std::size_t before = test.second.logins();
    const auto wrong_target = co_await test.find_name(kSecond, "iqn.2026-11.test:eve", "iqn.2026-11.test:other");
    EXPECT_TRUE(!wrong_target && wrong_target.error().code == ENOENT);
    EXPECT_EQ(test.second.logins(), before);
    const auto right_initiator = co_await test.find_name(kFirst);
    EXPECT_TRUE(right_initiator);
    const auto right_target = co_await test.find_name(kSecond, "iqn.2026-11.test:eve");
    EXPECT_TRUE(right_target);
  });
}

TEST_F(PeersTest, AWritablePeerIsWritable) {
  declared[0].writable = true;
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kFirst);
    EXPECT_TRUE(found && found->writable && !found->device->capabilities().read_only);
  });
}

TEST_F(PeersTest, ADiskThatBothHaveIsFoundOnce) {
  declared[0].shared_disks = {"naa.5000c500*", "eui.0025*"};
  first.place = scsi::DiskPlace{kIdentity, 0, kUnitBytes};
  play([](PeersTest& test) -> io::Task<void> {
    for (int i = 0; i < 3; ++i) {
      const auto found = co_await test.find_name(kFirst);
      EXPECT_TRUE(found && found->shared != nullptr);
    }
    EXPECT_EQ(test.opened, std::vector{*test.first.place});
    // The unit may have moved.
    test.first.place->offset = kUnitBytes;
    const auto moved = co_await test.find_name(kFirst);
    EXPECT_TRUE(moved && moved->shared != nullptr);
    EXPECT_EQ(test.opened.size(), 2u);
    EXPECT_EQ(test.opened.back(), *test.first.place);
  });
}

TEST_F(PeersTest, WithoutTheKeyNobodyAsksForTheHardware) {
  first.place = scsi::DiskPlace{kIdentity, 0, kUnitBytes};
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kFirst);
    EXPECT_TRUE(found && found->shared == nullptr);
    EXPECT_EQ(test.first.places_asked, 0u);
    EXPECT_TRUE(test.opened.empty());
  });
}

TEST_F(PeersTest, ADiskThatIsNotListedIsNotOpened) {
  declared[0].shared_disks = {"eui.0025385b71b0a1c", "eui.0025385b71b0a1c3", "naa.*"};
  first.place = scsi::DiskPlace{kIdentity, 0, kUnitBytes};
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kFirst);
    EXPECT_TRUE(found && found->shared == nullptr);
    EXPECT_EQ(test.first.places_asked, 1u);
    EXPECT_TRUE(test.opened.empty());
  });
}

TEST_F(PeersTest, APeerWithoutThePageIsReadOverTheNetwork) {
  declared[0].shared_disks = {"*"};
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kFirst);
    EXPECT_TRUE(found && found->shared == nullptr && found->device != nullptr);
    EXPECT_TRUE(test.opened.empty());
  });
}

TEST_F(PeersTest, ADiskThatIsNotHereIsNotLookedForAgainSoon) {
  declared[0].shared_disks = {"*"};
  first.place = scsi::DiskPlace{kIdentity, 0, kUnitBytes};
  has_disk = false;
  play([](PeersTest& test) -> io::Task<void> {
    for (int i = 0; i < 3; ++i) {
      const auto found = co_await test.find_name(kFirst);
      EXPECT_TRUE(found && found->shared == nullptr);
    }
    EXPECT_EQ(test.opened.size(), 1u);
  });
}

TEST_F(PeersTest, APageThatContradictsTheUnitIsNotBelieved) {
  declared[0].shared_disks = {"*"};
  first.place = scsi::DiskPlace{kIdentity, 0, kUnitBytes + 512};
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kFirst);
    EXPECT_TRUE(found && found->shared == nullptr);
    EXPECT_TRUE(test.opened.empty());
  });
}

TEST_F(PeersTest, AnotherUnitInPlaceOfAKnownOneIsNoted) {
  play([](PeersTest& test) -> io::Task<void> {
    auto before = co_await test.find_name(kFirst);
    EXPECT_TRUE(before);
    test.first.name = kNobody;
    const auto gone = co_await test.find_name(kFirst);
    EXPECT_TRUE(!gone);
    const auto renamed = co_await test.find_name(kNobody);
    EXPECT_TRUE(renamed);
    // By address, too, although the disk was open under its former name.
    const auto at_address = co_await test.find_at(test.first.port());
    EXPECT_TRUE(at_address && at_address->device->identity().stable == "naa.300000000000000f");
  });
}

TEST_F(PeersTest, TheOtherPeerIsFoundWhileOneRefuses) {
  first.target.refusing = true;
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kSecond);
    EXPECT_TRUE(found);
    const auto refused = co_await test.find_name(kFirst);
    EXPECT_TRUE(!refused && refused.error().code != ENOENT);
    const std::string why = refused ? std::string() : refused.error().message;
    EXPECT_THAT(why, HasSubstr("iqn.2026-11.test:first at 127.0.0.1:"));
  });
}

TEST_F(PeersTest, AnIdlePeerIsLoggedOutOf) {
  idle = std::chrono::milliseconds(20);
  declared.pop_back();
  play([](PeersTest& test) -> io::Task<void> {
    {
      auto found = co_await test.find_name(kFirst);
      EXPECT_TRUE(found);
      co_await io::sleep(*test.reactor, 10 * test.idle);
      std::array<std::uint8_t, 512> block{};
      const auto read = co_await found->device->read(0, block);
      EXPECT_TRUE(read);
      EXPECT_EQ(test.first.target.count(OperationCode::kRead16), 1u);
    }
    const bool ended = co_await io::testing::until([&test] { return test.first.logouts() == 1; });
    EXPECT_TRUE(ended);
    const auto again = co_await test.find_name(kFirst);
    EXPECT_TRUE(again);
    EXPECT_EQ(test.first.logins(), 2u);
  });
}

TEST_F(PeersTest, APeerThatHasMovedIsNotFollowed) {
  first.target.moved = "127.0.0.1:" + std::to_string(second.port());
  declared.pop_back();
  play([](PeersTest& test) -> io::Task<void> {
    const auto found = co_await test.find_name(kSecond);
    EXPECT_TRUE(!found && found.error().code == EREMCHG);
    EXPECT_EQ(test.second.logins(), 0u);
  });
}

TEST_F(PeersTest, AStopEndsWhatIsUnderWayAndWaitsForWhatIsLent) {
  play([](PeersTest& test) -> io::Task<void> {
    auto found = co_await test.find_name(kFirst);
    EXPECT_TRUE(found);
    if (!found) co_return;
    test.peers->stop();
    std::array<std::uint8_t, 512> block{};
    const auto read = co_await found->device->read(0, block);
    EXPECT_TRUE(!read && read.error().code == ECANCELED);
    const auto later = co_await test.find_name(kFirst);
    EXPECT_TRUE(!later && later.error().code == ECANCELED);
    // end() comes after this, and the disk is let go of only now.
  });
}

}  // namespace
}  // namespace peerlane::peers
