// The PDUs that move no data of commands (RFC 7143 §11.5, §11.6, §11.9 to §11.19): task management, asynchronous
// messages, text, login, logout, SNACK, Reject, NOP. See iscsi/pdu.h for how `decode` and `encode` work.
#pragma once

#include <array>
#include <cstdint>

#include "iscsi/codes.h"
#include "iscsi/pdu.h"
#include "iscsi/sequence.h"

namespace peerlane::iscsi {

/// Task Management Function Request (RFC 7143 §11.5).
struct TaskManagementRequest {
  bool immediate = false;
  TaskFunction function = TaskFunction::kAbortTask;  // may be one that is not defined: answered "not supported"
  LunField lun;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t referenced_task_tag = kReservedTag;  // ABORT TASK, TASK REASSIGN, QUERY TASK
  CmdSn cmd_sn;
  StatSn exp_stat_sn;
  CmdSn ref_cmd_sn;  // of the referenced task
  std::uint32_t exp_data_sn = 0;

  bool operator==(const TaskManagementRequest&) const = default;
  /// Errors: the reserved task tag.
  static Decoded<TaskManagementRequest> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Task Management Function Response (RFC 7143 §11.6).
struct TaskManagementResponse {
  TaskFunctionResponse response = TaskFunctionResponse::kFunctionComplete;
  std::uint32_t initiator_task_tag = 0;
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;

  bool operator==(const TaskManagementResponse&) const = default;
  static Decoded<TaskManagementResponse> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Asynchronous Message (RFC 7143 §11.9).
struct AsyncMessage {
  LunField lun;
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  AsyncEvent event = AsyncEvent::kLogoutRequested;
  std::uint8_t vendor_code = 0;
  std::uint16_t parameter1 = 0;
  std::uint16_t parameter2 = 0;
  std::uint16_t parameter3 = 0;
  std::uint32_t data_segment_length = 0;

  bool operator==(const AsyncMessage&) const = default;
  static Decoded<AsyncMessage> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Text Request (RFC 7143 §11.10).
struct TextRequest {
  bool immediate = false;
  bool final = true;
  bool continues = false;  // C: the text goes on in the next request
  LunField lun;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = kReservedTag;  // of the response that this one continues
  CmdSn cmd_sn;
  StatSn exp_stat_sn;
  std::uint32_t data_segment_length = 0;

  bool operator==(const TextRequest&) const = default;
  /// Errors: F and C at once; the reserved task tag.
  static Decoded<TextRequest> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Text Response (RFC 7143 §11.11).
struct TextResponse {
  bool final = true;
  bool continues = false;
  LunField lun;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = kReservedTag;  // a value: the initiator may or must go on
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint32_t data_segment_length = 0;

  bool operator==(const TextResponse&) const = default;
  /// Errors: F and C at once; F with a transfer tag (RFC 7143 §11.11.1).
  static Decoded<TextResponse> decode(BhsView in);
  void encode(BhsSpan out) const;
};

using Isid = std::array<std::uint8_t, 6>;  // the initiator's part of a session identifier (RFC 7143 §11.12.5)

/// Login Request (RFC 7143 §11.12). Always immediate. What is wrong in it is answered with a login status, not with a
/// Reject: decode() takes every value, and the stages may be such as do not exist.
struct LoginRequest {
  bool transit = false;
  bool continues = false;
  Stage current_stage = Stage::kSecurityNegotiation;
  Stage next_stage = Stage::kSecurityNegotiation;  // only with `transit`
  std::uint8_t version_max = kProtocolVersion;
  std::uint8_t version_min = kProtocolVersion;
  Isid isid{};
  std::uint16_t tsih = 0;  // 0: a new session
  std::uint32_t initiator_task_tag = 0;
  std::uint16_t cid = 0;
  CmdSn cmd_sn;
  StatSn exp_stat_sn;
  std::uint32_t data_segment_length = 0;

