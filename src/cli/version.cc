#include "cli/version.h"

#include <CLI/Version.hpp>
#include <fmt/format.h>
#include <isa-l.h>
#include <liburing.h>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <spdlog/version.h>
#include <toml++/impl/version.h>

#include "base/sanitizers.h"

#ifdef PEERLANE_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace peerlane::cli {
namespace {

std::string compiler() {
#ifdef __clang__
  return __VERSION__;  // "Clang 19.1.7 (...)"
#else
  return "GCC " __VERSION__;
#endif
}

/// Whether this process may use io_uring here and now.
std::string io_uring_state() {
  io_uring ring{};
  const int status = io_uring_queue_init(2, &ring, 0);
  if (status == 0) {
    io_uring_queue_exit(&ring);
    return "works here";
  }
  return fmt::format("cannot be used here: {}", std::error_code(-status, std::system_category()).message());
}

std::string optional_parts() {
#ifdef PEERLANE_HAVE_SYSTEMD
  return "systemd (readiness, socket activation): built in";
#else
  return "systemd (readiness, socket activation): not built in";
#endif
}

}  // namespace

std::string version() {
  return PEERLANE_VERSION;
}

std::string version_text() {
  return fmt::format(
      "peerlane {}\n"
      "compiler: {}\n"
      "io_uring: {}\n"
      "{}\n"
      "libraries: liburing {}, ISA-L {}.{}.{}, OpenSSL {}, fmt {}.{}.{}, spdlog {}.{}.{}, toml++ {}.{}.{}, "
      "nlohmann-json {}.{}.{}, CLI11 {}",
      version(), compiler(), io_uring_state(), optional_parts(), PEERLANE_LIBURING_VERSION, ISAL_MAJOR_VERSION,
      ISAL_MINOR_VERSION, ISAL_PATCH_VERSION, OpenSSL_version(OPENSSL_VERSION_STRING), FMT_VERSION / 10000,
      FMT_VERSION / 100 % 100, FMT_VERSION % 100, SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH, TOML_LIB_MAJOR,
      TOML_LIB_MINOR, TOML_LIB_PATCH, NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
      NLOHMANN_JSON_VERSION_PATCH, CLI11_VERSION);
}

}  // namespace peerlane::cli
