// CHAP accounts of an initiator: from a URL, completed from the environment. Secrets are better not given on a command
// line, where every user of the host can read them.
//
//   PEERLANE_CHAP_USER, PEERLANE_CHAP_SECRET or PEERLANE_CHAP_SECRET_FILE              what we log in with
//   PEERLANE_TARGET_CHAP_USER, PEERLANE_TARGET_CHAP_SECRET or ..._SECRET_FILE          what the target must prove
//   PEERLANE_INITIATOR_NAME                                                            our iSCSI name
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "initiator/login.h"
#include "iscsi/url.h"

namespace peerlane::initiator {

/// A variable of the environment, if it is set. A seam: tests give their own.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// This process's.
std::optional<std::string> process_environment(const char* name);

struct Credentials {
  std::optional<Account> account;
  std::optional<Account> target_account;
};

/// The accounts for `url`: its user and password (and the options target_user and target_password) first, and what it
/// does not say from the environment. Errors, EINVAL or the system's, with a sentence that holds no secret: a user
/// without a secret, a file that cannot be read, a secret that is too short (RFC 7143 §9.2.1).
Result<Credentials> credentials_for(const iscsi::Url& url, const Environment& environment);

/// Our iSCSI name: PEERLANE_INITIATOR_NAME, or one made of the host's name. Errors, EINVAL: the name given is none.
Result<std::string> initiator_name(const Environment& environment);

}  // namespace peerlane::initiator
