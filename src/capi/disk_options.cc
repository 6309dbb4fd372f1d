#include "capi/disk_options.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"

namespace peerlane::capi {
namespace {

/// A copy in the form of this header, whichever the caller's was compiled with.
Result<peerlane_options> in_our_form(const peerlane_options* given) {
  peerlane_options options = PEERLANE_OPTIONS_INIT;
  if (given == nullptr) return options;
  const std::size_t size = given->struct_size;
  if (size < offsetof(peerlane_options, queue_depth) || size > limits::kCStructBytes) {
    return fail(EINVAL, "struct_size is to be sizeof(peerlane_options): begin with PEERLANE_OPTIONS_INIT");
  }
  std::memcpy(&options, given, std::min(size, sizeof options));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  if (std::any_of(bytes + std::min(size, sizeof options), bytes + size, [](unsigned char byte) { return byte != 0; })) {
    return fail(EINVAL, "the program asks for an option that is newer than this library");
  }
  return options;
}

Result<void> in_range(const char* name, std::uint32_t value, std::uint64_t most) {
  if (value <= most) return {};
  return fail(EINVAL, fmt::format("{} is {}: it is 1 to {}, or 0 for what is usual", name, value, most));
}

/// A CHAP account; none if neither of its texts is there.
Result<std::optional<initiator::Account>> account_of(const char* what, const char* user, const char* secret) {
  if (user == nullptr && secret == nullptr) return std::nullopt;
  if (user == nullptr || secret == nullptr) {
    return fail(EINVAL, fmt::format("{}_user and {}_secret go together", what, what));
  }
  const std::size_t length = std::strlen(secret);
  if (length < limits::kMinChapSecretBytes || length > limits::kMaxChapSecretBytes) {
    return fail(EINVAL, fmt::format("{}_secret has {} bytes: it is to have {} to {}", what, length,
                                    limits::kMinChapSecretBytes, limits::kMaxChapSecretBytes));
  }
  return initiator::Account{user, secret};
}

Result<void> take_accounts(const peerlane_options& options, initiator::LoginTerms& login) {
  auto ours = account_of("chap", options.chap_user, options.chap_secret);
  if (!ours) return std::unexpected(std::move(ours.error()));
  auto theirs = account_of("target_chap", options.target_chap_user, options.target_chap_secret);
  if (!theirs) return std::unexpected(std::move(theirs.error()));
  if (*theirs && !*ours) return fail(EINVAL, "a target proves itself only to those who do: give chap_user as well");
  login.account = std::move(*ours);
  login.target_account = std::move(*theirs);
  return {};
}

}  // namespace

Result<initiator::DiskOptions> disk_options(const peerlane_options* given) {
  const auto options = in_our_form(given);
  if (!options) return std::unexpected(options.error());
  if ((options->flags & ~PEERLANE_READ_ONLY) != 0) {
    return fail(EINVAL, "flags that peerlane_open() does not have");
  }
  if (auto checked = in_range("queue_depth", options->queue_depth, limits::kMostInitiatorQueueDepth); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  initiator::DiskOptions wanted;
  initiator::SessionOptions& session = wanted.session;
  wanted.lun.read_only = (options->flags & PEERLANE_READ_ONLY) != 0;
  if (options->queue_depth != 0) session.connection.depth = options->queue_depth;
  if (options->replacement_timeout_ms != 0) {
    session.replacement_timeout = std::chrono::milliseconds(options->replacement_timeout_ms);
  }
  if (options->initiator_name != nullptr) {
    auto name = initiator::initiator_name([&](const char*) { return options->initiator_name; });
    if (!name) return std::unexpected(std::move(name.error()));
    session.login.initiator_name = std::move(*name);
  }
  if (auto taken = take_accounts(*options, session.login); !taken) {
    return std::unexpected(std::move(taken.error()));
  }
  return wanted;
}

}  // namespace peerlane::capi
