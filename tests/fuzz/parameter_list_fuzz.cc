// Parameter lists: commands that bring one, whichever the command table has, with any list. What is refused changes
// nothing, and the rest as in cdb_fuzz.cc.
//
// Input: a byte of which 1 asks for blocks of 4096 bytes and 2 for a disk with a volatile cache, then commands. A
// command is its operation code and service action (where the table has no such command with a parameter list, these
// choose one of those that it has), a byte of flags (Flag below), 15 bytes for the rest of the CDB, of which the bits
// are used that its usage data allow, the length of the list in two bytes, and the list. With kOtherLength, two bytes
// more say what length the CDB states.
#include "completion_checks.h"

namespace {

using namespace peerlane;
using fuzz::require;
using fuzz::Stage;
using target::CommandDescription;

enum Flag : unsigned { kSecondNexus = 1, kOtherLength = 2, kReservedBits = 4 };

constexpr unsigned kMostCommands = 32;
constexpr unsigned kObserver = Stage::kNexuses - 1;  // a nexus that sends nothing else
constexpr std::uint32_t kMostAnswer = 4096;

/// The commands with a parameter list.
const std::vector<const CommandDescription*>& candidates() {
  static const std::vector<const CommandDescription*> kRows = [] {
    std::vector<const CommandDescription*> rows;
    for (const CommandDescription& row : target::command_table()) {
      const bool list = row.direction == target::DataDirection::kOut && (row.needs & target::kNeedsBlocks) == 0;
      if (list) rows.push_back(&row);
    }
    return rows;
  }();
  return kRows;
}

const CommandDescription& choose(std::uint8_t operation_code, std::uint8_t service_action) {
  for (const CommandDescription* const row : candidates()) {
    if (static_cast<std::uint8_t>(row->operation) != operation_code) continue;
    if (!row->service_action || *row->service_action == service_action) return *row;
  }
  return *candidates()[(operation_code + service_action) % candidates().size()];
}

/// PARAMETER LIST LENGTH by the CDB's length (SPC-4 §4.2.2). In a CDB of 6 bytes its high byte is reserved as a rule.
scsi::CdbField list_length_field(const CommandDescription& row) {
  switch (row.cdb_length()) {
    case 6:
      return {3, 2};
    case 10:
      return {7, 2};
    case 12:
      return {8, 2};
    default:
      return {12, 2};
  }
}

fuzz::CommandSpec next_command(fuzz::Input& input) {
  const std::uint8_t operation_code = input.byte();
  const CommandDescription& row = choose(operation_code, input.byte());
  const unsigned flags = input.byte();
  fuzz::CommandSpec spec;
  spec.nexus = (flags & kSecondNexus) != 0 ? 1 : 0;
  spec.cdb.resize(row.cdb_length());
  const ByteView rest = input.bytes(15);
  for (std::size_t i = 1; i < spec.cdb.size() && i <= rest.size(); ++i) {
    spec.cdb[i] = (flags & kReservedBits) != 0 ? rest[i - 1] : rest[i - 1] & row.usage[i];
  }
  spec.cdb[0] = static_cast<std::uint8_t>(row.operation);
  if (row.service_action) spec.cdb[1] = static_cast<std::uint8_t>((spec.cdb[1] & 0xe0) | *row.service_action);
  std::size_t length = input.number();
  const ByteView list = input.bytes(length);
  spec.data_out.assign(list.begin(), list.end());
  length = (flags & kOtherLength) != 0 ? input.number() : list.size();
  const scsi::CdbField field = list_length_field(row);
  spec.cdb[field.offset] = static_cast<std::uint8_t>(length >> 8);
  spec.cdb[field.offset + 1u] = static_cast<std::uint8_t>(length);
  return spec;
}

/// What an initiator can see of the state that parameter lists change: statuses and answers of commands that ask.
std::vector<std::uint8_t> visible_state(Stage& stage) {
  static const std::vector<std::vector<std::uint8_t>> kQuestions{
      {0x5a, 0x00, 0x3f, 0xff, 0, 0, 0, 0x10, 0x00, 0},              // MODE SENSE(10): all pages, current
      {0x5e, 0x00, 0, 0, 0, 0, 0, 0x10, 0x00, 0},                    // PERSISTENT RESERVE IN: READ KEYS
      {0x5e, 0x01, 0, 0, 0, 0, 0, 0x10, 0x00, 0},                    // READ RESERVATION
      {0x5e, 0x03, 0, 0, 0, 0, 0, 0x10, 0x00, 0},                    // READ FULL STATUS
      {0xa3, 0x05, 0, 0, 0, 0, 0, 0, 0x10, 0x00, 0, 0},              // REPORT IDENTIFYING INFORMATION
      {0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0x10, 0x00, 0, 0},              // REPORT TARGET PORT GROUPS
      {0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x00, 0, 0},  // GET LBA STATUS(16)
  };
  while (stage.nexus(kObserver).attentions().take()) {
  }
  std::vector<std::uint8_t> state;
  for (const std::vector<std::uint8_t>& cdb : kQuestions) {
    fuzz::CommandSpec spec;
    spec.nexus = kObserver;
    spec.cdb = cdb;
    spec.data_in = kMostAnswer;
    const fuzz::FuzzCommand& question = stage.start(std::move(spec));
    stage.finish(question);
    state.push_back(static_cast<std::uint8_t>(question.completion.status));
    state.insert(state.end(), question.sent().begin(), question.sent().end());
  }
  return state;
}

bool refused(const fuzz::FuzzCommand& command) {
  return command.completion.sense && command.completion.sense->key == scsi::SenseKey::kIllegalRequest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t flags = input.byte();
  Stage::Options options;
  options.block_size = (flags & 1) != 0 ? 4096 : 512;
  options.less.volatile_cache = (flags & 2) != 0;
  Stage stage(options);
  std::vector<std::uint8_t> state = visible_state(stage);
  for (unsigned i = 0; i < kMostCommands && !input.empty(); ++i) {
    const std::uint64_t changes = stage.device().changes;
    const fuzz::FuzzCommand& command = stage.start(next_command(input));
    stage.finish(command);
    const std::vector<std::uint8_t> state_after = visible_state(stage);
    if (refused(command)) {
      require(state_after == state, "what is refused changes nothing");
      require(stage.device().changes == changes, "what is refused writes nothing");
    }
    state = state_after;
  }
  return 0;
}
