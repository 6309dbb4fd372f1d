#include "scsi/sanitize.h"

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

// Parameter list (SBC-4 table 101).
constexpr std::uint8_t kInvert = 0x80;
constexpr std::uint8_t kTestMask = 0x60;
constexpr std::uint8_t kCountMask = 0x1f;
constexpr std::size_t kPatternLength = 2;

}  // namespace

std::expected<SanitizeOverwrite, Sense> decode_sanitize_overwrite(ByteView list, std::size_t block_size) {
  if (list.size() < kOverwriteHeaderBytes) {
    return std::unexpected(illegal_request(sense_codes::kParameterListLengthError));
  }
  SanitizeOverwrite overwrite;
  overwrite.invert = (list[0] & kInvert) != 0;
  overwrite.passes = list[0] & kCountMask;
  if ((list[0] & kTestMask) != 0 || overwrite.passes == 0) return std::unexpected(invalid_field_in_parameter_list(0));
  if (list[1] != 0) return std::unexpected(invalid_field_in_parameter_list(1));
  const std::size_t length = get_be16(list, kPatternLength);
  if (length == 0 || length > block_size || length > list.size() - kOverwriteHeaderBytes) {
    return std::unexpected(invalid_field_in_parameter_list(kPatternLength));
  }
  overwrite.pattern = list.subspan(kOverwriteHeaderBytes, length);
  return overwrite;
}

}  // namespace peerlane::scsi
