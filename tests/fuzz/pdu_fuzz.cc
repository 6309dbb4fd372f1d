// PDU headers: a BHS, and the AHS that follows it.
//
// Input: 48 bytes of BHS (zeroes where it is shorter), then the AHS.
#include <array>

#include "base/limits.h"
#include "harness.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"

namespace {

using namespace peerlane;
using fuzz::require;

// What decode() took, encode() gives back; it may differ only in reserved fields, so that the next decode() takes the
// same.
template <typename Pdu>
void round_trip(iscsi::BhsView bhs) {
  const auto pdu = Pdu::decode(bhs);
  if (!pdu) {
    require(pdu.error().field[0] != '\0', "a malformed PDU is explained");
    return;
  }
  std::array<std::uint8_t, iscsi::kBhsBytes> again;
  pdu->encode(again);
  require(iscsi::BasicHeader(again).opcode() == iscsi::BasicHeader(bhs).opcode(), "encode keeps the opcode");
  const auto second = Pdu::decode(again);
  require(second.has_value() && *second == *pdu, "decode is the inverse of encode");
  std::array<std::uint8_t, iscsi::kBhsBytes> third;
  second->encode(third);
  require(third == again, "encode is a function of the fields");
}

void decode_by_opcode(iscsi::BhsView bhs) {
  using iscsi::Opcode;
  switch (iscsi::BasicHeader(bhs).opcode()) {
    case Opcode::kNopOut:
      return round_trip<iscsi::NopOut>(bhs);
    case Opcode::kScsiCommand:
      return round_trip<iscsi::ScsiCommand>(bhs);
    case Opcode::kTaskManagementRequest:
      return round_trip<iscsi::TaskManagementRequest>(bhs);
    case Opcode::kLoginRequest:
      return round_trip<iscsi::LoginRequest>(bhs);
    case Opcode::kTextRequest:
      return round_trip<iscsi::TextRequest>(bhs);
    case Opcode::kDataOut:
      return round_trip<iscsi::DataOut>(bhs);
    case Opcode::kLogoutRequest:
      return round_trip<iscsi::LogoutRequest>(bhs);
    case Opcode::kSnack:
      return round_trip<iscsi::SnackRequest>(bhs);
    case Opcode::kNopIn:
      return round_trip<iscsi::NopIn>(bhs);
    case Opcode::kScsiResponse:
      return round_trip<iscsi::ScsiResponse>(bhs);
    case Opcode::kTaskManagementResponse:
      return round_trip<iscsi::TaskManagementResponse>(bhs);
    case Opcode::kLoginResponse:
      return round_trip<iscsi::LoginResponse>(bhs);
    case Opcode::kTextResponse:
      return round_trip<iscsi::TextResponse>(bhs);
    case Opcode::kDataIn:
      return round_trip<iscsi::DataIn>(bhs);
    case Opcode::kLogoutResponse:
      return round_trip<iscsi::LogoutResponse>(bhs);
    case Opcode::kR2t:
      return round_trip<iscsi::R2t>(bhs);
    case Opcode::kAsyncMessage:
      return round_trip<iscsi::AsyncMessage>(bhs);
    case Opcode::kReject:
      return round_trip<iscsi::Reject>(bhs);
  }
  require(iscsi::name(iscsi::BasicHeader(bhs).opcode()) == "unknown", "an opcode without a PDU has no name");
}

void decode_additional_headers(ByteView bytes) {
  const auto found = iscsi::decode_ahs(bytes);
  if (!found) return;
  const ByteView cdb = found->extended_cdb;
  require(cdb.size() <= limits::kMaxCdbBytes - 16, "an extended CDB has a limit");
  if (cdb.empty()) return;
  require(cdb.data() >= bytes.data() && cdb.data() + cdb.size() <= bytes.data() + bytes.size(),
          "an extended CDB lies in the AHS");
  std::array<std::uint8_t, limits::kAhsBytes> again;
  const std::size_t size = iscsi::encode_extended_cdb(cdb, again);
  const auto second = iscsi::decode_ahs(ByteView(again).first(size));
  require(second.has_value() && std::ranges::equal(second->extended_cdb, cdb), "an extended CDB survives encoding");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
  std::ranges::copy(input.bytes(bhs.size()), bhs.begin());
  decode_by_opcode(bhs);
  decode_additional_headers(input.bytes(limits::kAhsBytes));
  return 0;
}
