// What was found when a configuration was looked at: where, what is wrong, and what to do about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace peerlane::admin {

/// Something wrong, in two sentences without a full stop: what it is, and how it is put right.
struct Problem {
  std::string what;
  std::string remedy;
};

/// The answer of a check: nothing if all is well.
using Verdict = std::optional<Problem>;

enum class Severity { kWarning, kError };

/// A problem and its place in a configuration file.
struct Finding {
  Severity severity = Severity::kError;
  unsigned line = 0;    // from 1; 0: the file as a whole
  unsigned column = 0;  // from 1, in characters
  Problem problem;
};

/// Whether one of them is an error.
bool has_errors(const std::vector<Finding>& findings);

/// A finding as compilers write theirs: "peerlane.toml:12:3: error: <what>; <remedy>".
std::string to_line(std::string_view file, const Finding& finding);

/// All findings about `file` as one JSON object: {"file", "valid", "findings": [{"severity", "line", "column", "what",
/// "remedy"}]}.
std::string to_json(std::string_view file, const std::vector<Finding>& findings);

}  // namespace peerlane::admin
