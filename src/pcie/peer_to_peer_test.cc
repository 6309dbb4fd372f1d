#include "pcie/peer_to_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::pcie {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint16_t kSourceValidation = 1;

/// A machine with two host bridges:
///   bus 0: 00.0, root port 01.0 with a switch, below which are disks a and b; root port 02.0 with disk c
///   bus 1: 00.0, root port 01.0 with disk d
class Judge : public ::testing::Test {
 protected:
  Judge() {
    topology_.processor = {"GenuineIntel", 6};
    topology_.root_buses = {{"pci0000:00", {}}, {"pci0000:80", {}}};
    topology_.root_buses[0].bridge = add(0x00, 0, Role::kEndpoint, {}, 0, {});
    const std::size_t port = add(0x00, 1, Role::kRootPort, {}, 0, {16000, 16});
    const std::size_t port_of_c = add(0x00, 2, Role::kRootPort, {}, 0, {8000, 4});
    upstream_ = add(0x01, 0, Role::kUpstreamPort, port, 0, {16000, 16});
    above_a_ = add(0x02, 0, Role::kDownstreamPort, upstream_, 0, {16000, 4});
    above_b_ = add(0x02, 1, Role::kDownstreamPort, upstream_, 0, {8000, 4});
    a_ = add(0x03, 0, Role::kEndpoint, above_a_, 0, {16000, 4});
    b_ = add(0x04, 0, Role::kEndpoint, above_b_, 0, {8000, 4});
    c_ = add(0x05, 0, Role::kEndpoint, port_of_c, 0, {2500, 4});
    topology_.root_buses[1].bridge = add(0x80, 0, Role::kEndpoint, {}, 1, {});
    const std::size_t port_of_d = add(0x80, 1, Role::kRootPort, {}, 1, {8000, 4});
    d_ = add(0x81, 0, Role::kEndpoint, port_of_d, 1, {8000, 4});
    root_port_ = port;
  }

  std::size_t add(std::uint8_t bus, std::uint8_t device, Role role, std::optional<std::size_t> parent,
                  std::size_t root_bus, Link link) {
    Function function;
    function.address = {0, bus, device, 0};
    function.role = role;
    function.parent = parent;
    function.root_bus = root_bus;
    function.link = link;
    function.acs.state = Acs::State::kAbsent;
    topology_.functions.push_back(function);
    return topology_.functions.size() - 1;
  }

  void set_acs(std::size_t function, std::uint16_t control) {
    topology_.functions[function].acs = {Acs::State::kPresent, control};
  }

  void set_host_bridge(std::size_t root_bus, std::uint16_t vendor, std::uint16_t device) {
    Function& bridge = topology_.functions[*topology_.root_buses[root_bus].bridge];
    bridge.vendor = vendor;
    bridge.device = device;
  }

  void give_memory(std::size_t function, std::uint64_t available) {
    topology_.functions[function].peer_memory = PeerMemory{1 << 26, available, true, true};
  }

  Mapping mapping(std::size_t provider, std::size_t client) { return judge_pair(topology_, provider, client).mapping; }

  Topology topology_;
  std::size_t root_port_ = 0, upstream_ = 0, above_a_ = 0, above_b_ = 0;
  std::size_t a_ = 0, b_ = 0, c_ = 0, d_ = 0;
};

TEST_F(Judge, TheSameDevice) {
  const PairVerdict verdict = judge_pair(topology_, a_, a_);
  EXPECT_EQ(verdict.mapping, Mapping::kBusAddress);
  EXPECT_EQ(verdict.distance, 0u);
  EXPECT_THAT(verdict.remedy, IsEmpty());
}

TEST_F(Judge, BehindOneSwitch) {
  const PairVerdict verdict = judge_pair(topology_, a_, b_);
  EXPECT_EQ(verdict.mapping, Mapping::kBusAddress);
  EXPECT_EQ(verdict.distance, 4u);
  EXPECT_THAT(verdict.reason, HasSubstr("the switch at 0000:01:00.0"));
  EXPECT_THAT(verdict.remedy, IsEmpty());
}

