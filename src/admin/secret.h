// CHAP secrets: where they come from, and what a good one is. A secret is never part of a message.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "admin/finding.h"
#include "base/error.h"

namespace peerlane::admin {

/// The content of a secret file, and whether users beyond its owner and group may read it.
struct SecretFile {
  std::string content;
  bool readable_by_others = false;
};

/// The outside world that secrets come from; tests give their own.
struct SecretSource {
  std::function<Result<SecretFile>(const std::string& path)> read_file;
  std::function<std::optional<std::string>(const std::string& name)> environment;

  /// The file system and this process's environment.
  static SecretSource system();
};

/// A secret that was found, and what is to be said about it all the same.
struct FoundSecret {
  std::string secret;
  Verdict warning;
};

/// The secret in a file: its content without the line end that editors put there.
std::expected<FoundSecret, Problem> secret_from_file(const SecretSource& source, const std::string& path);

/// The secret in an environment variable.
std::expected<FoundSecret, Problem> secret_from_environment(const SecretSource& source, const std::string& name);

/// Checks length and characters (RFC 7143 §9.2.1, §12.1.3). `origin` says where it came from: "in chap.secret".
Verdict check_secret(std::string_view secret, std::string_view origin);

}  // namespace peerlane::admin
