#include "completion_checks.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "scsi/sense_codes.h"

namespace peerlane::fuzz {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using scsi::Status;

/// Address and number of blocks as SBC-4 has them in a CDB.
struct Blocks {
  std::uint64_t lba = 0;
  std::uint64_t count = 0;
};

Blocks blocks_of(ByteView cdb) {
  switch (cdb[0]) {
    case 0x89:  // COMPARE AND WRITE
      return {get_be64(cdb, 2), cdb[13]};
    case 0x9c:  // WRITE ATOMIC(16)
      return {get_be64(cdb, 2), get_be16(cdb, 12)};
    default:
      break;
  }
  switch (cdb[0] >> 5) {
    case 0:
      return {get_be24(cdb, 1) & 0x1fffff, cdb[4] == 0 ? 256u : cdb[4]};
    case 1:
    case 2:
      return {get_be32(cdb, 2), get_be16(cdb, 7)};
    case 5:
      return {get_be32(cdb, 2), get_be32(cdb, 6)};
    case 3:
      return cdb.size() < 32 ? Blocks{} : Blocks{get_be64(cdb, 12), get_be32(cdb, 28)};
    default:
      return {get_be64(cdb, 2), get_be32(cdb, 10)};
  }
}

/// From the first to the last block of an UNMAP parameter list that lie on the disk.
Blocks unmapped_blocks(ByteView list, std::uint64_t capacity) {
  std::uint64_t begin = capacity;
  std::uint64_t end = 0;
  for (std::size_t at = 8; at + 16 <= list.size(); at += 16) {
    const std::uint64_t lba = get_be64(list, at);
    const std::uint64_t count = get_be32(list, at + 8);
    if (lba > capacity || count > capacity - lba) continue;
    begin = std::min(begin, lba);
    end = std::max(end, lba + count);
  }
  return begin < end ? Blocks{begin, end - begin} : Blocks{};
}

bool compares(std::uint8_t operation_code) {
  constexpr std::uint8_t kComparing[] = {0x2e, 0x2f, 0x7f, 0x89, 0x8e, 0x8f, 0xae, 0xaf, 0x1d};
  return std::ranges::find(kComparing, operation_code) != std::end(kComparing);
}

void check_sense(const FuzzCommand& command, const scsi::Sense& sense, const WatchedDevice& device) {
  const target::CommandDescription* const row = command.description();
  switch (sense.key) {
    case SenseKey::kIllegalRequest:
      break;
    case SenseKey::kNotReady:
      require(row != nullptr && (row->needs & target::kDespiteAttention) == 0, "NOT READY where it may be");
      break;
    case SenseKey::kMediumError:
    case SenseKey::kHardwareError:
      require(device.has_failed, "an error of the disk where the disk failed");
      break;
    case SenseKey::kUnitAttention:
      require(row != nullptr && (row->needs & target::kDespiteAttention) == 0, "UNIT ATTENTION where it may be");
      break;
    case SenseKey::kDataProtect:
      require(device.has_failed || (row != nullptr && (row->needs & target::kNeedsWriteAccess) != 0),
              "DATA PROTECT where something is written");
      break;
    case SenseKey::kMiscompare:
      require(row != nullptr && compares(command.cdb()[0]), "MISCOMPARE where something is compared");
      break;
    case SenseKey::kAbortedCommand:
      break;
    default:
      require(false, "the sense key is one of those that go with CHECK CONDITION");
  }
  if (row == nullptr) {
    require(sense.code == codes::kInvalidOperationCode || sense.code == codes::kInvalidFieldInCdb ||
                sense.code == codes::kInvalidMessageError || sense.code == codes::kInvalidFieldInCommandInformationUnit,
            "a command that does not exist is refused as such");
  }
  if (sense.field) {
    require(sense.key == SenseKey::kIllegalRequest, "a field is named where one is wrong");
    require(!sense.field->in_cdb || sense.field->byte < command.cdb().size(), "the field named is in the CDB");
    require(sense.field->in_cdb || sense.field->byte < command.data_out_length(), "the field named is in the list");
    require(sense.field->bit.value_or(0) < 8, "a byte has eight bits");
  }
  for (const bool descriptor_format : {false, true}) {
    std::array<std::uint8_t, scsi::kMaxSenseBytes> bytes{};
    const std::size_t size = scsi::encode_sense(sense, descriptor_format, bytes);
    const auto read = scsi::decode_sense(ByteView(bytes).first(size));
    require(read && read->key == sense.key && read->code == sense.code, "sense data can be read");
  }
}

void check_status(const FuzzCommand& command, const WatchedDevice& device) {
  const target::Completion& completion = command.completion;
  require((completion.status == Status::kCheckCondition) == completion.sense.has_value(),
          "sense data go with CHECK CONDITION");
  switch (completion.status) {
    case Status::kCheckCondition:
      check_sense(command, *completion.sense, device);
      break;
    case Status::kConditionMet:
      require(command.cdb()[0] == 0x34 || command.cdb()[0] == 0x90, "CONDITION MET is for PRE-FETCH");
      break;
    case Status::kBusy:
      require(device.has_failed || !command.alone, "BUSY where something else goes on");
      break;
    case Status::kGood:
    case Status::kReservationConflict:
    case Status::kAcaActive:
      break;
    default:
      require(false, "the status is one that a command ends with");
  }
}

bool is_read(std::uint8_t operation_code) {
  return operation_code == 0x08 || operation_code == 0x28 || operation_code == 0xa8 || operation_code == 0x88;
}

bool is_write(std::uint8_t operation_code) {
  constexpr std::uint8_t kWriting[] = {0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x9c};
  return std::ranges::find(kWriting, operation_code) != std::end(kWriting);
}

/// After a READ or WRITE that was alone: the disk has what was sent.
void check_medium(const FuzzCommand& command, WatchedDevice& device) {
  const std::vector<std::uint8_t>& data = is_read(command.cdb()[0]) ? command.sent() : command.spec().data_out;
  const std::uint64_t length = std::min<std::uint64_t>(command.named.end - command.named.begin, data.size());
  const std::vector<std::uint8_t> content = device.content(command.named.begin, length);
  require(std::equal(content.begin(), content.end(), data.begin()), "READ and WRITE are about the blocks of the disk");
}

void check_sent(const FuzzCommand& command, const WatchedDevice& device) {
  const std::size_t sent = command.sent().size();
  if (sent == 0) return;
  const target::CommandDescription* const row = command.description();
  require(row != nullptr && row->direction == target::DataDirection::kIn,
          "data are sent for a command that asks for them");
  if ((row->needs & target::kNeedsBlocks) != 0 && row->allocation_length.width == 0) {
    require(sent <= command.named.end - command.named.begin, "no more is sent than the blocks named");
    require(sent < command.data_in_length() + device.geometry().logical_block_size, "no more is read than is wanted");
  }
  if (row->allocation_length.width != 0) {
    require(sent <= scsi::get_field(command.cdb(), row->allocation_length), "no more is sent than was allocated");
  }
}

constexpr std::uint8_t kSendDiagnostic = 0x1d;

}  // namespace

