// iSCSI URLs in the form that libiscsi's tools and QEMU take:
//   iscsi://[user[%password]@]host[:port]/target-iqn/lun[?key=value[&key=value]...]
// and, for discovery, iscsi://[user[%password]@]host[:port].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace peerlane::iscsi {

inline constexpr std::uint16_t kDefaultPort = 3260;  // RFC 7143 §14

struct Url {
  std::string user;      // CHAP account; empty: none
  std::string password;  // its secret; never shown
  std::string host;      // name or numeric address, without brackets
  std::uint16_t port = kDefaultPort;
  std::string target;  // normalised iSCSI name; empty: a portal only
  std::uint32_t lun = 0;
  std::vector<std::pair<std::string, std::string>> options;  // in order; target_password is one and never shown

  bool operator==(const Url&) const = default;

  /// The value of the first option named `key`; empty if there is none.
  std::string_view option(std::string_view key) const;
};

/// Reads a URL. As in libiscsi, only the target is percent-decoded; the first '%' before the '@' ends the user,
/// everything after it is the password, which may have any character but '/'. Errors, EINVAL, with a sentence that
/// never has the password in it.
Result<Url> parse_url(std::string_view text);

/// A URL that parse_url() reads, for people: a password, and an option that holds one, is left out.
std::string to_string(const Url& url);

}  // namespace peerlane::iscsi
