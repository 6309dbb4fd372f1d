#include "cli/serve_arguments.h"

#include <algorithm>

#include <fmt/format.h>

#include "admin/address.h"
#include "admin/disk.h"
#include "admin/filter_keys.h"
#include "admin/rules.h"
#include "base/limits.h"
#include "base/units.h"

namespace peerlane::cli {
namespace {

using admin::Configuration;
using admin::Problem;
using admin::Severity;
using admin::Verdict;

void report(Configuration& configuration, Problem problem, Severity severity = Severity::kError) {
  configuration.findings.push_back({severity, 0, 0, std::move(problem)});
}

void report(Configuration& configuration, const Verdict& verdict) {
  if (verdict) report(configuration, *verdict);
}

/// Whether an option was given that says what the configuration file has to say.
bool contradicts_config(const ServeArguments& arguments) {
  return !arguments.disks.empty() || !arguments.listen.empty() || !arguments.target_name.empty() ||
         !arguments.alias.empty() || arguments.threads != 0 || arguments.poll != 0 || arguments.block_size != 0 ||
         arguments.physical_block_size != 0 || arguments.read_only || arguments.write_through || arguments.no_direct ||
         !arguments.state.empty() || !arguments.cache.empty() || !arguments.cache_memory.empty() ||
         !arguments.read_ahead.empty() || !arguments.initiators.empty() || !arguments.addresses.empty() ||
         !arguments.account.name.empty() || !arguments.mutual.name.empty() || arguments.allow_anonymous ||
         !arguments.p2p.empty();
}

Configuration from_file(const ServeArguments& arguments) {
  Configuration configuration = admin::load_configuration(arguments.config);
  if (contradicts_config(arguments)) {
    report(configuration, {"--config was given together with disks or options that the file has keys for",
                           "put them into the file, or leave --config out"});
  }
  return configuration;
}

void add_portals(const ServeArguments& arguments, Configuration& configuration) {
  std::vector<target::PortalDeclaration>& portals = configuration.declaration.portals;
  for (const std::string& listen : arguments.listen) {
    const auto portal = admin::parse_portal(listen);
    if (!portal) {
      report(configuration, portal.error());
    } else if (std::ranges::any_of(portals,
                                   [&](const auto& other) { return admin::portals_collide(*portal, other); })) {
      report(configuration,
             {fmt::format("{} is listened on already", listen), "give each --listen an address of its own"});
    } else {
      portals.push_back(*portal);
    }
  }
  if (arguments.listen.empty()) portals.emplace_back();
}

/// The account of one direction; `option` is the beginning of its options' names: "--chap".
std::optional<target::ChapAccount> account_of(const AccountArguments& given, const std::string& option,
                                              const admin::SecretSource& secrets, Configuration& configuration) {
  const bool has_secret = !given.secret_file.empty() || !given.secret_variable.empty();
  if (given.name.empty() && !has_secret) return std::nullopt;
  if (given.name.empty() || !has_secret || (!given.secret_file.empty() && !given.secret_variable.empty())) {
    report(configuration, {fmt::format("{0}-user needs a name and one secret", option),
                           fmt::format("give {0}-user NAME with either {0}-secret-file or {0}-secret-env", option)});
    return std::nullopt;
  }
  const auto found = given.secret_file.empty() ? admin::secret_from_environment(secrets, given.secret_variable)
                                               : admin::secret_from_file(secrets, given.secret_file);
  if (!found) {
    report(configuration, found.error());
    return std::nullopt;
  }
  if (found->warning) report(configuration, *found->warning, Severity::kWarning);
  return target::ChapAccount{given.name, found->secret};
}

target::Authentication authentication_of(const ServeArguments& arguments, const admin::SecretSource& secrets,
                                         Configuration& configuration) {
  target::Authentication authentication;
  const auto account = account_of(arguments.account, "--chap", secrets, configuration);
  authentication.mutual = account_of(arguments.mutual, "--mutual", secrets, configuration);
  if (account) authentication.accounts.push_back(*account);
  authentication.allow_none = arguments.account.name.empty();
  if (!arguments.mutual.name.empty() && arguments.account.name.empty()) {
    report(configuration, {"--mutual-user was given without --chap-user",
                           "a target proves itself only to initiators that prove themselves: add --chap-user"});
  }
  report(configuration, admin::check_distinct_secrets(authentication));
  return authentication;
}

/// A size that was given as an option's value.
void take_size(const std::string& option, const std::string& text, std::uint64_t least, std::uint64_t most,
               std::uint64_t& size, Configuration& configuration) {
  if (text.empty()) return;
  const auto bytes = parse_size(text);
  if (bytes && *bytes >= least && *bytes <= most) {
    size = *bytes;
  } else {
    report(configuration, {fmt::format("{} cannot be \"{}\"", option, text),
                           fmt::format("give a size from {} to {}", format_size(least), format_size(most))});
  }
}

/// The cache of each disk; the memory of all of them goes into the declaration.
block::CacheOptions cache_of(const ServeArguments& arguments, Configuration& configuration) {
  block::CacheOptions cache;
  if (arguments.cache == "write-through") cache.mode = block::CacheMode::kWriteThrough;
  if (arguments.cache == "write-back") cache.mode = block::CacheMode::kWriteBack;
  if (cache.mode == block::CacheMode::kOff && !(arguments.cache_memory + arguments.read_ahead).empty()) {
    report(configuration, {"--cache-memory and --read-ahead do nothing without a cache",
                           "add --cache write-through, or leave them out"});
  }
  take_size("--cache-memory", arguments.cache_memory, limits::kLeastCacheBytes, limits::kMostCacheBytes,
            configuration.declaration.cache_memory, configuration);
  take_size("--read-ahead", arguments.read_ahead, 0, limits::kMostReadAheadBytes, cache.read_ahead, configuration);
  return cache;
}

void add_luns(const ServeArguments& arguments, target::TargetDeclaration& target, Configuration& configuration) {
  if (arguments.disks.empty()) {
    report(configuration,
           {"there is no disk to serve", "name one, for example: peerlane serve ram:1G, or use --config FILE"});
  }
  if (arguments.disks.size() > limits::kLuns) {
    report(configuration,
           {fmt::format("{} disks are more than the {} that a target can have", arguments.disks.size(), limits::kLuns),
            "use a configuration with several targets"});
    return;
  }
  const block::CacheOptions cache = cache_of(arguments, configuration);
  for (const std::string& text : arguments.disks) {
    admin::DiskArgument disk = admin::parse_disk_argument(text);
    target::LunDeclaration lun;
    lun.number = static_cast<std::uint16_t>(target.luns.size());
    lun.disk = std::move(disk.disk);
    lun.name = std::move(disk.name);
    lun.block_size = arguments.block_size;
    lun.physical_block_size = arguments.physical_block_size;
    lun.read_only = arguments.read_only;
    lun.direct = !arguments.no_direct;
    lun.write_through = arguments.write_through;
    lun.filters.cache = cache;
    if (const auto remark = admin::check_filters(lun)) report(configuration, remark->problem, remark->severity);
    const Verdict form = admin::check_lun(lun);
    report(configuration, form ? form : admin::check_disk_exists(lun));
    target.luns.push_back(std::move(lun));
  }
}

void add_access(const ServeArguments& arguments, target::AccessDeclaration& access, Configuration& configuration) {
  for (const std::string& pattern : arguments.initiators) {
    const auto normalised = admin::parse_name_pattern(pattern);
    if (normalised) access.initiators.push_back(*normalised);
    if (!normalised) report(configuration, normalised.error());
  }
  for (const std::string& pattern : arguments.addresses) report(configuration, admin::check_address_pattern(pattern));
  access.addresses = arguments.addresses;
}

Configuration from_options(const ServeArguments& arguments, const admin::SecretSource& secrets) {
  Configuration configuration;
  target::Declaration& declaration = configuration.declaration;
  declaration.threads = arguments.threads;
  declaration.poll = std::chrono::microseconds(arguments.poll);
  declaration.allow_anonymous = arguments.allow_anonymous;
  declaration.state = arguments.state;
  if (const auto policy = pcie::parse_policy(arguments.p2p)) declaration.p2p = *policy;
  add_portals(arguments, configuration);

  target::TargetDeclaration target;
  target.name = arguments.target_name.empty() ? admin::default_target_name() : arguments.target_name;
  const auto normalised = admin::parse_name(target.name);
  if (normalised) target.name = *normalised;
  if (!normalised) report(configuration, normalised.error());
  target.alias = arguments.alias;
  add_access(arguments, target.access, configuration);
  target.authentication = authentication_of(arguments, secrets, configuration);
  declaration.discovery = target.authentication;
  add_luns(arguments, target, configuration);
  report(configuration, admin::check_exposure(declaration, target));
  declaration.targets.push_back(std::move(target));
  report(configuration, admin::check_cached_once(declaration));
  return configuration;
}

}  // namespace

admin::Configuration to_configuration(const ServeArguments& arguments, const admin::SecretSource& secrets) {
  Configuration configuration = arguments.config.empty() ? from_options(arguments, secrets) : from_file(arguments);
  if (arguments.json_log) configuration.json_log = true;
  if (const auto level = admin::parse_log_level(arguments.log_level)) configuration.log_level = *level;
  return configuration;
}

}  // namespace peerlane::cli