NamedRange named_range(const FuzzCommand& command, const WatchedDevice& device) {
  const target::CommandDescription* const row = command.description();
  if (row == nullptr) return {};
  const std::uint32_t block = device.geometry().logical_block_size;
  const std::uint64_t capacity = WatchedDevice::kBytes / block;
  const bool writes = (row->needs & target::kNeedsWriteAccess) != 0;
  Blocks blocks{};
  if (command.cdb()[0] == 0x42) {
    blocks = unmapped_blocks(command.spec().data_out, capacity);
  } else if ((row->needs & target::kNeedsBlocks) != 0) {
    blocks = blocks_of(command.cdb());
    if (blocks.count == 0 && (row->needs & target::kZeroMeansRest) != 0) {
      blocks.count = capacity - std::min(capacity, blocks.lba);
    }
  } else if (writes || command.cdb()[0] == kSendDiagnostic) {
    blocks.count = capacity;  // the self-test reads where it likes
  }
  if (blocks.lba > capacity || blocks.count > capacity - blocks.lba) return {};
  return {blocks.lba * block, (blocks.lba + blocks.count) * block, writes};
}

void check_completion(const FuzzCommand& command, WatchedDevice& device) {
  check_status(command, device);
  check_sent(command, device);
  const std::uint8_t operation_code = command.cdb()[0];
  if (command.completion.status != Status::kGood) return;
  if (is_read(operation_code) || is_write(operation_code)) {
    if (command.alone) check_medium(command, device);
    return;
  }
  const target::CommandDescription& row = *command.description();
  if (row.direction != target::DataDirection::kIn) return;
  const bool cut = row.allocation_length.width == 0 ||
                   command.sent().size() >= scsi::get_field(command.cdb(), row.allocation_length);
  check_answer(command.cdb(), command.sent(), cut);
}

}  // namespace peerlane::fuzz
