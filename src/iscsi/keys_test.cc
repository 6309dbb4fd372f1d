#include "iscsi/keys.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

#include "iscsi/text.h"

namespace peerlane::iscsi {
namespace {

TEST(Keys, AreFoundByTheirNamesAlone) {
  std::set<std::string_view> names;
  for (const KeySpec& spec : all_keys()) {
    EXPECT_EQ(find_key(spec.name), &spec_of(spec.key));
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_LE(spec.name.size(), kMaxKeyBytes);
    EXPECT_LE(spec.value_bytes, kMaxValueBytes);
    EXPECT_LE(spec.low, spec.high);
  }
  for (const char* name : {"", "headerdigest", "HeaderDigest ", "X-com.example.key", "X#NodeArchitecture",
                           "RDMAExtensions", "InitiatorRecvDataSegmentLength", "SRP_U"}) {
    EXPECT_EQ(find_key(name), nullptr) << name;
  }
}

// RFC 7143 §13, key by key: what the irrelevance in discovery sessions hangs on.
TEST(Keys, ThoseOfDataAreIrrelevantInDiscovery) {
  std::set<std::string_view> irrelevant;
  for (const KeySpec& spec : all_keys()) {
    if (spec.irrelevant_in_discovery) irrelevant.insert(spec.name);
  }
  EXPECT_EQ(irrelevant, (std::set<std::string_view>{"MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength",
                                                    "FirstBurstLength", "MaxOutstandingR2T", "DataPDUInOrder",
                                                    "DataSequenceInOrder", "TaskReporting", "iSCSIProtocolLevel"}));
}

}  // namespace
}  // namespace peerlane::iscsi
