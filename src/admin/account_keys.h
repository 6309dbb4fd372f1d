// The keys of a CHAP account in a configuration: a name, and the one place where its secret is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "admin/config.h"
#include "admin/finding.h"
#include "admin/toml.h"
#include "target/declaration.h"

namespace peerlane::admin {

class Section;

class AccountKeys {
 public:
  /// For one document. What is wrong is added to `findings`; both outlive this.
  AccountKeys(const ConfigurationContext& context, std::vector<Finding>& findings)
      : context_(context), findings_(findings) {}

  /// Reads an account: { name = "...", secret_file = "..." }. Nothing if it is not understood. `title` names it in
  /// messages.
  std::optional<target::ChapAccount> read(const toml::table& table, const std::string& title);

 private:
  std::optional<std::string> read_secret(Section& section);

  const ConfigurationContext& context_;
  std::vector<Finding>& findings_;
  bool warned_inline_secret_ = false;
};

}  // namespace peerlane::admin
