#include "iscsi/pdu.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "iscsi/pdu_control.h"

namespace peerlane::iscsi {
namespace {

using Bhs = std::array<std::uint8_t, kBhsBytes>;

// A BHS from hexadecimal digits.
Bhs bhs(std::string_view hex) {
  Bhs out{};
  EXPECT_EQ(hex.size(), 2 * kBhsBytes);
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < kBhsBytes; ++i) {
    out[i] = static_cast<std::uint8_t>(value(hex[2 * i]) << 4 | value(hex[2 * i + 1]));
  }
  return out;
}

template <typename Pdu>
Bhs encoded(const Pdu& pdu) {
  Bhs out;
  out.fill(0xa5);  // encode() leaves nothing of what was there
  pdu.encode(out);
  return out;
}

// What libiscsi 1.19 and tgt 1.0.85 sent to each other; the bytes that the RFC reserves were zero in all of them.
constexpr std::string_view kLoginRequest =
    "43870000000001ae80f2fa0100000000280aa5b2000000000071aaa90000000100000000000000000000000000000000";
constexpr std::string_view kLoginResponse =
    "238700000000012e80f2fa0100000100280aa5b200000000000000000071aaa90071aaaa000000000000000000000000";
constexpr std::string_view kLoginRefusal =
    "230400000000000000000000000000006fb25cda00000000000000000000000000000000020300000000000000000000";
constexpr std::string_view kTextRequest =
    "4480000000000010000000000000000030b430b2ffffffff4ed20c5e0000000100000000000000000000000000000000";
constexpr std::string_view kTextResponse =
    "248000000000007f000000000000000030b430b2ffffffff000000014ed20c5e4ed20c5f000000000000000000000000";
// INQUIRY with an allocation length of 64, and its data with the status in the same PDU.
constexpr std::string_view kInquiry =
    "01c10000000000000001000000000000280aa5b5000000400071aaab0000000312000000400000000000000000000000";
constexpr std::string_view kInquiryData =
    "25810000000000400000000000000000280aa5b5ffffffff000000030071aaac0071aaad000000000000000000000000";

TEST(Pdu, LoginRequestOfLibiscsi) {
  const auto pdu = LoginRequest::decode(bhs(kLoginRequest));
  ASSERT_TRUE(pdu);
  EXPECT_TRUE(pdu->transit);
  EXPECT_FALSE(pdu->continues);
  EXPECT_EQ(pdu->current_stage, Stage::kOperationalNegotiation);
  EXPECT_EQ(pdu->next_stage, Stage::kFullFeature);
  EXPECT_EQ(pdu->isid, (Isid{0x80, 0xf2, 0xfa, 0x01, 0x00, 0x00}));
  EXPECT_EQ(pdu->tsih, 0);
  EXPECT_EQ(pdu->initiator_task_tag, 0x280aa5b2u);
  EXPECT_EQ(pdu->cmd_sn, CmdSn(0x0071aaa9));
  EXPECT_EQ(pdu->exp_stat_sn, StatSn(1));
  EXPECT_EQ(pdu->data_segment_length, 0x1aeu);
  EXPECT_EQ(encoded(*pdu), bhs(kLoginRequest));
}

TEST(Pdu, LoginResponseOfTgt) {
  const auto pdu = LoginResponse::decode(bhs(kLoginResponse));
  ASSERT_TRUE(pdu);
  EXPECT_EQ(pdu->tsih, 0x0100);
  EXPECT_EQ(pdu->exp_cmd_sn, CmdSn(0x0071aaa9));
  EXPECT_EQ(pdu->max_cmd_sn, CmdSn(0x0071aaaa));
  EXPECT_EQ(pdu->status, LoginStatus::kSuccess);
  EXPECT_EQ(encoded(*pdu), bhs(kLoginResponse));

  const auto refusal = LoginResponse::decode(bhs(kLoginRefusal));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, LoginStatus::kNotFound);
  EXPECT_EQ(encoded(*refusal), bhs(kLoginRefusal));
}

