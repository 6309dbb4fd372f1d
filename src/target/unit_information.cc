#include "target/unit_information.h"

#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace peerlane::target {
namespace {

constexpr int kVersion = 1;

std::string to_hex(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
  return hex;
}

std::optional<std::string> from_hex(const std::string& hex) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

}  // namespace

std::size_t UnitInformation::most_bytes(scsi::InformationType type) {
  switch (type) {
    case scsi::InformationType::kIdentifier:
      return limits::kIdentifierBytes;
    case scsi::InformationType::kText:
      return limits::kIdentifierTextBytes;
    default:
      return 0;
  }
}

Result<void> UnitInformation::load() {
  const auto saved = saved_state_.load();
  if (!saved) return std::unexpected(saved.error());
  if (!*saved) return {};
  const auto json = nlohmann::json::parse(**saved, nullptr, false);
  if (!json.is_object() || json.value("version", nlohmann::json()) != kVersion) {
    return std::unexpected(saved_state_.damaged("no identifying information of a known version"));
  }
  for (const auto& [name, type, into] : {std::tuple{"identifier", scsi::InformationType::kIdentifier, &identifier_},
                                         std::tuple{"text", scsi::InformationType::kText, &text_}}) {
    const auto at = json.find(name);
    if (at == json.end()) continue;
    const auto bytes = at->is_string() ? from_hex(at->get<std::string>()) : std::nullopt;
    if (!bytes || bytes->size() > most_bytes(type)) {
      return std::unexpected(saved_state_.damaged(std::string(name) + " is not such information in hexadecimal"));
    }
    *into = *bytes;
  }
  return {};
}

std::string UnitInformation::get(scsi::InformationType type) const {
  const std::lock_guard lock(mutex_);
  return type == scsi::InformationType::kText ? text_ : identifier_;
}

io::Task<Result<void>> UnitInformation::set(scsi::InformationType type, std::string information) {
  const bool text = type == scsi::InformationType::kText;
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["identifier"] = to_hex(text ? get(scsi::InformationType::kIdentifier) : information);
  json["text"] = to_hex(text ? information : get(scsi::InformationType::kText));
  std::string value = json.dump();
  auto saved = co_await saved_state_.save(std::move(value));
  if (saved) {
    const std::lock_guard lock(mutex_);
    (text ? text_ : identifier_) = std::move(information);
  }
  co_return saved;
}

}  // namespace peerlane::target
