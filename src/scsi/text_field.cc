#include "scsi/text_field.h"

namespace peerlane::scsi {

void put_text(ByteSpan field, std::string_view text) {
  for (std::size_t i = 0; i < field.size(); ++i) {
    const char character = i < text.size() ? text[i] : ' ';
    field[i] = static_cast<std::uint8_t>(character >= 0x20 && character <= 0x7e ? character : '?');
  }
}

std::string get_text(ByteView field) {
  std::string_view text = as_text(field);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace peerlane::scsi