TEST(Pdu, TextOfLibiscsiAndTgt) {
  const auto request = TextRequest::decode(bhs(kTextRequest));
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->immediate);
  EXPECT_TRUE(request->final);
  EXPECT_EQ(request->target_transfer_tag, kReservedTag);
  EXPECT_EQ(encoded(*request), bhs(kTextRequest));

  const auto response = TextResponse::decode(bhs(kTextResponse));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->stat_sn, StatSn(1));
  EXPECT_EQ(response->data_segment_length, 127u);
  EXPECT_EQ(encoded(*response), bhs(kTextResponse));
}

TEST(Pdu, CommandAndDataOfLibiscsiAndTgt) {
  const auto command = ScsiCommand::decode(bhs(kInquiry));
  ASSERT_TRUE(command);
  EXPECT_TRUE(command->final);
  EXPECT_TRUE(command->read);
  EXPECT_FALSE(command->write);
  EXPECT_FALSE(command->immediate);
  EXPECT_EQ(command->attribute, Attribute::kSimple);
  EXPECT_EQ(command->lun, LunField{0x0001000000000000});
  EXPECT_EQ(command->expected_data_transfer_length, 64u);
  EXPECT_EQ(command->cmd_sn, CmdSn(0x0071aaab));
  EXPECT_EQ(command->cdb[0], 0x12);
  EXPECT_EQ(command->cdb[4], 0x40);
  EXPECT_EQ(encoded(*command), bhs(kInquiry));

  const auto data = DataIn::decode(bhs(kInquiryData));
  ASSERT_TRUE(data);
  EXPECT_TRUE(data->final);
  EXPECT_TRUE(data->status_present);
  EXPECT_FALSE(data->overflow);
  EXPECT_FALSE(data->underflow);
  EXPECT_EQ(data->data_segment_length, 64u);
  EXPECT_EQ(data->stat_sn, StatSn(3));
  EXPECT_EQ(encoded(*data), bhs(kInquiryData));
}

TEST(Pdu, BasicHeaderCountsInBytes) {
  Bhs bytes = bhs(kInquiry);
  bytes[4] = 255;
  put_be24(bytes, 5, kMaxDataSegmentLength);
  const BasicHeader header(bytes);
  EXPECT_EQ(header.opcode(), Opcode::kScsiCommand);
  EXPECT_EQ(header.total_ahs_length(), 1020u);
  EXPECT_EQ(header.data_segment_length(), 0xffffffu);
  bytes[0] |= 0xc0;  // the highest bit is reserved and no part of the opcode
  EXPECT_EQ(header.opcode(), Opcode::kScsiCommand);
  EXPECT_TRUE(header.immediate());
}

TEST(Pdu, PaddingGoesUpToWords) {
  EXPECT_EQ(padded(0), 0u);
  EXPECT_EQ(padded(1), 4u);
  EXPECT_EQ(padded(4), 4u);
  EXPECT_EQ(padded(kMaxDataSegmentLength), 0x1000000u);
}