TEST_F(Judge, AcsThatDoesNotRedirectDoesNotMatter) {
  set_acs(above_a_, kSourceValidation);
  EXPECT_EQ(mapping(a_, b_), Mapping::kBusAddress);
}

TEST_F(Judge, AcsRedirectOnEitherSide) {
  for (const std::uint16_t control : {Acs::kRequestRedirect, Acs::kCompletionRedirect, Acs::kEgressControl}) {
    for (const std::size_t port : {above_a_, above_b_, upstream_, a_, b_}) {
      set_acs(port, control);
      EXPECT_EQ(mapping(a_, b_), Mapping::kNotSupported) << port;
      EXPECT_EQ(mapping(b_, a_), Mapping::kNotSupported) << port;
      set_acs(port, 0);
    }
  }
}

TEST_F(Judge, AcsRedirectAboveTheSwitchDoesNotMatter) {
  set_acs(root_port_, Acs::kRequestRedirect);
  EXPECT_EQ(mapping(a_, b_), Mapping::kBusAddress);
}

TEST_F(Judge, AcsRedirectHasARemedyThatNamesAllPorts) {
  set_acs(above_a_, 0x1d);
  set_acs(above_b_, 0x1d);
  const PairVerdict verdict = judge_pair(topology_, a_, b_);
  EXPECT_THAT(verdict.redirecting, ElementsAre(Address{0, 2, 0, 0}, Address{0, 2, 1, 0}));
  EXPECT_THAT(verdict.remedy, HasSubstr("pci=disable_acs_redir=0000:02:00.0;0000:02:01.0 "));
  EXPECT_THAT(verdict.remedy, HasSubstr("without the IOMMU's check"));
}

TEST_F(Judge, AcsRedirectWithAProcessorThatForwards) {
  topology_.processor = {"AuthenticAMD", 0x17};
  set_acs(above_a_, Acs::kRequestRedirect);
  const PairVerdict verdict = judge_pair(topology_, a_, b_);
  EXPECT_EQ(verdict.mapping, Mapping::kThroughHostBridge);
  EXPECT_EQ(verdict.distance, 4u);
  EXPECT_THAT(verdict.remedy, HasSubstr("disable_acs_redir"));
}

TEST_F(Judge, BelowDifferentRootPorts) {
  const PairVerdict verdict = judge_pair(topology_, a_, c_);
  EXPECT_EQ(verdict.mapping, Mapping::kNotSupported);
  EXPECT_EQ(verdict.distance, 6u);  // four functions up from a, two from c
  EXPECT_THAT(verdict.reason, HasSubstr("no switch above both"));
  EXPECT_THAT(verdict.remedy, HasSubstr("behind one PCIe switch"));
}

TEST_F(Judge, AmdProcessorsFromZenOn) {
  const std::pair<Processor, Mapping> cases[] = {{{"AuthenticAMD", 0x15}, Mapping::kNotSupported},
                                                 {{"AuthenticAMD", 0x17}, Mapping::kThroughHostBridge},
                                                 {{"AuthenticAMD", 0x1a}, Mapping::kThroughHostBridge},
                                                 {{"HygonGenuine", 0x18}, Mapping::kNotSupported},
                                                 {{"", 0}, Mapping::kNotSupported}};
  for (const auto& [processor, expected] : cases) {
    topology_.processor = processor;
    EXPECT_EQ(mapping(a_, c_), expected) << processor.vendor << processor.family;
    EXPECT_EQ(mapping(a_, d_), expected) << processor.vendor << processor.family;
  }
}

