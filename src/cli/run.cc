#include "cli/run.h"

#include <charconv>
#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "io/reactor.h"

namespace peerlane::cli {
namespace {

io::Task<void> run_and_stop(const std::function<io::Task<ExitCode>()>& command, ExitCode& exit_code) {
  exit_code = co_await command();
  io::Reactor::current().stop();
}

}  // namespace

ExitCode run_on_reactor(const std::function<io::Task<ExitCode>()>& command) {
  log::init(log::Level::kWarning, false);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that closes its end, or a reader of our output, must not end us
  const auto reactor = io::Reactor::create();
  if (!reactor) return complain(reactor.error());
  ExitCode exit_code = ExitCode::kFailure;
  io::spawn(run_and_stop(command, exit_code));
  (*reactor)->run();
  return exit_code;
}

ExitCode complain(const Error& error, ExitCode code) {
  fmt::print(stderr, "peerlane: {}\n", error.text());
  return code;
}

void print_json(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

Result<std::uint64_t> parse_number(std::string_view text, std::string_view what) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return fail(EINVAL, fmt::format("{}: \"{}\" is no number; give one such as 12 or 0x1f, up to 64 bits", what, text));
  }
  return value;
}

}  // namespace peerlane::cli