// Field by field, at the offsets of the RFC's figures: every byte of the expectation was written by hand.
TEST(Pdu, LayoutsOfTheRfc) {
  EXPECT_EQ(
      encoded(DataOut{
          true, {0x0102030405060708}, 0x11121314, 0x21222324, StatSn(0x31323334), 0x41424344, 0x51525354, 0x010203}),
      bhs("058000000001020301020304050607081112131421222324000000003132333400000000414243445152535400000000"));
  EXPECT_EQ(encoded(R2t{{0x0102030405060708},
                        0x11121314,
                        0x21222324,
                        StatSn(0x31323334),
                        CmdSn(0x35363738),
                        CmdSn(0x393a3b3c),
                        0x41424344,
                        0x51525354,
                        0x61626364}),
            bhs("318000000000000001020304050607081112131421222324313233343536373839"
                "3a3b3c414243445152535461626364"));
  ScsiResponse response;
  response.underflow = true;
  response.bidi_overflow = true;
  response.response = ServiceResponse::kTargetFailure;
  response.status = 0x02;
  response.initiator_task_tag = 0x11121314;
  response.snack_tag = 0x21222324;
  response.stat_sn = StatSn(0x31323334);
  response.exp_cmd_sn = CmdSn(0x35363738);
  response.max_cmd_sn = CmdSn(0x393a3b3c);
  response.exp_data_sn = 0x41424344;
  response.bidi_residual_count = 0x51525354;
  response.residual_count = 0x61626364;
  response.data_segment_length = 20;
  EXPECT_EQ(encoded(response), bhs("219201020000001400000000000000001112131421222324313233343536373839"
                                   "3a3b3c414243445152535461626364"));
  EXPECT_EQ(encoded(TaskManagementRequest{true,
                                          TaskFunction::kAbortTask,
                                          {0x0102030405060708},
                                          0x11121314,
                                          0x21222324,
                                          CmdSn(0x31323334),
                                          StatSn(0x35363738),
                                          CmdSn(0x393a3b3c),
                                          0x41424344}),
            bhs("428100000000000001020304050607081112131421222324313233343536373839"
                "3a3b3c414243440000000000000000"));
  EXPECT_EQ(encoded(TaskManagementResponse{TaskFunctionResponse::kTaskDoesNotExist, 0x11121314, StatSn(0x31323334),
                                           CmdSn(0x35363738), CmdSn(0x393a3b3c)}),
            bhs("228001000000000000000000000000001112131400000000313233343536373839"
                "3a3b3c000000000000000000000000"));
  EXPECT_EQ(encoded(AsyncMessage{{0x0102030405060708},
                                 StatSn(0x31323334),
                                 CmdSn(0x35363738),
                                 CmdSn(0x393a3b3c),
                                 AsyncEvent::kConnectionDropped,
                                 0x77,
                                 0x0a0b,
                                 0x0c0d,
                                 0x0e0f,
                                 0}),
            bhs("32800000000000000102030405060708ffffffff00000000313233343536373839"
                "3a3b3c02770a0b0c0d0e0f00000000"));
  EXPECT_EQ(encoded(LogoutRequest{true, LogoutReason::kCloseConnection, 0x11121314, 0x0a0b, CmdSn(0x31323334),
                                  StatSn(0x35363738)}),
            bhs("46810000000000000000000000000000111213140a0b0000313233343536373800"
                "000000000000000000000000000000"));
  EXPECT_EQ(encoded(LogoutResponse{LogoutResult::kCidNotFound, 0x11121314, StatSn(0x31323334), CmdSn(0x35363738),
                                   CmdSn(0x393a3b3c), 0x0002, 0x0014}),
            bhs("268001000000000000000000000000001112131400000000313233343536373839"
                "3a3b3c000000000002001400000000"));
  EXPECT_EQ(encoded(SnackRequest{
                SnackType::kStatus, {}, kReservedTag, kReservedTag, StatSn(0x35363738), 0x51525354, 0x61626364}),
            bhs("10810000000000000000000000000000ffffffffffffffff000000003536373800"
                "000000000000005152535461626364"));
  EXPECT_EQ(encoded(Reject{RejectReason::kInvalidPduField, StatSn(0x31323334), CmdSn(0x35363738), CmdSn(0x393a3b3c),
                           0x41424344, 48}),
            bhs("3f8009000000003000000000000000"
                "00ffffffff000000003132333435363738393a3b3c414243440000000000000000"));
  EXPECT_EQ(
      encoded(NopOut{true, {0x0102030405060708}, 0x11121314, 0x21222324, CmdSn(0x31323334), StatSn(0x35363738), 5}),
      bhs("408000000000000501020304050607081112131421222324313233343536373800"
          "000000000000000000000000000000"));
  EXPECT_EQ(
      encoded(NopIn{
          {0x0102030405060708}, 0x11121314, 0x21222324, StatSn(0x31323334), CmdSn(0x35363738), CmdSn(0x393a3b3c), 5}),
      bhs("208000000000000501020304050607081112131421222324313233343536373839"
          "3a3b3c000000000000000000000000"));
}