TEST_F(Judge, HostBridgesOnTheList) {
  set_host_bridge(0, 0x8086, 0x2030);
  EXPECT_EQ(mapping(a_, c_), Mapping::kThroughHostBridge);
  EXPECT_EQ(mapping(a_, d_), Mapping::kNotSupported);  // the other one is not on it
  EXPECT_EQ(mapping(d_, a_), Mapping::kNotSupported);
  set_host_bridge(1, 0x8086, 0x09a2);
  EXPECT_EQ(mapping(a_, d_), Mapping::kThroughHostBridge);
  set_host_bridge(1, 0x1ae0, 0x1234);  // any of that vendor
  EXPECT_EQ(mapping(a_, d_), Mapping::kThroughHostBridge);
  set_host_bridge(1, 0x8086, 0x29c0);
  EXPECT_EQ(mapping(a_, d_), Mapping::kNotSupported);
}

TEST_F(Judge, HostBridgesThatForwardWithinThemselves) {
  set_host_bridge(0, 0x8086, 0x2f00);
  set_host_bridge(1, 0x8086, 0x2f00);
  EXPECT_EQ(mapping(a_, c_), Mapping::kThroughHostBridge);
  const PairVerdict verdict = judge_pair(topology_, a_, d_);
  EXPECT_EQ(verdict.mapping, Mapping::kNotSupported);
  EXPECT_THAT(verdict.reason, HasSubstr("between its own root ports only"));
}

TEST_F(Judge, AHostBridgeThatCannotBeTold) {
  topology_.root_buses[0].bridge.reset();
  EXPECT_EQ(mapping(a_, c_), Mapping::kNotSupported);
  EXPECT_THAT(judge_pair(topology_, a_, c_).reason, HasSubstr("pci0000:00"));
}

TEST_F(Judge, WhatIsNotVisibleIsNotGuessed) {
  topology_.functions[above_b_].acs.state = Acs::State::kNotVisible;
  const PairVerdict verdict = judge_pair(topology_, a_, b_);
  EXPECT_EQ(verdict.mapping, Mapping::kUnknown);
  EXPECT_THAT(verdict.reason, HasSubstr("0000:02:01.0"));
  EXPECT_THAT(verdict.remedy, HasSubstr("root"));
  // Where it makes no difference, it is told.
  set_acs(above_a_, Acs::kRequestRedirect);
  EXPECT_EQ(mapping(a_, b_), Mapping::kNotSupported);
  EXPECT_EQ(mapping(b_, c_), Mapping::kNotSupported);
}

TEST_F(Judge, TriplesAreAsGoodAsTheWorsePart) {
  EXPECT_EQ(judge_triple(topology_, a_, a_, b_).mapping, Mapping::kBusAddress);
  EXPECT_EQ(judge_triple(topology_, a_, b_, b_).distance, 4u);
  EXPECT_EQ(judge_triple(topology_, a_, b_, c_).mapping, Mapping::kNotSupported);
  EXPECT_EQ(judge_triple(topology_, c_, a_, b_).mapping, Mapping::kNotSupported);
  topology_.processor = {"AuthenticAMD", 0x19};
  EXPECT_EQ(judge_triple(topology_, a_, b_, c_).mapping, Mapping::kThroughHostBridge);
  EXPECT_THAT(judge_triple(topology_, a_, b_, c_).reason, HasSubstr("from 0000:04:00.0 to 0000:05:00.0"));
  EXPECT_FALSE(judge_triple(topology_, a_, a_, b_).translated);
  topology_.functions[b_].iommu_type = "DMA-FQ";
  EXPECT_TRUE(judge_triple(topology_, a_, a_, b_).translated);
  topology_.functions[b_].iommu_type = "identity";
  EXPECT_FALSE(judge_triple(topology_, a_, a_, b_).translated);
}

