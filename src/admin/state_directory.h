// The directory where a service keeps what survives a restart (docs/state-files.md).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "admin/finding.h"

namespace peerlane::admin {

/// Gives the value of an environment variable.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// Where state is kept if the configuration does not say: what systemd has made for the service ($STATE_DIRECTORY); or
/// /var/lib/peerlane for root; or $XDG_STATE_HOME/peerlane, or ~/.local/state/peerlane. Empty where there is not even a
/// home directory.
std::string default_state_directory(const Environment& environment, bool root);

/// `directory` as it is, or in `base` if it is relative and `base` is not empty.
std::string resolve_directory(const std::string& directory, const std::string& base);

/// Whether state can be kept in a directory.
Verdict check_state_directory(const std::string& directory);

}  // namespace peerlane::admin
