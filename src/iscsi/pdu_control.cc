#include "iscsi/pdu_control.h"

namespace peerlane::iscsi {
namespace {

// Fields of single PDUs: where they are and how wide the reader can see at the use.
constexpr std::size_t kIsid = offset::kLun;
constexpr std::size_t kTsih = 14;
constexpr std::size_t kCid = offset::kWord20;
constexpr std::size_t kRefCmdSn = 32;
constexpr std::size_t kAsyncEvent = 36;
constexpr std::size_t kAsyncVendorCode = 37;
constexpr std::size_t kParameter1 = 38;
constexpr std::size_t kParameter2 = 40;
constexpr std::size_t kParameter3 = 42;
constexpr std::size_t kLoginStatus = 36;
constexpr std::size_t kTime2Wait = 40;
constexpr std::size_t kTime2Retain = 42;

constexpr std::uint8_t kFunctionMask = 0x7f;  // byte 1 of task management and logout requests
constexpr std::uint8_t kSnackTypeMask = 0x0f;

constexpr const char* kReservedTaskTag = "Initiator Task Tag is the reserved value";

StatSn stat_sn_of(BhsView in) {
  return StatSn(get_be32(in, offset::kStatSn));
}
StatSn exp_stat_sn_of(BhsView in) {
  return StatSn(get_be32(in, offset::kExpStatSn));
}
CmdSn cmd_sn_of(BhsView in) {
  return CmdSn(get_be32(in, offset::kCmdSn));
}
CmdSn exp_cmd_sn_of(BhsView in) {
  return CmdSn(get_be32(in, offset::kExpCmdSn));
}
CmdSn max_cmd_sn_of(BhsView in) {
  return CmdSn(get_be32(in, offset::kMaxCmdSn));
}

void put_request_numbers(BhsSpan out, CmdSn cmd_sn, StatSn exp_stat_sn) {
  put_be32(out, offset::kCmdSn, cmd_sn.value);
  put_be32(out, offset::kExpStatSn, exp_stat_sn.value);
}

std::uint8_t text_flags(bool final, bool continues) {
  return static_cast<std::uint8_t>(bit_if(final, flag::kFinal) | bit_if(continues, flag::kContinue));
}

// Byte 1 of login PDUs: T, C, two reserved bits, CSG, NSG.
std::uint8_t login_flags(bool transit, bool continues, Stage current, Stage next) {
  return static_cast<std::uint8_t>(text_flags(transit, continues) | static_cast<unsigned>(current) << 2 |
                                   static_cast<unsigned>(next));
}
Stage current_stage_of(BhsView in) {
  return static_cast<Stage>(in[offset::kFlags] >> 2 & 3);
}
Stage next_stage_of(BhsView in) {
  return static_cast<Stage>(in[offset::kFlags] & 3);
}
bool continues(BhsView in) {
  return (in[offset::kFlags] & flag::kContinue) != 0;
}

Isid isid_of(BhsView in) {
  Isid isid;
  std::ranges::copy(in.subspan<kIsid, std::tuple_size_v<Isid>>(), isid.begin());
  return isid;
}

}  // namespace

Decoded<TaskManagementRequest> TaskManagementRequest::decode(BhsView in) {
  const BasicHeader header(in);
  TaskManagementRequest pdu;
  pdu.immediate = header.immediate();
  pdu.function = static_cast<TaskFunction>(in[offset::kFlags] & kFunctionMask);
  pdu.lun = header.lun();
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.referenced_task_tag = get_be32(in, offset::kWord20);
  pdu.cmd_sn = cmd_sn_of(in);
  pdu.exp_stat_sn = exp_stat_sn_of(in);
  pdu.ref_cmd_sn = CmdSn(get_be32(in, kRefCmdSn));
  pdu.exp_data_sn = get_be32(in, offset::kWord36);
  if (pdu.initiator_task_tag == kReservedTag) return malformed(RejectReason::kInvalidPduField, kReservedTaskTag);
  return pdu;
}

void TaskManagementRequest::encode(BhsSpan out) const {
  const auto flags = static_cast<std::uint8_t>(flag::kFinal | (static_cast<unsigned>(function) & kFunctionMask));
  begin_bhs(out, Opcode::kTaskManagementRequest, immediate, flags, 0);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be32(out, offset::kWord20, referenced_task_tag);
  put_request_numbers(out, cmd_sn, exp_stat_sn);
  put_be32(out, kRefCmdSn, ref_cmd_sn.value);
  put_be32(out, offset::kWord36, exp_data_sn);
}

Decoded<TaskManagementResponse> TaskManagementResponse::decode(BhsView in) {
  TaskManagementResponse pdu;
  pdu.response = static_cast<TaskFunctionResponse>(in[offset::kByte2]);
  pdu.initiator_task_tag = BasicHeader(in).initiator_task_tag();
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  return pdu;
}

void TaskManagementResponse::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kTaskManagementResponse, false, flag::kFinal, 0);
  out[offset::kByte2] = static_cast<std::uint8_t>(response);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
}

