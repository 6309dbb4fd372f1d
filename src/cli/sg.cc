#include "cli/sg.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/units.h"
#include "cli/remote_unit.h"
#include "cli/run.h"
#include "scsi/sense_text.h"

namespace peerlane::cli {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kMostCdb = 16;

constexpr const char* kSgFooter =
    R"(DISK is iscsi://host[:port]/target-name/lun. The CDB, 6 to 16 bytes in hexadecimal, comes after "--".
Data-in are shown, or written to --in-file. Unit attentions, BUSY and TASK SET FULL are handled, unless --raw wants
them.
Nothing is asked and nothing is checked: a command that destroys data does so.
Exit codes: 0 GOOD (or CONDITION MET, RECOVERED ERROR), 1 there was no answer, 2 the command line is wrong, 10 CHECK
CONDITION, 11 BUSY or TASK SET FULL, 12 RESERVATION CONFLICT, 13 another status.

Examples:
  peerlane sg iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0 -- 00 00 00 00 00 00
      TEST UNIT READY.
  peerlane sg iscsi://... --in 96 -- 12 00 00 00 60 00
      INQUIRY.
  peerlane sg iscsi://... --in 512 --in-file block0 -- 28 00 00 00 00 00 00 00 01 00
      READ(10) of one block into a file.
  peerlane sg iscsi://... --out-file block0 -- 2a 00 00 00 00 00 00 00 01 00
      WRITE(10) of it.
)";

struct Command {
  Bytes cdb;
  Bytes out;
  std::size_t in = 0;
};

Result<Bytes> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(Error::from_errno(errno, "cannot read " + path));
  Bytes bytes;
  std::array<char, 65536> part{};
  while (file.read(part.data(), part.size()) || file.gcount() > 0) {
    bytes.insert(bytes.end(), part.begin(), part.begin() + file.gcount());
    if (bytes.size() > limits::kRawTransferBytes)
      return fail(EFBIG, fmt::format("{} is too long for one command", path));
  }
  return bytes;
}

Result<Command> to_command(const SgArguments& arguments) {
  Command command;
  auto cdb = parse_hex(arguments.cdb);
  if (!cdb) return std::unexpected(cdb.error());
  command.cdb = std::move(*cdb);
  if (command.cdb.size() < 6 || command.cdb.size() > kMostCdb) {
    return fail(EINVAL, fmt::format("a CDB has 6 to {} bytes, and this one has {}", kMostCdb, command.cdb.size()));
  }
  if (!arguments.in.empty()) {
    const auto size = parse_size(arguments.in);
    if (!size) return fail(size.error().code, "--in: " + size.error().text());
    if (*size == 0 || *size > limits::kRawTransferBytes) {
      return fail(ERANGE, fmt::format("--in goes from 1 to {}", format_size(limits::kRawTransferBytes)));
    }
    command.in = *size;
  }
  auto out = arguments.out_file.empty() ? parse_hex({arguments.out}) : read_file(arguments.out_file);
  if (!out) return std::unexpected(out.error());
  command.out = std::move(*out);
  return command;
}

std::string hex_of(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

nlohmann::ordered_json to_json(const initiator::ScsiResult& result, const Bytes& data) {
  using Json = nlohmann::ordered_json;
  Json sense = nullptr;
  if (result.sense) {
    const auto code = static_cast<unsigned>(result.sense->code);
    sense = {{"key", static_cast<unsigned>(result.sense->key)},
             {"asc", code >> 8},
             {"ascq", code & 0xff},
             {"text", scsi::sense_text(result.sense->code)},
             {"deferred", result.sense->deferred}};
    sense["information"] = result.sense->information ? Json(*result.sense->information) : Json(nullptr);
  }
  return {{"status", static_cast<unsigned>(result.status)},
          {"status_text", scsi::status_text(result.status)},
          {"sense", sense},
          {"transferred", result.transferred},
          {"residual", result.residual},
          {"overflow", result.overflow},
          {"data", hex_of(data)}};
}

Result<void> keep(const std::string& path, const Bytes& data) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  file.close();
  if (!file) return std::unexpected(Error::from_errno(errno, "cannot write " + path));
  return {};
}

ExitCode report(const SgArguments& arguments, const initiator::ScsiResult& result, const Bytes& data) {
  if (arguments.json) {
    print_json(to_json(result, data));
  } else {
    if (arguments.in_file.empty()) fmt::print("{}", hex_dump(data));
    if (result.status != scsi::Status::kGood) fmt::print(stderr, "peerlane: {}\n", describe(result));
    if (result.overflow) {
      fmt::print(stderr, "peerlane: there were {} bytes more than asked for\n", result.residual);
    }
  }
  if (!arguments.in_file.empty()) {
    if (const auto kept = keep(arguments.in_file, data); !kept) return complain(kept.error());
  }
  return exit_code_of(result);
}