  bool operator==(const LoginRequest&) const = default;
  static Decoded<LoginRequest> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Login Response (RFC 7143 §11.13).
struct LoginResponse {
  bool transit = false;
  bool continues = false;
  Stage current_stage = Stage::kSecurityNegotiation;
  Stage next_stage = Stage::kSecurityNegotiation;
  std::uint8_t version_max = kProtocolVersion;
  std::uint8_t version_active = kProtocolVersion;
  Isid isid{};
  std::uint16_t tsih = 0;
  std::uint32_t initiator_task_tag = 0;
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  LoginStatus status = LoginStatus::kSuccess;
  std::uint32_t data_segment_length = 0;

  bool operator==(const LoginResponse&) const = default;
  /// Errors: T and C at once.
  static Decoded<LoginResponse> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Logout Request (RFC 7143 §11.14).
struct LogoutRequest {
  bool immediate = false;
  LogoutReason reason = LogoutReason::kCloseSession;
  std::uint32_t initiator_task_tag = 0;
  std::uint16_t cid = 0;  // not with kCloseSession
  CmdSn cmd_sn;
  StatSn exp_stat_sn;

  bool operator==(const LogoutRequest&) const = default;
  /// Errors: an unknown reason; the reserved task tag.
  static Decoded<LogoutRequest> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Logout Response (RFC 7143 §11.15).
struct LogoutResponse {
  LogoutResult response = LogoutResult::kSuccess;
  std::uint32_t initiator_task_tag = 0;
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint16_t time2wait = 0;    // seconds
  std::uint16_t time2retain = 0;  // seconds

  bool operator==(const LogoutResponse&) const = default;
  static Decoded<LogoutResponse> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// SNACK Request (RFC 7143 §11.16).
struct SnackRequest {
  SnackType type = SnackType::kDataOrR2t;
  LunField lun;
  std::uint32_t initiator_task_tag = kReservedTag;
  std::uint32_t target_transfer_tag = kReservedTag;  // or SNACK Tag
  StatSn exp_stat_sn;
  std::uint32_t begin_run = 0;
  std::uint32_t run_length = 0;  // 0: all from begin_run on

  bool operator==(const SnackRequest&) const = default;
  /// Errors: an unknown type.
  static Decoded<SnackRequest> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// Reject (RFC 7143 §11.17). Its data segment is the rejected PDU's headers, 48 bytes or with the AHS.
struct Reject {
  RejectReason reason = RejectReason::kProtocolError;
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint32_t data_sn = 0;  // the next DataSN or R2TSN, where a Data or R2T sequence is concerned
  std::uint32_t data_segment_length = 0;

  bool operator==(const Reject&) const = default;
  static Decoded<Reject> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// NOP-Out (RFC 7143 §11.18): a ping of the initiator, or its answer to the target's.
struct NopOut {
  bool immediate = false;
  LunField lun;
  std::uint32_t initiator_task_tag = kReservedTag;   // a value: wants an answer
  std::uint32_t target_transfer_tag = kReservedTag;  // a value: answers the NOP-In with it
  CmdSn cmd_sn;
  StatSn exp_stat_sn;
  std::uint32_t data_segment_length = 0;

  bool operator==(const NopOut&) const = default;
  /// Errors: a NOP-Out that wants no answer and is not immediate (RFC 7143 §11.18.1).
  static Decoded<NopOut> decode(BhsView in);
  void encode(BhsSpan out) const;
};

/// NOP-In (RFC 7143 §11.19): a ping of the target, or its answer to the initiator's.
struct NopIn {
  LunField lun;                                      // to be copied to the answer
  std::uint32_t initiator_task_tag = kReservedTag;   // of the NOP-Out that it answers
  std::uint32_t target_transfer_tag = kReservedTag;  // a value: wants an answer
  StatSn stat_sn;                                    // used up only if it is an answer
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint32_t data_segment_length = 0;

  bool operator==(const NopIn&) const = default;
  static Decoded<NopIn> decode(BhsView in);
  void encode(BhsSpan out) const;
};

}  // namespace peerlane::iscsi