Decoded<AsyncMessage> AsyncMessage::decode(BhsView in) {
  const BasicHeader header(in);
  AsyncMessage pdu;
  pdu.lun = header.lun();
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  pdu.event = static_cast<AsyncEvent>(in[kAsyncEvent]);
  pdu.vendor_code = in[kAsyncVendorCode];
  pdu.parameter1 = get_be16(in, kParameter1);
  pdu.parameter2 = get_be16(in, kParameter2);
  pdu.parameter3 = get_be16(in, kParameter3);
  pdu.data_segment_length = header.data_segment_length();
  return pdu;
}

void AsyncMessage::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kAsyncMessage, false, flag::kFinal, data_segment_length);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, kReservedTag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
  out[kAsyncEvent] = static_cast<std::uint8_t>(event);
  out[kAsyncVendorCode] = vendor_code;
  put_be16(out, kParameter1, parameter1);
  put_be16(out, kParameter2, parameter2);
  put_be16(out, kParameter3, parameter3);
}

Decoded<TextRequest> TextRequest::decode(BhsView in) {
  const BasicHeader header(in);
  TextRequest pdu;
  pdu.immediate = header.immediate();
  pdu.final = header.final();
  pdu.continues = iscsi::continues(in);
  pdu.lun = header.lun();
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.target_transfer_tag = get_be32(in, offset::kWord20);
  pdu.cmd_sn = cmd_sn_of(in);
  pdu.exp_stat_sn = exp_stat_sn_of(in);
  pdu.data_segment_length = header.data_segment_length();
  if (pdu.final && pdu.continues) return malformed(RejectReason::kProtocolError, "F and C are both set");
  if (pdu.initiator_task_tag == kReservedTag) return malformed(RejectReason::kInvalidPduField, kReservedTaskTag);
  return pdu;
}

void TextRequest::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kTextRequest, immediate, text_flags(final, continues), data_segment_length);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be32(out, offset::kWord20, target_transfer_tag);
  put_request_numbers(out, cmd_sn, exp_stat_sn);
}

Decoded<TextResponse> TextResponse::decode(BhsView in) {
  const BasicHeader header(in);
  TextResponse pdu;
  pdu.final = header.final();
  pdu.continues = iscsi::continues(in);
  pdu.lun = header.lun();
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.target_transfer_tag = get_be32(in, offset::kWord20);
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  pdu.data_segment_length = header.data_segment_length();
  if (pdu.final && pdu.continues) return malformed(RejectReason::kProtocolError, "F and C are both set");
  if (pdu.final && pdu.target_transfer_tag != kReservedTag) {
    return malformed(RejectReason::kProtocolError, "F is 1 with a Target Transfer Tag");
  }
  return pdu;
}

void TextResponse::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kTextResponse, false, text_flags(final, continues), data_segment_length);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be32(out, offset::kWord20, target_transfer_tag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
}

