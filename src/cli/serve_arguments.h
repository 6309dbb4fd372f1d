// The options of `peerlane serve` and what they mean: the command line turned into the same thing as a configuration
// file.
#pragma once

#include <string>
#include <vector>

#include "admin/config.h"

namespace peerlane::cli {

/// An account on the command line: a name, and the one place where its secret is.
struct AccountArguments {
  std::string name;
  std::string secret_file;
  std::string secret_variable;
};

/// The options as they were given; empty or 0 where they were not.
struct ServeArguments {
  std::string config;
  std::vector<std::string> disks;

  std::vector<std::string> listen;
  std::string target_name;
  std::string alias;
  unsigned threads = 0;
  unsigned poll = 0;
  std::uint32_t block_size = 0;
  std::uint32_t physical_block_size = 0;
  bool read_only = false;
  bool write_through = false;
  bool no_direct = false;
  std::string state;
  std::string cache;
  std::string cache_memory;
  std::string read_ahead;

  std::vector<std::string> initiators;
  std::vector<std::string> addresses;
  AccountArguments account;
  AccountArguments mutual;
  bool allow_anonymous = false;
  std::string p2p;

  std::string log_level;
  bool json_log = false;
  bool json = false;
};

/// What is to be served: from the configuration file if one is named, otherwise from the other arguments. Looks at
/// disks and secrets. The findings have no lines where they come from the command line.
admin::Configuration to_configuration(const ServeArguments& arguments, const admin::SecretSource& secrets);

}  // namespace peerlane::cli
