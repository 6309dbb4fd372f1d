// What `peerlane --version` says.
#pragma once

#include <string>

namespace peerlane::cli {

/// The version without anything around it: "0.1.0".
std::string version();

/// The version, the compiler, which optional parts are built in and work here, and the libraries' versions, a line
/// each.
std::string version_text();

}  // namespace peerlane::cli
