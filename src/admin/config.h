// The configuration file: one TOML document that says what a service should be. docs/configuration.md describes every
// key.
//
// Reading it never stops at the first mistake: everything that is wrong is found in one go, each with its place and
// remedy. Only what breaks the form of TOML itself ends the reading, because the rest could not be told apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "admin/finding.h"
#include "admin/secret.h"
#include "base/log.h"
#include "target/declaration.h"

namespace peerlane::admin {

/// What a file says.
struct Configuration {
  target::Declaration declaration;  // to be used only if there are no errors among the findings
  bool json_log = false;
  log::Level log_level = log::Level::kInfo;
  std::vector<Finding> findings;  // in the order of their places
};

/// Where the text comes from, and where what it names is looked for.
struct ConfigurationContext {
  std::string directory;            // relative paths of disks and secrets start here; empty: the current directory
  SecretSource secrets;             // where secret_file and secret_env lead
  bool check_disks = true;          // look whether disks exist
  bool readable_by_others = false;  // whether other users may read the text, and secrets that are in it
};

/// Reads a configuration from its text.
Configuration parse_configuration(std::string_view text, const ConfigurationContext& context);

/// Reads a configuration file, with the disks and secrets that it names. A file that cannot be read is a finding as
/// well.
Configuration load_configuration(const std::string& path);

/// The level of a name as the configuration and the command line have it ("debug", "info", "warning", "error").
std::optional<log::Level> parse_log_level(std::string_view name);

}  // namespace peerlane::admin
