#include "target/discovery.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "iscsi/codes.h"
#include "iscsi/keys.h"
#include "iscsi/name.h"

namespace peerlane::target {
namespace {

using iscsi::Key;
using iscsi::KeyValue;
using iscsi::spec_of;

constexpr std::string_view kAll = "All";

bool add_target(const VisibleTarget& target, iscsi::TextWriter& answers) {
  iscsi::TextWriter record;
  record.add(spec_of(Key::kTargetName).name, target.name);
  for (const PortalAddress& portal : target.portals) {
    record.add(spec_of(Key::kTargetAddress).name, target_address(portal));
  }
  if (answers.size() + record.size() > limits::kSendTargetsBytes) return false;
  answers.append(record);
  return true;
}

}  // namespace

std::string target_address(const PortalAddress& portal) {
  const bool brackets = portal.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{},{}", brackets ? "[" : "", portal.host, brackets ? "]" : "", portal.port,
                     portal.group_tag);
}

bool answer_send_targets(std::string_view value, std::string_view own, std::span<const VisibleTarget> visible,
                         iscsi::TextWriter& answers) {
  const bool discovery = own.empty();
  const bool all = value == kAll;
  const std::string wanted = value.empty() ? std::string(own) : iscsi::normalise_name(value).value_or(std::string{});
  const bool allowed = discovery ? all || !wanted.empty() : !all && wanted == own;
  if (!allowed) {
    answers.add(spec_of(Key::kSendTargets).name, iscsi::kAnswerReject);
    return true;
  }
  return std::ranges::all_of(visible, [&](const VisibleTarget& target) {
    return (!all && target.name != wanted) || add_target(target, answers);
  });
}

Result<void> answer_text(std::span<const KeyValue> pairs, iscsi::Negotiator& negotiator, std::string_view own,
                         std::span<const VisibleTarget> visible, iscsi::TextWriter& answers) {
  const std::string_view send_targets = spec_of(Key::kSendTargets).name;
  std::vector<KeyValue> others;
  bool asked = false;
  for (const KeyValue& pair : pairs) {
    if (pair.key != send_targets) {
      others.push_back(pair);
      continue;
    }
    if (asked) return fail(EPROTO, "SendTargets occurs twice in one text");
    asked = true;
    if (!answer_send_targets(pair.value, own, visible, answers)) {
      log::warning("an answer to SendTargets has no room for all {} targets; let initiators name the one they want",
                   visible.size());
    }
  }
  return negotiator.answer(iscsi::Stage::kFullFeature, others, answers);
}

}  // namespace peerlane::target
