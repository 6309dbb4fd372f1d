#include "admin/state_directory.h"

#include <filesystem>

#include "target/file_state_store.h"

namespace peerlane::admin {
namespace {

std::string value_of(const Environment& environment, const std::string& name) {
  return environment(name).value_or("");
}

}  // namespace

std::string default_state_directory(const Environment& environment, bool root) {
  // systemd separates several directories by colons; ours is the first (systemd.exec(5), StateDirectory=).
  const std::string from_systemd = value_of(environment, "STATE_DIRECTORY");
  if (!from_systemd.empty()) return from_systemd.substr(0, from_systemd.find(':'));
  if (root) return "/var/lib/peerlane";
  const std::string home_for_state = value_of(environment, "XDG_STATE_HOME");
  // What is not absolute is to be ignored (XDG Base Directory Specification).
  if (home_for_state.starts_with('/')) return home_for_state + "/peerlane";
  const std::string home = value_of(environment, "HOME");
  return home.empty() ? std::string() : home + "/.local/state/peerlane";
}

std::string resolve_directory(const std::string& directory, const std::string& base) {
  if (directory.empty() || base.empty() || directory.starts_with('/')) return directory;
  return (std::filesystem::path(base) / directory).lexically_normal();
}

Verdict check_state_directory(const std::string& directory) {
  const auto store = target::FileStateStore::open(directory);
  if (store) return std::nullopt;
  return Problem{store.error().text(),
                 "let this user write there; until then reservations do not survive a restart of the service"};
}

}  // namespace peerlane::admin