// Every bit of a BHS that decode() reads, encode() writes back: decoding what was encoded from random bytes changes
// nothing.
template <typename Pdu>
void round_trips(const char* what) {
  SCOPED_TRACE(what);
  std::uint64_t random = 0x9e3779b97f4a7c15u;
  int decoded = 0;
  for (int i = 0; i < 5000; ++i) {
    Bhs bytes;
    for (std::uint8_t& byte : bytes) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      byte = static_cast<std::uint8_t>(random >> 32);
    }
    const auto first = Pdu::decode(bytes);
    if (!first) continue;
    ++decoded;
    const auto second = Pdu::decode(encoded(*first));
    ASSERT_TRUE(second);
    ASSERT_EQ(*second, *first);
  }
  EXPECT_GT(decoded, 100);
}

TEST(Pdu, DecodingIsTheInverseOfEncoding) {
  round_trips<ScsiCommand>("SCSI Command");
  round_trips<ScsiResponse>("SCSI Response");
  round_trips<DataOut>("Data-Out");
  round_trips<DataIn>("Data-In");
  round_trips<R2t>("R2T");
  round_trips<TaskManagementRequest>("TMF Request");
  round_trips<TaskManagementResponse>("TMF Response");
  round_trips<AsyncMessage>("Async Message");
  round_trips<TextRequest>("Text Request");
  round_trips<TextResponse>("Text Response");
  round_trips<LoginRequest>("Login Request");
  round_trips<LoginResponse>("Login Response");
  round_trips<LogoutResponse>("Logout Response");
  round_trips<SnackRequest>("SNACK");
  round_trips<Reject>("Reject");
  round_trips<NopOut>("NOP-Out");
  round_trips<NopIn>("NOP-In");
}

template <typename Pdu>
RejectReason reason_of(const Bhs& bytes) {
  const auto pdu = Pdu::decode(bytes);
  EXPECT_FALSE(pdu);
  return pdu ? RejectReason::kWaitingForLogout : pdu.error().reason;
}

TEST(Pdu, RefusesWhatNoInitiatorMaySend) {
  Bhs command = bhs(kInquiry);
  command[1] = 0xc5;
  EXPECT_EQ(reason_of<ScsiCommand>(command), RejectReason::kInvalidPduField) << "ATTR 5";
  command[1] = 0x41;
  EXPECT_EQ(reason_of<ScsiCommand>(command), RejectReason::kInvalidPduField) << "F=0 without W";
  command = bhs(kInquiry);
  put_be32(command, 16, kReservedTag);
  EXPECT_EQ(reason_of<ScsiCommand>(command), RejectReason::kInvalidPduField) << "reserved ITT";

  DataOut data;
  data.buffer_offset = 0xffffff00;
  data.data_segment_length = 0x100;
  EXPECT_EQ(reason_of<DataOut>(encoded(data)), RejectReason::kInvalidPduField);
  data.data_segment_length = 0xff;
  EXPECT_TRUE(DataOut::decode(encoded(data)));

  Bhs text = bhs(kTextRequest);
  text[1] = 0xc0;
  EXPECT_EQ(reason_of<TextRequest>(text), RejectReason::kProtocolError) << "F and C";

  LogoutRequest logout;
  logout.reason = static_cast<LogoutReason>(3);
  EXPECT_EQ(reason_of<LogoutRequest>(encoded(logout)), RejectReason::kInvalidPduField);

  NopOut nop;
  EXPECT_EQ(reason_of<NopOut>(encoded(nop)), RejectReason::kProtocolError) << "no ITT and not immediate";
  nop.immediate = true;
  EXPECT_TRUE(NopOut::decode(encoded(nop)));
}

