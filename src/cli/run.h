// What commands that work on a reactor, say what is wrong and end have in common.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "cli/exit_code.h"
#include "io/task.h"

namespace peerlane::cli {

/// Runs `command` on a reactor of this thread until it ends. The log is told warnings and worse from here on.
ExitCode run_on_reactor(const std::function<io::Task<ExitCode>()>& command);

/// Says to the user what is wrong, on standard error; gives `code` back.
ExitCode complain(const Error& error, ExitCode code = ExitCode::kFailure);

/// One JSON value and a line feed, on standard output. Bytes that are no UTF-8 are replaced.
void print_json(const nlohmann::ordered_json& json);

/// "0", "12" or "0x1f": errors, EINVAL, with a sentence that begins with `what`.
Result<std::uint64_t> parse_number(std::string_view text, std::string_view what);

}  // namespace peerlane::cli