TEST_F(Judge, ATripleTellsOfAllThatRedirectsAtOnce) {
  set_acs(above_a_, 0x1d);
  set_acs(above_b_, 0x1d);
  const std::size_t port = add(0x02, 2, Role::kDownstreamPort, upstream_, 0, {8000, 4});
  const std::size_t neutral = add(0x06, 0, Role::kEndpoint, port, 0, {8000, 4});
  TripleVerdict verdict = judge_triple(topology_, a_, neutral, b_);
  EXPECT_THAT(verdict.reason, HasSubstr("on at 0000:02:00.0, 0000:02:01.0, which"));
  EXPECT_THAT(verdict.remedy, HasSubstr("=0000:02:00.0;0000:02:01.0 "));
  verdict = judge_triple(topology_, a_, neutral, c_);
  EXPECT_THAT(verdict.remedy, HasSubstr("=0000:02:00.0 "));
  EXPECT_THAT(verdict.remedy, HasSubstr("behind one PCIe switch"));
}

TEST_F(Judge, ProvidersBestFirst) {
  EXPECT_THAT(judge_providers(topology_, a_, b_), IsEmpty());
  give_memory(c_, 1 << 26);
  give_memory(b_, 1000);
  const std::size_t neutral = add(0x06, 0, Role::kEndpoint, upstream_, 0, {16000, 8});
  give_memory(neutral, 1 << 26);
  auto verdicts = judge_providers(topology_, a_, b_);
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].provider, b_);  // nearer, though it has less
  EXPECT_EQ(verdicts[1].provider, neutral);
  EXPECT_EQ(verdicts[2].provider, c_);
  EXPECT_EQ(verdicts[2].mapping, Mapping::kNotSupported);
  give_memory(a_, 2000);
  EXPECT_EQ(judge_providers(topology_, a_, b_)[0].provider, a_);  // as near, with more
  topology_.functions[a_].peer_memory->allocatable = false;
  EXPECT_EQ(judge_providers(topology_, a_, b_)[0].provider, b_);
}

TEST_F(Judge, BandwidthIsThatOfTheSlowestLinkOnTheWay) {
  EXPECT_EQ(judge_triple(topology_, a_, a_, b_).bandwidth, (Link{8000, 4}.bytes_per_second()));
  EXPECT_EQ(bandwidth_to_host(topology_, a_), (Link{16000, 4}.bytes_per_second()));
  EXPECT_EQ(bandwidth_between(topology_, a_, c_), (Link{2500, 4}.bytes_per_second()));
  topology_.functions[upstream_].link = {2500, 1};
  EXPECT_EQ(judge_triple(topology_, a_, a_, b_).bandwidth, (Link{8000, 4}.bytes_per_second()));  // not crossed
  EXPECT_EQ(bandwidth_to_host(topology_, a_), (Link{2500, 1}.bytes_per_second()));
  topology_.processor = {"AuthenticAMD", 0x19};
  set_acs(above_a_, Acs::kRequestRedirect);  // by the root complex, and so over the slow link
  EXPECT_EQ(judge_triple(topology_, a_, a_, b_).bandwidth, (Link{2500, 1}.bytes_per_second()));
  topology_.functions[b_].link = {};
  EXPECT_FALSE(judge_triple(topology_, a_, a_, b_).bandwidth);
}

TEST(PeerToPeerPolicy, WhatIsAllowed) {
  const Mapping mappings[] = {Mapping::kNotSupported, Mapping::kUnknown, Mapping::kThroughHostBridge,
                              Mapping::kBusAddress};
  for (const Mapping mapping : mappings) {
    EXPECT_FALSE(allows(Policy::kOff, mapping));
    EXPECT_EQ(allows(Policy::kSameSwitch, mapping), mapping == Mapping::kBusAddress);
    EXPECT_EQ(allows(Policy::kKernel, mapping), mapping >= Mapping::kThroughHostBridge);
  }
  for (const Policy policy : {Policy::kOff, Policy::kSameSwitch, Policy::kKernel}) {
    EXPECT_EQ(parse_policy(to_string(policy)).value(), policy);
  }
  EXPECT_FALSE(parse_policy("on"));
}

}  // namespace
}  // namespace peerlane::pcie
