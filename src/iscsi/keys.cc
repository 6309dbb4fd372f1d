#include "iscsi/keys.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace peerlane::iscsi {
namespace {

constexpr std::uint32_t k24Bits = (1u << 24) - 1;
constexpr std::uint16_t kName = 223;             // RFC 7143 §4.2.7.1
constexpr std::uint16_t kSimple = 255;           // RFC 7143 §6.1
constexpr std::uint16_t kBinary = 2 + 2 * 1024;  // RFC 7143 §12.1.3: 1024 bytes, here in hexadecimal

using enum Kind;
using enum Use;
using enum Sender;

// In the order of enum Key.
constexpr std::array<KeySpec, kKeys> kTable{{
    // key, name, kind, use, sender, irrelevant in discovery, low, high, longest value
    {Key::kInitiatorName, "InitiatorName", kDeclarative, kInitial, kInitiator, false, 0, 0, kName},
    {Key::kInitiatorAlias, "InitiatorAlias", kDeclarative, kAlways, kInitiator, false, 0, 0, kSimple},
    {Key::kTargetName, "TargetName", kDeclarative, kInitial, kInitiator, false, 0, 0, kName},
    {Key::kTargetAlias, "TargetAlias", kDeclarative, kAlways, kTarget, false, 0, 0, kSimple},
    {Key::kTargetAddress, "TargetAddress", kDeclarative, kAlways, kTarget, false, 0, 0, kSimple},
    {Key::kTargetPortalGroupTag, "TargetPortalGroupTag", kDeclarative, kInitial, kTarget, false, 0, 65535, kSimple},
    {Key::kSessionType, "SessionType", kDeclarative, kLeading, kInitiator, false, 0, 0, kSimple},
    {Key::kSendTargets, "SendTargets", kDeclarative, kFullFeature, kInitiator, false, 0, 0, kSimple},

    {Key::kAuthMethod, "AuthMethod", kList, kSecurity, kBoth, false, 0, 0, kSimple},
    {Key::kChapA, "CHAP_A", kList, kSecurity, kBoth, false, 0, 0, kSimple},
    {Key::kChapI, "CHAP_I", kDeclarative, kSecurity, kBoth, false, 0, 255, kSimple},
    {Key::kChapC, "CHAP_C", kDeclarative, kSecurity, kBoth, false, 0, 0, kBinary},
    {Key::kChapN, "CHAP_N", kDeclarative, kSecurity, kBoth, false, 0, 0, kSimple},
    {Key::kChapR, "CHAP_R", kDeclarative, kSecurity, kBoth, false, 0, 0, kBinary},

    {Key::kHeaderDigest, "HeaderDigest", kList, kInitial, kBoth, false, 0, 0, kSimple},
    {Key::kDataDigest, "DataDigest", kList, kInitial, kBoth, false, 0, 0, kSimple},
    {Key::kMaxConnections, "MaxConnections", kMinimum, kLeading, kBoth, true, 1, 65535, kSimple},
    {Key::kInitialR2t, "InitialR2T", kOr, kLeading, kBoth, true, 0, 0, kSimple},
    {Key::kImmediateData, "ImmediateData", kAnd, kLeading, kBoth, true, 0, 0, kSimple},
    {Key::kMaxRecvDataSegmentLength, "MaxRecvDataSegmentLength", kDeclarative, kAlways, kBoth, false, 512, k24Bits,
     kSimple},
    {Key::kMaxBurstLength, "MaxBurstLength", kMinimum, kLeading, kBoth, true, 512, k24Bits, kSimple},
    {Key::kFirstBurstLength, "FirstBurstLength", kMinimum, kLeading, kBoth, true, 512, k24Bits, kSimple},
    {Key::kDefaultTime2Wait, "DefaultTime2Wait", kMaximum, kLeading, kBoth, false, 0, 3600, kSimple},
    {Key::kDefaultTime2Retain, "DefaultTime2Retain", kMinimum, kLeading, kBoth, false, 0, 3600, kSimple},
    {Key::kMaxOutstandingR2t, "MaxOutstandingR2T", kMinimum, kLeading, kBoth, true, 1, 65535, kSimple},
    {Key::kDataPduInOrder, "DataPDUInOrder", kOr, kLeading, kBoth, true, 0, 0, kSimple},
    {Key::kDataSequenceInOrder, "DataSequenceInOrder", kOr, kLeading, kBoth, true, 0, 0, kSimple},
    {Key::kErrorRecoveryLevel, "ErrorRecoveryLevel", kMinimum, kLeading, kBoth, false, 0, 2, kSimple},
    {Key::kTaskReporting, "TaskReporting", kList, kLeading, kBoth, true, 0, 0, kSimple},
    {Key::kProtocolLevel, "iSCSIProtocolLevel", kMinimum, kLeading, kBoth, true, 0, 31, kSimple},

    {Key::kIfMarker, "IFMarker", kObsoleteSwitch, kInitial, kBoth, false, 0, 0, kSimple},
    {Key::kOfMarker, "OFMarker", kObsoleteSwitch, kInitial, kBoth, false, 0, 0, kSimple},
    {Key::kIfMarkInt, "IFMarkInt", kObsoleteRange, kInitial, kBoth, false, 0, 0, kSimple},
    {Key::kOfMarkInt, "OFMarkInt", kObsoleteRange, kInitial, kBoth, false, 0, 0, kSimple},
}};

static_assert([] {
  for (std::size_t i = 0; i < kKeys; ++i) {
    if (kTable[i].key != static_cast<Key>(i)) return false;
  }
  return true;
}());

}  // namespace

std::span<const KeySpec> all_keys() {
  return kTable;
}

const KeySpec& spec_of(Key key) {
  return kTable[static_cast<std::size_t>(key)];
}

const KeySpec* find_key(std::string_view name) {
  const auto found = std::ranges::find(kTable, name, &KeySpec::name);
  return found == kTable.end() ? nullptr : &*found;
}

}  // namespace peerlane::iscsi
