// `peerlane sg`: one SCSI command of the user's making.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct SgArguments {
  std::string disk;
  std::vector<std::string> cdb;  // hexadecimal
  std::string in;                // bytes of data-in; empty: none
  std::string in_file;
  std::string out;  // hexadecimal
  std::string out_file;
  unsigned timeout = 30;  // seconds
  bool raw = false;
  bool json = false;
};

void add_sg_options(CLI::App& command, SgArguments& arguments);

ExitCode sg(const SgArguments& arguments);

/// Bytes of words with hexadecimal digits: "12 00", "1200", "0x12,0x00". Errors: EINVAL, with a sentence.
Result<std::vector<std::uint8_t>> parse_hex(const std::vector<std::string>& words);

/// Lines of 16 bytes with their offset, in hexadecimal and as text.
std::string hex_dump(const std::vector<std::uint8_t>& bytes);

}  // namespace peerlane::cli