Decoded<LoginRequest> LoginRequest::decode(BhsView in) {
  const BasicHeader header(in);
  LoginRequest pdu;
  pdu.transit = header.final();
  pdu.continues = iscsi::continues(in);
  pdu.current_stage = current_stage_of(in);
  pdu.next_stage = next_stage_of(in);
  pdu.version_max = in[offset::kByte2];
  pdu.version_min = in[offset::kByte3];
  pdu.isid = isid_of(in);
  pdu.tsih = get_be16(in, kTsih);
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.cid = get_be16(in, kCid);
  pdu.cmd_sn = cmd_sn_of(in);
  pdu.exp_stat_sn = exp_stat_sn_of(in);
  pdu.data_segment_length = header.data_segment_length();
  return pdu;
}

void LoginRequest::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kLoginRequest, true, login_flags(transit, continues, current_stage, next_stage),
            data_segment_length);
  out[offset::kByte2] = version_max;
  out[offset::kByte3] = version_min;
  std::ranges::copy(isid, out.subspan<kIsid, std::tuple_size_v<Isid>>().begin());
  put_be16(out, kTsih, tsih);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be16(out, kCid, cid);
  put_request_numbers(out, cmd_sn, exp_stat_sn);
}

Decoded<LoginResponse> LoginResponse::decode(BhsView in) {
  const BasicHeader header(in);
  LoginResponse pdu;
  pdu.transit = header.final();
  pdu.continues = iscsi::continues(in);
  pdu.current_stage = current_stage_of(in);
  pdu.next_stage = next_stage_of(in);
  pdu.version_max = in[offset::kByte2];
  pdu.version_active = in[offset::kByte3];
  pdu.isid = isid_of(in);
  pdu.tsih = get_be16(in, kTsih);
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  pdu.status = static_cast<LoginStatus>(get_be16(in, kLoginStatus));
  pdu.data_segment_length = header.data_segment_length();
  if (pdu.transit && pdu.continues) return malformed(RejectReason::kProtocolError, "T and C are both set");
  return pdu;
}

void LoginResponse::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kLoginResponse, false, login_flags(transit, continues, current_stage, next_stage),
            data_segment_length);
  out[offset::kByte2] = version_max;
  out[offset::kByte3] = version_active;
  std::ranges::copy(isid, out.subspan<kIsid, std::tuple_size_v<Isid>>().begin());
  put_be16(out, kTsih, tsih);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
  put_be16(out, kLoginStatus, static_cast<std::uint16_t>(status));
}

Decoded<LogoutRequest> LogoutRequest::decode(BhsView in) {
  const BasicHeader header(in);
  LogoutRequest pdu;
  pdu.immediate = header.immediate();
  pdu.reason = static_cast<LogoutReason>(in[offset::kFlags] & kFunctionMask);
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.cid = get_be16(in, kCid);
  pdu.cmd_sn = cmd_sn_of(in);
  pdu.exp_stat_sn = exp_stat_sn_of(in);
  if (pdu.reason > LogoutReason::kRemoveForRecovery) {
    return malformed(RejectReason::kInvalidPduField, "the reason code of a logout is unknown");
  }
  if (pdu.initiator_task_tag == kReservedTag) return malformed(RejectReason::kInvalidPduField, kReservedTaskTag);
  return pdu;
}

void LogoutRequest::encode(BhsSpan out) const {
  const auto flags = static_cast<std::uint8_t>(flag::kFinal | static_cast<unsigned>(reason));
  begin_bhs(out, Opcode::kLogoutRequest, immediate, flags, 0);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be16(out, kCid, cid);
  put_request_numbers(out, cmd_sn, exp_stat_sn);
}

Decoded<LogoutResponse> LogoutResponse::decode(BhsView in) {
  LogoutResponse pdu;
  pdu.response = static_cast<LogoutResult>(in[offset::kByte2]);
  pdu.initiator_task_tag = BasicHeader(in).initiator_task_tag();
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  pdu.time2wait = get_be16(in, kTime2Wait);
  pdu.time2retain = get_be16(in, kTime2Retain);
  return pdu;
}

