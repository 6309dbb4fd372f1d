// [[peer]]: another target, whose disks third-party copies may use.
#pragma once

#include <vector>

#include "admin/account_keys.h"
#include "admin/finding.h"
#include "admin/toml.h"
#include "target/declaration.h"

namespace peerlane::admin {

/// Reads the table of one peer into `declaration`, of which the targets have been read; what is wrong is added to
/// `findings`.
void read_peer(const toml::table& table, AccountKeys& accounts, target::Declaration& declaration,
               std::vector<Finding>& findings);

}  // namespace peerlane::admin
