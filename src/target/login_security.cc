#include "target/login_security.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "iscsi/keys.h"

namespace peerlane::target {
namespace {

using iscsi::Key;
using iscsi::KeyValue;

constexpr std::string_view kChap = "CHAP";
constexpr std::string_view kNone = "None";

iscsi::ChapAccountView view(const ChapAccount& account) {
  return {account.name, account.secret};
}

}  // namespace

LoginSecurity::LoginSecurity(iscsi::RandomSource& random, std::shared_ptr<const Authentication> rules)
    : random_(random), rules_(std::move(rules)) {}

Result<void> LoginSecurity::handle(std::span<const KeyValue> pairs, iscsi::TextWriter& answers) {
  const std::string_view auth_method = iscsi::spec_of(Key::kAuthMethod).name;
  const auto method = std::ranges::find(pairs, auth_method, &KeyValue::key);
  if (method != pairs.end()) {
    if (auto done = choose_method(method->value, answers); !done) return done;
  }
  if (chap_) return chap_->handle(pairs, answers);
  if (pairs.size() > (method != pairs.end() ? 1u : 0u))
    return fail(EPROTO, "CHAP keys came though CHAP was not agreed on");
  return {};
}

Result<void> LoginSecurity::choose_method(std::string_view offered, iscsi::TextWriter& answers) {
  if (chosen_) return fail(EPROTO, "AuthMethod was negotiated twice");
  for (const std::string_view method : iscsi::parse_list(offered)) {
    const bool chap = method == kChap && !rules_->accounts.empty();
    const bool none = method == kNone && rules_->allow_none;
    if (!chap && !none) continue;
    chosen_ = true;
    answers.add(iscsi::spec_of(Key::kAuthMethod).name, method);
    if (!chap) return {};
    std::vector<iscsi::ChapAccountView> accounts;
    for (const ChapAccount& account : rules_->accounts) accounts.push_back(view(account));
    chap_.emplace(random_, std::move(accounts), rules_->mutual.transform(view));
    return {};
  }
  if (rules_->accounts.empty()) {
    return fail(EACCES, fmt::format("it offers the authentication methods {}, but no CHAP account is configured here",
                                    iscsi::printable(offered)));
  }
  return fail(EACCES, fmt::format("CHAP is demanded here and it offers only {}; give the initiator a CHAP account",
                                  iscsi::printable(offered)));
}

Result<void> LoginSecurity::may_skip() const {
  if (rules_->allow_none) return {};
  return fail(EACCES, "authentication is demanded here and the initiator offers none; give it a CHAP account");
}

bool LoginSecurity::satisfied() const {
  if (chap_) return chap_->done();
  return chosen_ || rules_->allow_none;
}

const std::string& LoginSecurity::user() const {
  static const std::string kNobody;
  return chap_ ? chap_->user() : kNobody;
}

}  // namespace peerlane::target
