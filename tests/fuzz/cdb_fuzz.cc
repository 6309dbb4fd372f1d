// Any CDB, from several I_T nexuses at once, with any data and task attribute, on a disk that is slow and fails at
// times: every command ends as it may, and touches what it names (completion_checks.h).
//
// Input: a byte of the disk's properties (Disk below), then actions. An action is a byte whose lower three bits say
// what it is (Action below):
//   command: 8h is the nexus, F0h the task attribute; a byte of flags (Flag below); the CDB's length less 6; the CDB;
//     with kSends or kReceives two bytes, the length of the data; of data that are sent, as many bytes as there are, at
//     most kGivenBytes, and rubbish after these
//   release: F8h says which of what waits may go on
//   abort: F8h says which of the commands in progress
//   errors: F8h says what the disk does from now on (kErrors)
//   time: F8h says how many of the things that wait for it happen
//   others: F8h says for whom or what
#include "completion_checks.h"

namespace {

using namespace peerlane;
using fuzz::Stage;

enum Disk : unsigned {
  kBlocksOf4096 = 0x01,
  kReadOnly = 0x02,
  kVolatileCache = 0x04,
  kWriteThrough = 0x08,
  kFuaCheaper = 0x10,
  kNoUnmap = 0x20,
  kNoWriteZeroes = 0x40,
  kSlow = 0x80,
};

enum class Action : std::uint8_t { kCommand = 0, kRelease = 1, kAbort = 2, kErrors = 3, kOther = 4, kTime = 5 };

enum Flag : unsigned { kSends = 1, kReceives = 2 };

constexpr std::size_t kGivenBytes = 64;
constexpr unsigned kMostCommands = 64;
constexpr int kErrors[] = {0, EIO, ENOSPC, ENOMEM, EROFS, ENXIO};

Stage::Options options_of(std::uint8_t disk) {
  Stage::Options options;
  options.block_size = (disk & kBlocksOf4096) != 0 ? 4096 : 512;
  options.write_through = (disk & kWriteThrough) != 0;
  options.less.read_only = (disk & kReadOnly) != 0;
  options.less.volatile_cache = (disk & kVolatileCache) != 0;
  options.less.fua = (disk & kFuaCheaper) != 0;
  options.less.unmap = options.less.allocation = (disk & kNoUnmap) == 0;
  options.less.write_zeroes = (disk & kNoWriteZeroes) == 0;
  return options;
}

fuzz::CommandSpec next_command(std::uint8_t byte, fuzz::Input& input) {
  fuzz::CommandSpec spec;
  spec.nexus = byte >> 3 & 1;
  spec.attribute = static_cast<target::TaskAttribute>((byte >> 4) % 5);
  const unsigned flags = input.byte();
  spec.cdb.resize(6u + input.byte() % 255u);
  std::ranges::copy(input.bytes(spec.cdb.size()), spec.cdb.begin());
  if ((flags & kReceives) != 0) spec.data_in = input.number();
  if ((flags & kSends) != 0) {
    spec.data_out.resize(input.number());
    const ByteView given = input.bytes(std::min(spec.data_out.size(), kGivenBytes));
    std::ranges::copy(given, spec.data_out.begin());
    for (std::size_t i = given.size(); i < spec.data_out.size(); ++i) {
      spec.data_out[i] = static_cast<std::uint8_t>(i * 7 + i / 512);
    }
  }
  return spec;
}

void act(Stage& stage, std::uint8_t byte, fuzz::Input& input) {
  const unsigned which = byte >> 3;
  switch (static_cast<Action>(byte & 7)) {
    case Action::kRelease:
      stage.turnstile().release(which);
      break;
    case Action::kAbort:
      stage.abort(which);
      break;
    case Action::kErrors:
      stage.device().error = kErrors[which % std::size(kErrors)];
      break;
    case Action::kTime:
      for (unsigned i = 0; i <= which; ++i) stage.pass_time();
      break;
    case Action::kOther:
      if (which == 0) {
        stage.reset();
      } else if (which == 1) {
        stage.unit().establish(static_cast<scsi::SenseCode>(input.number() | 0x2000), nullptr);
      } else {
        stage.clear_aca(which % Stage::kNexuses);
      }
      break;
    default:
      stage.start(next_command(byte, input));
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t disk = input.byte();
  Stage stage(options_of(disk));
  stage.turnstile().close((disk & kSlow) != 0);
  for (unsigned i = 0; i < kMostCommands && !input.empty(); ++i) act(stage, input.byte(), input);
  return 0;
}