TEST(Pdu, RefusesWhatNoTargetMaySend) {
  DataIn data;
  data.status_present = true;
  EXPECT_EQ(reason_of<DataIn>(encoded(data)), RejectReason::kProtocolError) << "S without F";
  ScsiResponse response;
  response.overflow = response.underflow = true;
  EXPECT_EQ(reason_of<ScsiResponse>(encoded(response)), RejectReason::kProtocolError);
  R2t r2t;
  EXPECT_EQ(reason_of<R2t>(encoded(r2t)), RejectReason::kProtocolError) << "asks for nothing";
  r2t.desired_data_transfer_length = 512;
  r2t.buffer_offset = 0xfffffe00;
  EXPECT_EQ(reason_of<R2t>(encoded(r2t)), RejectReason::kProtocolError);
}

std::vector<std::uint8_t> bytes_of(std::initializer_list<int> values) {
  std::vector<std::uint8_t> out;
  for (const int value : values) out.push_back(static_cast<std::uint8_t>(value));
  return out;
}

TEST(AdditionalHeaders, ReadsBothTypesInAnyOrder) {
  // A 20-byte CDB: AHSLength is CDB length - 15 (RFC 7143 §11.2.2.3); then a bidirectional read of 0x00010000.
  const auto both = bytes_of({0, 5, 1, 0, 0xa, 0xb, 0xc, 0xd, 0, 5, 2, 0, 0, 1, 0, 0});
  const auto found = decode_ahs(both);
  ASSERT_TRUE(found);
  EXPECT_EQ(std::vector(found->extended_cdb.begin(), found->extended_cdb.end()), bytes_of({0xa, 0xb, 0xc, 0xd}));
  EXPECT_EQ(found->expected_bidi_read_length, 0x10000u);

  const auto swapped = bytes_of({0, 5, 2, 0, 0, 1, 0, 0, 0, 3, 1, 0, 0xa, 0xb, 0, 0});
  const auto again = decode_ahs(swapped);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->extended_cdb.size(), 2u) << "padding is not part of the CDB";
  EXPECT_EQ(again->expected_bidi_read_length, 0x10000u);
  EXPECT_TRUE(decode_ahs({})->extended_cdb.empty());
}

TEST(AdditionalHeaders, RefusesWrongLengthsTypesAndRepetition) {
  EXPECT_FALSE(decode_ahs(bytes_of({0, 5, 1}))) << "cut off in its header";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 9, 1, 0, 1, 2, 3, 4}))) << "longer than what is there";
  EXPECT_FALSE(decode_ahs(bytes_of({0xff, 0xff, 1, 0}))) << "much longer";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 0, 1, 0}))) << "shorter than its reserved byte";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 1, 1, 0}))) << "an extended CDB of nothing";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 4, 2, 0, 0, 1, 0, 0}))) << "a read length of three bytes";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 5, 3, 0, 0, 1, 0, 0}))) << "an unknown type";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 5, 2, 0, 0, 1, 0, 0, 0, 5, 2, 0, 0, 1, 0, 0}))) << "twice";
  EXPECT_FALSE(decode_ahs(bytes_of({0, 5, 1, 0, 0, 1, 0, 0, 0, 5, 1, 0, 0, 1, 0, 0}))) << "twice";
}

TEST(AdditionalHeaders, HoldCdbsUpToTheLongest) {
  const std::vector<std::uint8_t> rest(limits::kMaxCdbBytes - 16, 0x5a);
  std::array<std::uint8_t, limits::kAhsBytes> ahs;
  ahs.fill(0xff);
  const std::size_t size = encode_extended_cdb(rest, ahs);
  EXPECT_EQ(size, 248u);
  const auto found = decode_ahs(ByteView(ahs).first(size));
  ASSERT_TRUE(found);
  EXPECT_EQ(std::vector(found->extended_cdb.begin(), found->extended_cdb.end()), rest);

  std::vector<std::uint8_t> longer(1020, 0);
  put_be16(longer, 0, 1017);
  longer[2] = 1;
  EXPECT_FALSE(decode_ahs(longer));

  // Padding is written as zeroes.
  EXPECT_EQ(encode_extended_cdb(bytes_of({1}), ahs), 8u);
  EXPECT_EQ(ahs[5] | ahs[6] | ahs[7], 0);
}

}  // namespace
}  // namespace peerlane::iscsi
