#include "target/sanitize_record.h"

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace peerlane::target {
namespace {

constexpr int kVersion = 1;
constexpr auto kLookAgain = std::chrono::milliseconds(1);  // whether another save has ended
constexpr const char* kUnfinished = "unfinished";
constexpr const char* kUnrestricted = "unrestricted";

}  // namespace

Result<void> SanitizeRecord::load(UnitCondition& condition) const {
  const auto text = saved_state_.load();
  if (!text) return std::unexpected(text.error());
  if (!*text) return {};
  const auto json = nlohmann::json::parse(**text, nullptr, false);
  if (!json.is_object() || json.value("version", nlohmann::json()) != kVersion) {
    return std::unexpected(saved_state_.damaged("no record of sanitize operations of a known version"));
  }
  for (const char* const name : {kUnfinished, kUnrestricted}) {
    if (!json.contains(name) || !json[name].is_boolean()) {
      return std::unexpected(saved_state_.damaged(std::string(name) + " is not a bool"));
    }
  }
  if (!json[kUnfinished].get<bool>()) return {};
  condition.begin_sanitize(json[kUnrestricted].get<bool>());
  condition.end_sanitize(false);
  return {};
}

io::Task<Result<void>> SanitizeRecord::save(const UnitCondition& condition, io::Executor& executor) {
  if (!saved_state_.possible()) co_return Result<void>();
  std::optional<Exclusive::Holder> turn = saving_.take();
  while (!turn) {
    co_await io::sleep(executor, kLookAgain);
    std::optional<Exclusive::Holder> next = saving_.take();
    if (next) turn.emplace(std::move(*next));
  }
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json[kUnfinished] = condition.sanitizing() || condition.sanitize_failed();
  json[kUnrestricted] = condition.failure_unrestricted();
  std::string text = json.dump();
  auto saved = co_await saved_state_.save(std::move(text));
  co_return saved;
}

}  // namespace peerlane::target
