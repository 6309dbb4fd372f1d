#include "admin/finding.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace peerlane::admin {
namespace {

const char* severity_text(Severity severity) {
  return severity == Severity::kError ? "error" : "warning";
}

}  // namespace

bool has_errors(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const Finding& finding) { return finding.severity == Severity::kError; });
}

std::string to_line(std::string_view file, const Finding& finding) {
  const std::string place =
      finding.line == 0 ? std::string(file) : fmt::format("{}:{}:{}", file, finding.line, finding.column);
  const char* const separator = finding.problem.remedy.empty() ? "" : "; ";
  return fmt::format("{}: {}: {}{}{}", place, severity_text(finding.severity), finding.problem.what, separator,
                     finding.problem.remedy);
}

std::string to_json(std::string_view file, const std::vector<Finding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"severity", severity_text(finding.severity)},
                    {"line", finding.line},
                    {"column", finding.column},
                    {"what", finding.problem.what},
                    {"remedy", finding.problem.remedy}});
  }
  const nlohmann::ordered_json all = {{"file", file}, {"valid", !has_errors(findings)}, {"findings", list}};
  // A value from the file may hold bytes that are not UTF-8: they are replaced, not thrown over.
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace peerlane::admin
