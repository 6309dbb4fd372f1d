// Commands of a session and their data, and task management functions.

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "scsi/sense.h"
#include "session.h"

namespace peerlane::storm {
namespace {

using iscsi::Opcode;
using iscsi::TaskFunction;
using iscsi::TaskFunctionResponse;

constexpr std::uint64_t kMostBytes = 1u << 20;
constexpr std::size_t kMostUnsent = 4u << 20;

constexpr std::uint8_t kGood = 0x00;
constexpr std::uint8_t kCheckCondition = 0x02;
constexpr std::uint8_t kBusy = 0x08;
constexpr std::uint8_t kTaskSetFull = 0x28;

/// Whether a function ends other sessions' commands as well.
bool resets_units(TaskFunction function) {
  return function == TaskFunction::kLogicalUnitReset || function == TaskFunction::kTargetWarmReset ||
         function == TaskFunction::kTargetColdReset;
}

}  // namespace

// --- Choosing and sending ---

void Session::submit() {
  for (unsigned attempts = 0; attempts < 4 && tasks_.size() < depth_; ++attempts) {
    if (cmd_sn_ > wire_->max_cmd_sn() || wire_->unsent() > kMostUnsent) return;
    if (start_random()) attempts = 0;
  }
}

bool Session::start_random() {
  Task task;
  const std::uint64_t choice = below(100);
  task.kind = choice < 45   ? Kind::kRead
              : choice < 92 ? Kind::kWrite
              : choice < 95 ? Kind::kZero
              : choice < 98 ? Kind::kUnmap
                            : Kind::kFlush;
  const std::size_t lun = below(own_.size());
  task.region = below(8) == 0 ? storm_.shared[lun].get() : own_[lun].get();
  // As many small ones as large ones: 512 bytes to 1 MiB.
  const std::uint64_t most = std::max<std::uint64_t>(1, (kMostBytes >> below(12)) / task.region->block_size());
  task.count = task.kind == Kind::kFlush ? 0 : 1 + below(most);
  task.lba = task.region->first() + below(task.region->count() - task.count + 1);
  if (task.count != 0 && !task.region->claim(task.lba, task.count, task.changes())) return false;
  start(std::move(task));
  return true;
}

void Session::start(Task task) {
  const std::uint32_t tag = next_tag_++;
  const std::uint32_t bytes = static_cast<std::uint32_t>(task.count * task.region->block_size());
  task.sent = Clock::now();
  iscsi::ScsiCommand pdu;
  pdu.lun = lun_field(task.region->lun());
  pdu.initiator_task_tag = tag;
  pdu.exp_stat_sn = exp_stat_sn();
  pdu.cmd_sn = cmd_sn_++;
  const std::uint64_t attribute = below(20);
  pdu.attribute = attribute == 0   ? iscsi::Attribute::kOrdered
                  : attribute == 1 ? iscsi::Attribute::kHeadOfQueue
                                   : iscsi::Attribute::kSimple;
  put_be64(pdu.cdb, 2, task.lba);
  put_be32(pdu.cdb, 10, static_cast<std::uint32_t>(task.count));
  switch (task.kind) {
    case Kind::kRead:
      pdu.cdb[0] = 0x88;
      pdu.read = true;
      pdu.expected_data_transfer_length = task.expected = bytes;
      task.data.resize(bytes);
      break;
    case Kind::kWrite:
      pdu.cdb[0] = 0x8a;
      pdu.cdb[1] = below(16) == 0 ? 0x08 : 0;  // FUA
      task.generation = next_generation_++;
      task.data.resize(bytes);
      for (std::uint64_t i = 0; i < task.count; ++i) {
        const ByteSpan block = ByteSpan(task.data).subspan(i * task.region->block_size(), task.region->block_size());
        make_block(block, task.region->lun(), task.lba + i, task.generation);
      }
      break;
    case Kind::kZero:  // WRITE SAME with NDOB
      pdu.cdb[0] = 0x93;
      pdu.cdb[1] = 0x01;
      break;
    case Kind::kUnmap:
      pdu.cdb = {0x42, 0, 0, 0, 0, 0, 0, 0, 24};
      task.data.resize(24);
      put_be16(task.data, 0, 22);
      put_be16(task.data, 2, 16);
      put_be64(task.data, 8, task.lba);
      put_be32(task.data, 16, static_cast<std::uint32_t>(task.count));
      break;
    case Kind::kFlush:
      pdu.cdb = {0x91};
      break;
  }
  if (task.changes()) task.region->expect(task.lba, task.count, task.generation);
  Task& kept = tasks_.emplace(tag, std::move(task)).first->second;
  if (kept.kind == Kind::kWrite || kept.kind == Kind::kUnmap) {
    begin_write(tag, kept, pdu);
  } else {
    wire_->send(pdu);
  }
}

/// Sends a command with its immediate and unsolicited data.
void Session::begin_write(std::uint32_t tag, Task& task, iscsi::ScsiCommand pdu) {
  const Agreed& agreed = wire_->agreed();
  const auto size = static_cast<std::uint32_t>(task.data.size());
  const std::uint32_t first_burst = std::min(agreed.first_burst, size);
  std::uint32_t immediate = agreed.immediate_data ? std::min(first_burst, agreed.target_segment) : 0;
  if (below(8) == 0) immediate = static_cast<std::uint32_t>(below(immediate + 1));  // nobody has to use all of it
  const bool unsolicited = !agreed.initial_r2t && immediate < first_burst;
  pdu.write = true;
  pdu.final = !unsolicited;
  pdu.expected_data_transfer_length = size;
  wire_->send(pdu, ByteView(task.data).first(immediate));
  task.asked_until = unsolicited ? first_burst : immediate;
  if (unsolicited) send_data(tag, task, iscsi::kReservedTag, {}, immediate, first_burst);
}

void Session::send_data(std::uint32_t tag, const Task& task, std::uint32_t transfer_tag, iscsi::LunField lun,
                        std::uint32_t begin, std::uint32_t end) {
  std::uint32_t data_sn = 0;
  while (begin < end) {
    const std::uint32_t piece = std::min(end - begin, wire_->agreed().target_segment);
    iscsi::DataOut pdu;
    pdu.final = begin + piece == end;
    pdu.lun = lun;
    pdu.initiator_task_tag = tag;
    pdu.target_transfer_tag = transfer_tag;
    pdu.exp_stat_sn = exp_stat_sn();
    pdu.data_sn = data_sn++;
    pdu.buffer_offset = begin;
    wire_->send(pdu, ByteView(task.data).subspan(begin, piece));
    begin += piece;
  }
}

/// Sends what R2Ts asked for, when it is time.
void Session::answer_r2ts() {
  const Clock::time_point now = Clock::now();
  for (auto& [tag, task] : tasks_) {
    while (!task.r2ts.empty() && task.r2ts.front().due <= now && wire_->unsent() < kMostUnsent) {
      const iscsi::R2t r2t = task.r2ts.front().pdu;
      task.r2ts.erase(task.r2ts.begin());
      send_data(tag, task, r2t.target_transfer_tag, r2t.lun, r2t.buffer_offset,
                r2t.buffer_offset + r2t.desired_data_transfer_length);
    }
  }
}

void Session::manage(TaskFunction function, unsigned lun, std::optional<std::uint32_t> tag) {
  Function sent;
  sent.function = function;
  sent.lun = lun;
  sent.sent = Clock::now();
  const bool all = function == TaskFunction::kTargetWarmReset || function == TaskFunction::kItNexusReset;
  for (const auto& [task_tag, task] : tasks_) {
    if (tag ? task_tag == *tag : all || task.region->lun() == lun) sent.covered.push_back(task_tag);
  }
  iscsi::TaskManagementRequest pdu;
  pdu.immediate = true;
  pdu.function = function;
  pdu.lun = lun_field(lun);
  pdu.initiator_task_tag = next_tag_++;
  pdu.referenced_task_tag = tag.value_or(iscsi::kReservedTag);
  pdu.cmd_sn = cmd_sn_;
  pdu.exp_stat_sn = exp_stat_sn();
  for (Moments* const moments : hit_by(sent)) moments->begin();
  if (resets_units(function)) ++storm_.counts.resets;
  functions_.emplace(pdu.initiator_task_tag, std::move(sent));
  ++storm_.counts.functions;
  wire_->send(pdu);
}

// --- Answers ---

void Session::handle(const Received& pdu) {
  wire_->note_window(iscsi::CmdSn(get_be32(pdu.bhs, iscsi::offset::kMaxCmdSn)));
  switch (pdu.opcode()) {
    case Opcode::kDataIn:
      return on_data_in(pdu);
    case Opcode::kR2t:
      return on_r2t(pdu);
    case Opcode::kScsiResponse:
      return on_response(pdu);
    case Opcode::kTaskManagementResponse:
      return on_function_response(pdu);
    case Opcode::kNopIn:
      return on_nop_in(pdu);
    case Opcode::kLogoutResponse:
      wire_->count_status(iscsi::StatSn(get_be32(pdu.bhs, iscsi::offset::kStatSn)));
      logged_out_ = true;
      return;
    default:
      fail(fmt::format("a PDU of opcode {:02x}h comes", static_cast<unsigned>(pdu.opcode())));
  }
}

Session::Tasks::iterator Session::task_of(const Received& pdu) {
  const auto at = tasks_.find(iscsi::BasicHeader(pdu.bhs).initiator_task_tag());
  if (at == tasks_.end()) {
    fail(fmt::format("a PDU of opcode {:02x}h is about a task that has ended", static_cast<unsigned>(pdu.opcode())));
  }
  return at;
}

void Session::on_data_in(const Received& received) {
  const auto pdu = iscsi::DataIn::decode(received.bhs);
  const auto at = task_of(received);
  Task& task = at->second;
  if (!pdu || task.kind != Kind::kRead || pdu->data_sn != task.data_sn || pdu->buffer_offset != task.received ||
      task.received + received.data.size() > task.data.size()) {
    fail("Data-In is not what is due");
  }
  ++task.data_sn;
  std::ranges::copy(received.data, task.data.begin() + task.received);
  task.received += static_cast<std::uint32_t>(received.data.size());
  if (!pdu->status_present) return;
  wire_->count_status(pdu->stat_sn);
  complete(at, pdu->status, {}, pdu->overflow || pdu->underflow);
}

void Session::on_r2t(const Received& received) {
  const auto pdu = iscsi::R2t::decode(received.bhs);
  Task& task = task_of(received)->second;
  if (!pdu || pdu->r2t_sn != task.r2t_sn || pdu->buffer_offset != task.asked_until ||
      pdu->buffer_offset + pdu->desired_data_transfer_length > task.data.size() ||
      pdu->desired_data_transfer_length > wire_->agreed().max_burst) {
    fail("an R2T is not what is due");
  }
  ++task.r2t_sn;
  task.asked_until += pdu->desired_data_transfer_length;
  // Some answers take their time.
  const auto delay = std::chrono::milliseconds(below(16) == 0 ? below(50) : 0);
  task.r2ts.push_back({*pdu, Clock::now() + delay});
}

void Session::on_response(const Received& received) {
  const auto pdu = iscsi::ScsiResponse::decode(received.bhs);
  const auto at = task_of(received);
  if (!pdu || pdu->response != iscsi::ServiceResponse::kCompletedAtTarget) fail("a SCSI Response cannot be read");
  wire_->count_status(pdu->stat_sn);
  const ByteView sense = received.data.size() > 2 ? received.data.subspan(2) : ByteView();
  complete(at, pdu->status, sense, pdu->overflow || pdu->underflow);
}

void Session::complete(Tasks::iterator at, std::uint8_t status, ByteView sense, bool residual) {
  Task& task = at->second;
  if (status == kGood) {
    if (residual || task.received != task.expected) fail("a command transfers less than it should");
    if (task.kind == Kind::kRead) {
      if (const auto wrong = task.region->check(task.lba, task.data)) fail(*wrong);
      ++reads_;
      ++storm_.counts.reads;
    } else {
      if (task.kind == Kind::kWrite && task.asked_until != task.data.size()) fail("a WRITE ends without its data");
      ++storm_.counts.writes;
    }
    storm_.counts.bytes += task.data.size();
    // What UNMAP does not deallocate stays as it is.
    return settle(at, task.kind == Kind::kUnmap ? Outcome::kUnknown : Outcome::kDone);
  }
  if (status == kBusy || status == kTaskSetFull) {
    ++storm_.counts.busy;
    return settle(at, Outcome::kNotDone);
  }
  const auto decoded = scsi::decode_sense(sense);
  if (status != kCheckCondition || !decoded || decoded->key != scsi::SenseKey::kUnitAttention) {
    fail(fmt::format("a command ends with status {:02x}h, sense {:x}h {:04x}h", status,
                     decoded ? static_cast<unsigned>(decoded->key) : 0u,
                     decoded ? static_cast<unsigned>(decoded->code) : 0u));
  }
  ++storm_.counts.attentions;
  settle(at, Outcome::kNotDone);
}

void Session::settle(Tasks::iterator at, Outcome outcome) {
  const Task& task = at->second;
  if (task.changes()) {
    task.region->settle(task.lba, task.count, task.generation, outcome);
  } else if (task.count != 0) {
    task.region->release(task.lba, task.count);
  }
  tasks_.erase(at);
}

void Session::on_function_response(const Received& received) {
  const auto pdu = iscsi::TaskManagementResponse::decode(received.bhs);
  const auto at = pdu ? functions_.find(pdu->initiator_task_tag) : functions_.end();
  if (at == functions_.end()) fail("a task management response belongs to no function");
  wire_->count_status(pdu->stat_sn);
  const Function function = at->second;
  // A cold reset goes on until it has ended this session, too: settle_all() sees that.
  const bool goes_on = function.function == TaskFunction::kTargetColdReset;
  if (!goes_on) functions_.erase(at);
  const bool one = function.function == TaskFunction::kAbortTask;
  const bool gone = one && pdu->response == TaskFunctionResponse::kTaskDoesNotExist;
  if (!gone && pdu->response != TaskFunctionResponse::kFunctionComplete) {
    fail(fmt::format("task management function {} is answered {}", static_cast<unsigned>(function.function),
                     static_cast<unsigned>(pdu->response)));
  }
  for (const std::uint32_t tag : function.covered) {
    const auto task = tasks_.find(tag);
    if (task == tasks_.end()) continue;
    if (gone && !reset_may_have_hit(task->second.region->lun(), task->second.sent)) {
      fail("the target does not know a task that it has not answered");
    }
    ++storm_.counts.aborted;
    settle(task, Outcome::kUnknown);
  }
  if (goes_on) return;
  for (Moments* const moments : hit_by(function)) moments->end();
}

/// What other sessions will want to know the time of.
std::vector<Moments*> Session::hit_by(const Function& function) {
  std::vector<Moments*> hit;
  if (!resets_units(function.function)) return hit;
  for (unsigned i = 0; i < own_.size(); ++i) {
    if (function.function != TaskFunction::kLogicalUnitReset || i == function.lun) hit.push_back(&storm_.resets[i]);
  }
  if (function.function == TaskFunction::kTargetColdReset) hit.push_back(&storm_.cold_resets);
  return hit;
}

void Session::on_nop_in(const Received& received) {
  const auto pdu = iscsi::NopIn::decode(received.bhs);
  if (!pdu) fail("a NOP-In cannot be read");
  if (pdu->target_transfer_tag == iscsi::kReservedTag || leaving_) return;
  iscsi::NopOut answer;
  answer.immediate = true;
  answer.lun = pdu->lun;
  answer.target_transfer_tag = pdu->target_transfer_tag;
  answer.cmd_sn = cmd_sn_;
  answer.exp_stat_sn = exp_stat_sn();
  wire_->send(answer);
}

}  // namespace peerlane::storm
