#include "initiator/credentials.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/limits.h"
#include "iscsi/chap.h"
#include "iscsi/name.h"

namespace peerlane::initiator {
namespace {

/// The variables of one direction.
struct Variables {
  const char* user;
  const char* secret;
  const char* secret_file;
};
constexpr Variables kOurs{"PEERLANE_CHAP_USER", "PEERLANE_CHAP_SECRET", "PEERLANE_CHAP_SECRET_FILE"};
constexpr Variables kTargets{"PEERLANE_TARGET_CHAP_USER", "PEERLANE_TARGET_CHAP_SECRET",
                             "PEERLANE_TARGET_CHAP_SECRET_FILE"};

/// The first line of a file, at most as long as a secret may be and one byte more.
Result<std::string> read_secret(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::unexpected(Error::from_errno(errno, fmt::format("the secret file {} cannot be read", path)));
  std::array<char, limits::kMaxChapSecretBytes + 2> bytes{};
  const ssize_t count = read(fd, bytes.data(), bytes.size());
  const int code = errno;
  close(fd);
  if (count < 0)
    return std::unexpected(Error::from_errno(code, fmt::format("the secret file {} cannot be read", path)));
  const std::string_view content(bytes.data(), static_cast<std::size_t>(count));
  return std::string(content.substr(0, content.find_first_of("\r\n")));
}

Result<std::optional<Account>> complete(std::string user, std::string secret, const Variables& variables,
                                        const Environment& environment) {
  if (user.empty()) user = environment(variables.user).value_or(std::string());
  if (user.empty()) return std::nullopt;
  if (secret.empty()) secret = environment(variables.secret).value_or(std::string());
  if (secret.empty()) {
    const auto path = environment(variables.secret_file);
    if (!path) {
      return fail(EINVAL, fmt::format("CHAP user \"{}\" has no secret: set {}, or {} to a file that has it", user,
                                      variables.secret, variables.secret_file));
    }
    auto read = read_secret(*path);
    if (!read) return std::unexpected(std::move(read.error()));
    secret = std::move(*read);
  }
  if (auto checked = iscsi::check_chap_secret(secret); !checked) return std::unexpected(std::move(checked.error()));
  if (secret.size() > limits::kMaxChapSecretBytes) return fail(EINVAL, "the CHAP secret is too long");
  return Account{std::move(user), std::move(secret)};
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

Result<Credentials> credentials_for(const iscsi::Url& url, const Environment& environment) {
  auto ours = complete(url.user, url.password, kOurs, environment);
  if (!ours) return std::unexpected(std::move(ours.error()));
  auto targets = complete(std::string(url.option("target_user")), std::string(url.option("target_password")), kTargets,
                          environment);
  if (!targets) return std::unexpected(std::move(targets.error()));
  if (*targets && !*ours) {
    return fail(EINVAL,
                fmt::format("the target can prove itself only to one who logs in with CHAP: set {}, too", kOurs.user));
  }
  return Credentials{std::move(*ours), std::move(*targets)};
}

Result<std::string> initiator_name(const Environment& environment) {
  if (const auto given = environment("PEERLANE_INITIATOR_NAME")) return iscsi::normalise_name(*given);
  std::array<char, 65> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string suffix;
  for (const char c : std::string_view(host.data())) {
    const bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    suffix += allowed ? c : '-';
  }
  return iscsi::normalise_name(fmt::format("iqn.2026-11.dev.peerlane:initiator.{}", suffix.empty() ? "host" : suffix));
}

}  // namespace peerlane::initiator
