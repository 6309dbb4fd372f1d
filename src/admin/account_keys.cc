#include "admin/account_keys.h"

#include <utility>

#include "admin/disk.h"
#include "admin/section.h"

namespace peerlane::admin {
namespace {

constexpr std::size_t kMaxNameBytes = 255;  // RFC 7143 §6.1: values of text keys (CHAP_N)

}  // namespace

std::optional<target::ChapAccount> AccountKeys::read(const toml::table& table, const std::string& title) {
  Section section(table, title, findings_);
  auto name = section.text("name");
  if (!section.has("name") || (name && (name->empty() || name->size() > kMaxNameBytes))) {
    section.report("name",
                   {"an account needs a name of 1 to 255 bytes", "write name = \"...\", as it is sent in CHAP"});
    name.reset();
  }
  auto secret = read_secret(section);
  section.finish();
  if (!name || !secret) return std::nullopt;
  return target::ChapAccount{*name, *secret};
}

std::optional<std::string> AccountKeys::read_secret(Section& section) {
  const auto text = section.text("secret");
  const auto file = section.text("secret_file");
  const auto variable = section.text("secret_env");
  if (int{section.has("secret")} + int{section.has("secret_file")} + int{section.has("secret_env")} != 1) {
    section.report("name", {"an account needs one secret", "give exactly one of secret_file, secret_env and secret"});
    return std::nullopt;
  }
  if (text) {
    if (context_.readable_by_others && !warned_inline_secret_) {
      warned_inline_secret_ = true;
      section.report("secret",
                     {"other users may read this file, and it holds a secret",
                      "run chmod 600 on it, or put the secret in a file of its own (secret_file)"},
                     Severity::kWarning);
    }
    if (auto problem = check_secret(*text, "here")) {
      section.report("secret", *problem);
      return std::nullopt;
    }
    return text;
  }
  if (!file && !variable) return std::nullopt;
  const std::string_view key = file ? "secret_file" : "secret_env";
  const auto found = file ? secret_from_file(context_.secrets, resolve_disk(*file, context_.directory))
                          : secret_from_environment(context_.secrets, *variable);
  if (!found) {
    section.report(key, found.error());
    return std::nullopt;
  }
  if (found->warning) section.report(key, *found->warning, Severity::kWarning);
  return found->secret;
}

}  // namespace peerlane::admin
