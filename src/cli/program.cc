#include "cli/program.h"

#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "cli/attach.h"
#include "cli/bench.h"
#include "cli/command_line.h"
#include "cli/copy.h"
#include "cli/serve.h"

namespace peerlane::cli {

ExitCode run(int argc, char** argv) {
  try {
    const auto command_line = parse_command_line({argv + 1, argv + argc});
    if (!command_line) {
      const Answer& answer = command_line.error();
      fmt::print(answer.exit_code == ExitCode::kOk ? stdout : stderr, "{}", answer.text);
      return answer.exit_code;
    }
    if (const auto* const arguments = std::get_if<ServeArguments>(&*command_line)) return serve(*arguments);
    if (const auto* const arguments = std::get_if<CopyArguments>(&*command_line)) return copy_disk(*arguments);
    if (const auto* const arguments = std::get_if<BenchArguments>(&*command_line)) return bench(*arguments);
    if (const auto* const arguments = std::get_if<InfoArguments>(&*command_line)) return info(*arguments);
    if (const auto* const arguments = std::get_if<DiscoverArguments>(&*command_line)) return discover(*arguments);
    if (const auto* const arguments = std::get_if<PrArguments>(&*command_line)) return persistent_reserve(*arguments);
    if (const auto* const arguments = std::get_if<UnmapArguments>(&*command_line)) return unmap(*arguments);
    if (const auto* const arguments = std::get_if<SgArguments>(&*command_line)) return sg(*arguments);
    if (const auto* const arguments = std::get_if<AttachArguments>(&*command_line)) return attach(*arguments);
    if (const auto* const arguments = std::get_if<DetachArguments>(&*command_line)) return detach(*arguments);
    if (const auto* const arguments = std::get_if<TopologyArguments>(&*command_line)) return topology(*arguments);
    return check(std::get<CheckArguments>(*command_line));
  } catch (const std::exception& error) {  // at start-up only: memory, threads
    fmt::print(stderr, "peerlane: {}\n", error.what());
    return ExitCode::kFailure;
  }
}

}  // namespace peerlane::cli