io::Task<ExitCode> execute(RemoteUnit& unit, const SgArguments& arguments, const Command& command) {
  Bytes data(command.in);
  initiator::Request request;
  request.lun = unit.field();
  std::ranges::copy(command.cdb, request.cdb.begin());
  request.data_in = data;
  request.data_out = command.out;
  request.raw = arguments.raw;
  request.timeout = std::chrono::seconds(arguments.timeout);
  const auto result = co_await unit.session().execute(request);
  if (!result) co_return complain(result.error());
  data.resize(command.in == 0 ? 0 : result->transferred);
  co_return report(arguments, *result, data);
}

io::Task<ExitCode> run(const SgArguments& arguments, const Command& command) {
  std::string spec = arguments.disk;
  const RemoteOptions options;
  auto opening = RemoteUnit::open(std::move(spec), options);
  auto unit = co_await std::move(opening);
  if (!unit) co_return complain(unit.error(), unit.error().code == EINVAL ? ExitCode::kUsage : ExitCode::kFailure);
  const ExitCode code = co_await execute(*unit, arguments, command);
  co_await unit->close();
  co_return code;
}

}  // namespace

Result<Bytes> parse_hex(const std::vector<std::string>& words) {
  Bytes bytes;
  for (const std::string& word : words) {
    std::string digits;
    for (std::size_t i = 0; i < word.size(); ++i) {
      const char c = word[i];
      if (c == ' ' || c == ',' || c == ':') continue;
      if (c == '0' && i + 1 < word.size() && (word[i + 1] == 'x' || word[i + 1] == 'X')) {
        ++i;
        continue;
      }
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
        return fail(EINVAL, fmt::format("\"{}\" is not hexadecimal: give bytes as 12 00 ff", word));
      }
      digits += c;
    }
    if (digits.size() == 1) digits.insert(0, "0");
    if (digits.size() % 2 != 0) {
      return fail(EINVAL, fmt::format("\"{}\" has half a byte: give two hexadecimal digits for each", word));
    }
    if (bytes.size() + digits.size() / 2 > limits::kRawTransferBytes) return fail(EFBIG, "that is too long");
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    }
  }
  return bytes;
}

std::string hex_dump(const Bytes& bytes) {
  constexpr std::size_t kRow = 16;
  std::string text;
  for (std::size_t row = 0; row < bytes.size(); row += kRow) {
    text += fmt::format("{:06x} ", row);
    std::string letters;
    for (std::size_t i = row; i < row + kRow; ++i) {
      text += i < bytes.size() ? fmt::format(" {:02x}", bytes[i]) : "   ";
      if (i < bytes.size()) letters += bytes[i] >= ' ' && bytes[i] <= '~' ? static_cast<char>(bytes[i]) : '.';
    }
    text += fmt::format("  {}\n", letters);
  }
  return text;
}

void add_sg_options(CLI::App& command, SgArguments& arguments) {
  command.footer(kSgFooter);
  command.add_option("DISK", arguments.disk, "The logical unit: an iscsi:// URL")->required()->type_name("");
  command.add_option("CDB", arguments.cdb, "The command's bytes, after --")->required()->type_name("");
  auto* const in = command.add_option("--in", arguments.in, "Bytes of data-in that are expected")->type_name("SIZE");
  command.add_option("--in-file", arguments.in_file, "Write them to this file")->needs(in)->type_name("FILE");
  auto* const out =
      command.add_option("--out", arguments.out, "Data-out, in hexadecimal")->excludes(in)->type_name("HEX");
  command.add_option("--out-file", arguments.out_file, "Data-out, from this file")
      ->excludes(in)
      ->excludes(out)
      ->type_name("FILE");
  command.add_option("--timeout", arguments.timeout, "How long an answer is waited for (default: 30)")
      ->check(CLI::Range(1u, 86400u).description(""))
      ->type_name("SECONDS");
  command.add_flag("--raw", arguments.raw, "Show unit attentions, BUSY and TASK SET FULL instead of trying again");
  command.add_flag("--json", arguments.json, "Report one JSON object, with data-in in hexadecimal");
}

ExitCode sg(const SgArguments& arguments) {
  const auto command = to_command(arguments);
  if (!command) return complain(command.error(), ExitCode::kUsage);
  return run_on_reactor([&] { return run(arguments, *command); });
}

}  // namespace peerlane::cli
