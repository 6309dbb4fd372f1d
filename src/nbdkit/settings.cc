#include "nbdkit/settings.h"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "initiator/blocking.h"
#include "iscsi/url.h"

namespace peerlane::nbdkit {
namespace {

using initiator::Account;

Result<bool> read_switch(std::string_view key, std::string_view value) {
  if (value == "true" || value == "yes" || value == "on" || value == "1") return true;
  if (value == "false" || value == "no" || value == "off" || value == "0") return false;
  return fail(EINVAL, fmt::format("{}={}: it is yes or no", key, value));
}

Result<unsigned> read_number(std::string_view key, std::string_view value, unsigned most) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < 1 || number > most) {
    return fail(EINVAL, fmt::format("{}={}: it is a number from 1 to {}", key, value, most));
  }
  return number;
}

Account& account(std::optional<Account>& place) {
  if (!place) place.emplace();
  return *place;
}

/// The most seconds that a time-out may have: a day.
constexpr unsigned kMostSeconds = 86400;

template <typename T>
Result<void> take(Result<T> value, T& into) {
  if (!value) return std::unexpected(std::move(value.error()));
  into = *value;
  return {};
}

Result<void> check_account(const std::optional<Account>& account, std::string_view prefix) {
  if (!account) return {};
  if (account->name.empty()) return fail(EINVAL, fmt::format("{}chap-secret without {}chap-user", prefix, prefix));
  const std::size_t length = account->secret.size();
  if (length < limits::kMinChapSecretBytes || length > limits::kMaxChapSecretBytes) {
    return fail(EINVAL, fmt::format("{}chap-secret is to have {} to {} bytes, it has {}", prefix,
                                    limits::kMinChapSecretBytes, limits::kMaxChapSecretBytes, length));
  }
  return {};
}

}  // namespace

Result<void> Settings::set(std::string_view key, std::string_view value) {
  initiator::SessionOptions& session = options.session;
  if (key == "url") {
    url = value;
    return {};
  }
  if (key == "check") return take(read_switch(key, value), check);
  if (key == "queue-depth") {
    return take(read_number(key, value, limits::kMostInitiatorQueueDepth), session.connection.depth);
  }
  if (key == "replacement-timeout") {
    unsigned seconds = 0;
    auto taken = take(read_number(key, value, kMostSeconds), seconds);
    session.replacement_timeout = std::chrono::seconds(seconds);
    return taken;
  }
  if (key == "initiator-name") {
    auto name = initiator::initiator_name([value](const char*) { return std::string(value); });
    return take(std::move(name), session.login.initiator_name);
  }
  if (key == "chap-user") {
    account(session.login.account).name = value;
  } else if (key == "chap-secret") {
    account(session.login.account).secret = value;
  } else if (key == "target-chap-user") {
    account(session.login.target_account).name = value;
  } else if (key == "target-chap-secret") {
    account(session.login.target_account).secret = value;
  } else {
    return fail(EINVAL, fmt::format("there is no parameter {}; see nbdkit peerlane --help", key));
  }
  return {};
}

Result<void> Settings::complete() {
  if (url.empty()) return fail(EINVAL, "which disk? Give iscsi://host[:port]/target-name/lun");
  auto parsed = iscsi::parse_url(url);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  if (parsed->target.empty()) {
    return fail(EINVAL, fmt::format("{} names no target: give iscsi://host[:port]/target-name/lun; `peerlane discover "
                                    "{}` shows what is there",
                                    iscsi::to_string(*parsed), parsed->host));
  }
  const initiator::LoginTerms& login = options.session.login;
  if (auto checked = check_account(login.account, ""); !checked) return checked;
  if (login.target_account && !login.account) return fail(EINVAL, "target-chap-user needs chap-user");
  return check_account(login.target_account, "target-");
}

Result<std::unique_ptr<block::BlockingDevice>> Settings::open(bool read_only) const {
  initiator::DiskOptions wanted = options;
  wanted.lun.read_only = read_only;
  return initiator::open_blocking(url, std::move(wanted));
}

}  // namespace peerlane::nbdkit