void LogoutResponse::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kLogoutResponse, false, flag::kFinal, 0);
  out[offset::kByte2] = static_cast<std::uint8_t>(response);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
  put_be16(out, kTime2Wait, time2wait);
  put_be16(out, kTime2Retain, time2retain);
}

Decoded<SnackRequest> SnackRequest::decode(BhsView in) {
  const BasicHeader header(in);
  SnackRequest pdu;
  pdu.type = static_cast<SnackType>(in[offset::kFlags] & kSnackTypeMask);
  pdu.lun = header.lun();
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.target_transfer_tag = get_be32(in, offset::kWord20);
  pdu.exp_stat_sn = exp_stat_sn_of(in);
  pdu.begin_run = get_be32(in, offset::kWord40);
  pdu.run_length = get_be32(in, offset::kWord44);
  if (pdu.type > SnackType::kRData) return malformed(RejectReason::kInvalidPduField, "the type of a SNACK is unknown");
  return pdu;
}

void SnackRequest::encode(BhsSpan out) const {
  const auto flags = static_cast<std::uint8_t>(flag::kFinal | static_cast<unsigned>(type));
  begin_bhs(out, Opcode::kSnack, false, flags, 0);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be32(out, offset::kWord20, target_transfer_tag);
  put_be32(out, offset::kExpStatSn, exp_stat_sn.value);
  put_be32(out, offset::kWord40, begin_run);
  put_be32(out, offset::kWord44, run_length);
}

Decoded<Reject> Reject::decode(BhsView in) {
  Reject pdu;
  pdu.reason = static_cast<RejectReason>(in[offset::kByte2]);
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  pdu.data_sn = get_be32(in, offset::kWord36);
  pdu.data_segment_length = BasicHeader(in).data_segment_length();
  return pdu;
}

void Reject::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kReject, false, flag::kFinal, data_segment_length);
  out[offset::kByte2] = static_cast<std::uint8_t>(reason);
  put_be32(out, offset::kInitiatorTaskTag, kReservedTag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
  put_be32(out, offset::kWord36, data_sn);
}

Decoded<NopOut> NopOut::decode(BhsView in) {
  const BasicHeader header(in);
  NopOut pdu;
  pdu.immediate = header.immediate();
  pdu.lun = header.lun();
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.target_transfer_tag = get_be32(in, offset::kWord20);
  pdu.cmd_sn = cmd_sn_of(in);
  pdu.exp_stat_sn = exp_stat_sn_of(in);
  pdu.data_segment_length = header.data_segment_length();
  if (pdu.initiator_task_tag == kReservedTag && !pdu.immediate) {
    return malformed(RejectReason::kProtocolError, "a NOP-Out without Initiator Task Tag is not immediate");
  }
  return pdu;
}

void NopOut::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kNopOut, immediate, flag::kFinal, data_segment_length);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be32(out, offset::kWord20, target_transfer_tag);
  put_request_numbers(out, cmd_sn, exp_stat_sn);
}

Decoded<NopIn> NopIn::decode(BhsView in) {
  const BasicHeader header(in);
  NopIn pdu;
  pdu.lun = header.lun();
  pdu.initiator_task_tag = header.initiator_task_tag();
  pdu.target_transfer_tag = get_be32(in, offset::kWord20);
  pdu.stat_sn = stat_sn_of(in);
  pdu.exp_cmd_sn = exp_cmd_sn_of(in);
  pdu.max_cmd_sn = max_cmd_sn_of(in);
  pdu.data_segment_length = header.data_segment_length();
  return pdu;
}

void NopIn::encode(BhsSpan out) const {
  begin_bhs(out, Opcode::kNopIn, false, flag::kFinal, data_segment_length);
  put_be64(out, offset::kLun, lun.value);
  put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
  put_be32(out, offset::kWord20, target_transfer_tag);
  put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
}

}  // namespace peerlane::iscsi
