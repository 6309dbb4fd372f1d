// The SecurityNegotiation stage of a login, at the target (RFC 7143 §6.3.2 and §12): which authentication method is
// used, and CHAP. No sockets, no clock; randomness through iscsi::RandomSource.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "iscsi/chap.h"
#include "iscsi/random.h"
#include "iscsi/text.h"
#include "target/declaration.h"

namespace peerlane::target {

class LoginSecurity {
 public:
  /// What `rules` demand holds for the login, also if the configuration changes meanwhile.
  LoginSecurity(iscsi::RandomSource& random, std::shared_ptr<const Authentication> rules);

  /// Takes AuthMethod and the CHAP keys of one text, and writes what is to be answered. Errors, sentences for the log
  /// that hold no secret: EPROTO, the initiator does not follow the RFC; anything else, it is not authenticated.
  Result<void> handle(std::span<const iscsi::KeyValue> pairs, iscsi::TextWriter& answers);

  /// Errors: EACCES, a sentence why an initiator may not go past this stage without authentication.
  Result<void> may_skip() const;

  /// Whether the initiator may leave the stage.
  bool satisfied() const;
  /// Whether a method has been chosen that has not come to its end.
  bool in_progress() const { return chap_.has_value() && !chap_->done(); }

  /// The CHAP account that the initiator proved to be; empty: none.
  const std::string& user() const;

 private:
  Result<void> choose_method(std::string_view offered, iscsi::TextWriter& answers);

  iscsi::RandomSource& random_;
  std::shared_ptr<const Authentication> rules_;
  bool chosen_ = false;
  std::optional<iscsi::ChapTarget> chap_;
};

}  // namespace peerlane::target
