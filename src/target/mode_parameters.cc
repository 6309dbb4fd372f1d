#include "target/mode_parameters.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace peerlane::target {
namespace {

constexpr int kVersion = 1;

struct Field {
  const char* name;
  bool ModeValues::* value;
};
constexpr std::array kFields{
    Field{"write_cache", &ModeValues::write_cache},
    Field{"descriptor_sense", &ModeValues::descriptor_sense},
    Field{"software_write_protect", &ModeValues::software_write_protect},
};

}  // namespace

ModeParameters::ModeParameters(const ModeValues& defaults, const ModeValues& changeable, SavedState saved_state)
    : defaults_(defaults),
      changeable_(changeable),
      saved_state_(std::move(saved_state)),
      current_(defaults),
      saved_(defaults) {}

Result<void> ModeParameters::load() {
  const auto text = saved_state_.load();
  if (!text) return std::unexpected(text.error());
  if (!*text) return {};
  const auto json = nlohmann::json::parse(**text, nullptr, false);
  if (!json.is_object() || json.value("version", nlohmann::json()) != kVersion) {
    return std::unexpected(saved_state_.damaged("no mode parameters of a known version"));
  }
  ModeValues values = defaults_;
  for (const Field& field : kFields) {
    const auto at = json.find(field.name);
    if (at == json.end()) continue;
    if (!at->is_boolean()) return std::unexpected(saved_state_.damaged(std::string(field.name) + " is not a bool"));
    // The configuration may have taken the choice away since.
    if (changeable_.*field.value) values.*field.value = at->get<bool>();
  }
  saved_.store(values, std::memory_order_release);
  set(values);
  return {};
}

io::Task<Result<void>> ModeParameters::save(ModeValues values) {
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  for (const Field& field : kFields) json[field.name] = values.*field.value;
  std::string text = json.dump();
  auto done = co_await saved_state_.save(std::move(text));
  if (done) saved_.store(values, std::memory_order_release);
  co_return done;
}

}  // namespace peerlane::target
