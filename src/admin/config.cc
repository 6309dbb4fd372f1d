#include "admin/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <sys/stat.h>

#include "admin/account_keys.h"
#include "admin/address.h"
#include "admin/disk.h"
#include "admin/filter_keys.h"
#include "admin/peer_keys.h"
#include "admin/rules.h"
#include "admin/section.h"
#include "admin/state_directory.h"
#include "base/limits.h"

namespace peerlane::admin {
namespace {

constexpr std::size_t kMaxTextValueBytes = 255;  // RFC 7143 §6.1: values of text keys (TargetAlias)
constexpr std::array<std::string_view, 4> kAccessStates = {"optimized", "non-optimized", "standby", "unavailable"};
constexpr std::array<std::string_view, 3> kPolicies = {"off", "same-switch", "kernel"};
constexpr std::array<std::string_view, 4> kLogLevels = {"debug", "info", "warning", "error"};

/// Turns the tables of one document into a Configuration.
class Reader {
 public:
  Reader(const ConfigurationContext& context, Configuration& out)
      : context_(context), out_(out), accounts_(context, out.findings) {}

  void read(const toml::table& root);

 private:
  void read_service(const toml::table& table);
  std::string resolve_state(Section& service);
  void read_portal(const toml::table& table);
  void read_discovery(const toml::table& table);
  void read_target(const toml::table& table);
  void read_target_name(Section& section, target::TargetDeclaration& target);
  void read_portal_groups(Section& section, target::TargetDeclaration& target);
  void read_port_group(const toml::table& table, target::TargetDeclaration& target);
  void read_access(const toml::table& table, target::AccessDeclaration& access);
  void read_chap(const toml::table& table, const std::string& title, target::Authentication& authentication);
  void read_lun(const toml::table& table, target::TargetDeclaration& target);
  void check_lun_disk(Section& section, const target::LunDeclaration& lun);
  void check_shared_disk(Section& section, const target::LunDeclaration& lun);

  std::string resolve(const std::string& path) const { return resolve_disk(path, context_.directory); }
  Section section(const toml::table& table, std::string title) { return {table, std::move(title), out_.findings}; }

  const ConfigurationContext& context_;
  Configuration& out_;
  AccountKeys accounts_;
  std::set<std::uint16_t> groups_;                   // of the portals
  std::vector<std::pair<std::string, bool>> disks_;  // those seen so far, and whether they are written to
};

void Reader::read(const toml::table& root) {
  Section top = section(root, "the configuration");
  if (const toml::table* const service = top.table("service")) read_service(*service);
  for (const toml::table* const portal : top.tables("portal")) read_portal(*portal);
  if (!top.has("portal")) out_.declaration.portals.emplace_back();
  if (const toml::table* const discovery = top.table("discovery")) read_discovery(*discovery);
  for (const toml::table* const target : top.tables("target")) read_target(*target);
  if (const auto problem = check_cached_once(out_.declaration)) top.report("target", *problem);
  for (const toml::table* const peer : top.tables("peer")) {
    read_peer(*peer, accounts_, out_.declaration, out_.findings);
  }
  if (!top.has("target"))
    top.report("target", {"there is no target", "add one: [[target]], and below it [[target.lun]]"});
  top.finish();
}

void Reader::read_service(const toml::table& table) {
  Section service = section(table, "[service]");
  if (const auto threads = service.number("threads", 1, limits::kThreads)) {
    out_.declaration.threads = static_cast<unsigned>(*threads);
  }
  out_.declaration.poll = std::chrono::microseconds(service.number("poll", 0, limits::kMaxPoll.count()).value_or(0));
  out_.declaration.cache_memory =
      service.size("cache_memory", limits::kLeastCacheBytes, limits::kMostCacheBytes).value_or(limits::kCacheBytes);
  const auto policy = service.choice("p2p", {kPolicies.begin(), kPolicies.end()});
  if (policy) out_.declaration.p2p = static_cast<pcie::Policy>(*policy);  // the names are in the order of their values
  out_.declaration.allow_anonymous = service.flag("allow_anonymous").value_or(false);
  out_.declaration.state = resolve_state(service);
  out_.json_log = service.flag("json_log").value_or(false);
  const auto level = service.choice("log_level", {kLogLevels.begin(), kLogLevels.end()});
  if (level) out_.log_level = *parse_log_level(kLogLevels.at(*level));
  service.finish();
}

/// The directory named, or nothing. One that cannot be used is worth a warning: serving goes on without.
std::string Reader::resolve_state(Section& service) {
  const auto named = service.text("state");
  if (!named) return {};
  std::string directory = resolve_directory(*named, context_.directory);
  if (context_.check_disks) {
    if (auto problem = check_state_directory(directory)) service.report("state", *problem, Severity::kWarning);
  }
  return directory;
}

void Reader::read_portal(const toml::table& table) {
  Section section = this->section(table, "[[portal]]");
  target::PortalDeclaration portal;
  const auto listen = section.text("listen");
  if (!section.has("listen")) {
    section.report("listen", {"a portal has no listen", "write for example listen = \"127.0.0.1:3260\""});
  }
  bool good = listen.has_value();
  if (listen) {
    const auto parsed = parse_portal(*listen);
    good = parsed.has_value();
    if (parsed) portal = *parsed;
    if (!parsed) section.report("listen", parsed.error());
  }
  portal.group_tag = static_cast<std::uint16_t>(section.number("group", 1, 0xffff).value_or(1));
  groups_.insert(portal.group_tag);
  if (groups_.size() == limits::kPortalGroups + 1) {
    section.report("group", {fmt::format("there are more than {} portal groups", limits::kPortalGroups),
                             "let portals share a group: they are one target port then"});
  }
  const auto same = [&](const target::PortalDeclaration& other) { return portals_collide(portal, other); };
  if (good && std::ranges::any_of(out_.declaration.portals, same)) {
    section.report("listen", {fmt::format("{} is listened on already by a portal above", *listen),
                              "remove one of the two, or give it another port"});
  }
  out_.declaration.portals.push_back(portal);
  section.finish();
}

void Reader::read_discovery(const toml::table& table) {
  Section discovery = section(table, "[discovery]");
  if (const toml::table* const chap = discovery.table("chap")) {
    read_chap(*chap, "[discovery.chap]", out_.declaration.discovery);
  }
  discovery.finish();
}

void Reader::read_target(const toml::table& table) {
  Section section = this->section(table, "[[target]]");
  target::TargetDeclaration target;
  read_target_name(section, target);
  target.alias = section.text("alias").value_or("");
  if (target.alias.size() > kMaxTextValueBytes) {
    section.report("alias", {"the alias has more than 255 bytes", "choose a shorter one"});
  }
  read_portal_groups(section, target);
  for (const toml::table* const group : section.tables("port_group")) read_port_group(*group, target);
  if (const toml::table* const access = section.table("access")) read_access(*access, target.access);
  if (const toml::table* const chap = section.table("chap")) read_chap(*chap, "[target.chap]", target.authentication);
  for (const toml::table* const lun : section.tables("lun")) read_lun(*lun, target);
  if (!section.has("lun")) {
    section.report(
        "lun", {fmt::format("the target {} has no disk", target.name), "add one: [[target.lun]] with disk = \"...\""});
  }
  // With a broken chap table nothing can be said about who gets in.
  const bool chap_understood =
      !section.has("chap") || !target.authentication.allow_none || !target.authentication.accounts.empty();
  if (chap_understood) {
    if (auto problem = check_exposure(out_.declaration, target)) section.report("name", *problem);
  }
  section.finish();
  out_.declaration.targets.push_back(std::move(target));
}

void Reader::read_target_name(Section& section, target::TargetDeclaration& target) {
  const auto name = section.text("name");
  target.name = name.value_or(default_target_name());
  const auto normalised = parse_name(target.name);
  if (normalised) target.name = *normalised;
  if (!normalised) section.report("name", normalised.error());
  const auto same = [&](const target::TargetDeclaration& other) { return other.name == target.name; };
  if (std::ranges::any_of(out_.declaration.targets, same)) {
    section.report("name",
                   {fmt::format("there is a target {} already", target.name), "give each target a name of its own"});
  }
}

void Reader::read_portal_groups(Section& section, target::TargetDeclaration& target) {
  for (const auto& [number, node] : section.numbers("portal_groups", 1, 0xffff)) {
    const auto group = static_cast<std::uint16_t>(number);
    const auto in_group = [&](const target::PortalDeclaration& portal) { return portal.group_tag == group; };
    if (!std::ranges::any_of(out_.declaration.portals, in_group)) {
      section.report(*node, {fmt::format("no portal is of group {}", group), "name a group that a [[portal]] has"});
    }
    target.portal_groups.push_back(group);
  }
}

/// [[target.port_group]]: the asymmetric access state in which a portal group starts.
void Reader::read_port_group(const toml::table& table, target::TargetDeclaration& target) {
  Section section = this->section(table, "[[target.port_group]]");
  target::PortGroupDeclaration group;
  const auto tag = section.number("group", 1, 0xffff);
  group.tag = static_cast<std::uint16_t>(tag.value_or(1));
  if (!section.has("group")) {
    section.report("group", {"a port group has no group", "write group = 1, the group of a [[portal]]"});
  }
  const auto has_group = [&](const target::PortalDeclaration& portal) { return portal.group_tag == group.tag; };
  if (tag && (!std::ranges::any_of(out_.declaration.portals, has_group) || !reachable_through(target, group.tag))) {
    section.report("group",
                   {fmt::format("the target is reachable through no portal of group {}", group.tag),
                    "name a group that a [[portal]] has, and that portal_groups names if there is such a key"});
  }
  const auto same = [&](const target::PortGroupDeclaration& other) { return other.tag == group.tag; };
  if (tag && std::ranges::any_of(target.access_states, same)) {
    section.report("group", {fmt::format("group {} is described already", group.tag), "remove one of the two"});
  }
  const auto state = section.choice("state", {kAccessStates.begin(), kAccessStates.end()});
  group.state = static_cast<scsi::AccessState>(state.value_or(0));  // the names are in the order of their values
  group.preferred = section.flag("preferred").value_or(false);
  section.finish();
  target.access_states.push_back(group);
}

void Reader::read_access(const toml::table& table, target::AccessDeclaration& access) {
  Section section = this->section(table, "[target.access]");
  for (const auto& [pattern, node] : section.texts("initiators")) {
    const auto normalised = parse_name_pattern(pattern);
    if (normalised) access.initiators.push_back(*normalised);
    if (!normalised) section.report(*node, normalised.error());
  }
  for (const auto& [pattern, node] : section.texts("addresses")) {
    if (auto problem = check_address_pattern(pattern)) section.report(*node, *problem);
    access.addresses.push_back(pattern);
  }
  section.finish();
}

void Reader::read_chap(const toml::table& table, const std::string& title, target::Authentication& authentication) {
  Section section = this->section(table, title);
  for (const toml::table* const element : section.tables("accounts")) {
    const auto account = accounts_.read(*element, "accounts of " + title);
    if (!account) continue;
    const auto same = [&](const target::ChapAccount& other) { return other.name == account->name; };
    if (std::ranges::any_of(authentication.accounts, same)) {
      section.report(*element,
                     {fmt::format("there is an account \"{}\" already", account->name), "remove one of the two"});
    }
    authentication.accounts.push_back(*account);
  }
  if (!section.has("accounts")) {
    section.report("accounts", {title + " has no accounts",
                                "write accounts = [{ name = \"...\", secret_file = \"...\" }], or remove the table"});
  }
  if (const toml::table* const mutual = section.table("mutual")) {
    authentication.mutual = accounts_.read(*mutual, "mutual of " + title);
  }
  authentication.allow_none = !section.flag("required").value_or(true);
  if (auto problem = check_distinct_secrets(authentication)) section.report("mutual", *problem);
  section.finish();
}

void Reader::read_lun(const toml::table& table, target::TargetDeclaration& target) {
  Section section = this->section(table, "[[target.lun]]");
  target::LunDeclaration lun;
  const auto position = static_cast<std::int64_t>(target.luns.size());
  lun.number = static_cast<std::uint16_t>(section.number("number", 0, limits::kLuns - 1).value_or(position));
  const auto same = [&](const target::LunDeclaration& other) { return other.number == lun.number; };
  if (std::ranges::any_of(target.luns, same)) {
    section.report("number", {fmt::format("there is a LUN {} already in this target", lun.number),
                              "give each LUN of a target a number of its own"});
  }
  const auto disk = section.text("disk");
  if (disk) lun.disk = resolve(*disk);
  if (!section.has("disk"))
    section.report("disk", {"a LUN has no disk", "write disk = \"/path\" or disk = \"ram:4G\""});
  lun.name = section.text("name").value_or("");
  const auto block_size = section.number("block_size", 0, 0xffff'ffff);
  lun.block_size = static_cast<std::uint32_t>(block_size.value_or(0));
  const auto physical = section.number("physical_block_size", 0, 0xffff'ffff);
  lun.physical_block_size = static_cast<std::uint32_t>(physical.value_or(0));
  lun.read_only = section.flag("read_only").value_or(false);
  lun.direct = section.flag("direct").value_or(true);
  lun.write_through = section.choice("write_cache", {"back", "through"}).value_or(0) == 1;
  lun.filters = read_filter_keys(section, out_.findings);
  if (const auto remark = check_filters(lun)) section.report("cache", remark->problem, remark->severity);
  if (disk) check_lun_disk(section, lun);
  section.finish();
  target.luns.push_back(std::move(lun));
}

void Reader::check_lun_disk(Section& section, const target::LunDeclaration& lun) {
  if (auto problem = check_lun(lun)) {
    section.report(!is_block_size(lun.block_size)            ? "block_size"
                   : !is_block_size(lun.physical_block_size) ? "physical_block_size"
                                                             : "disk",
                   *problem);
    return;
  }
  if (context_.check_disks) {
    if (auto problem = check_disk_exists(lun)) section.report("disk", *problem);
  }
  check_shared_disk(section, lun);
}

/// One disk as two LUNs is right for two ways to it and wrong for two file systems on it: say so, but go on.
void Reader::check_shared_disk(Section& section, const target::LunDeclaration& lun) {
  if (lun.disk.starts_with("ram:")) return;
  const auto shared = [&](const auto& seen) { return seen.first == lun.disk && (seen.second || !lun.read_only); };
  if (std::ranges::any_of(disks_, shared)) {
    section.report("disk",
                   {fmt::format("{} is served as another LUN too, and at least one of them is written to", lun.disk),
                    "make sure that the initiators know that it is one disk, or serve it read-only"},
                   Severity::kWarning);
  }
  disks_.emplace_back(lun.disk, !lun.read_only);
}

void sort_by_place(std::vector<Finding>& findings) {
  std::ranges::sort(findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.line, a.column, a.problem.what) < std::tie(b.line, b.column, b.problem.what);
  });
}

/// The whole of a file, and whether all users may read it.
Result<SecretFile> read_configuration_file(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  struct stat status{};
  if (!file || fstat(fileno(file.get()), &status) != 0) return std::unexpected(Error{errno, {}});
  if (S_ISDIR(status.st_mode)) return std::unexpected(Error{EISDIR, {}});
  SecretFile found;
  found.readable_by_others = (status.st_mode & S_IROTH) != 0;
  std::array<char, 65536> piece{};
  for (std::size_t count = 0; (count = std::fread(piece.data(), 1, piece.size(), file.get())) > 0;) {
    found.content.append(piece.data(), count);
    if (found.content.size() > limits::kConfigurationBytes) return std::unexpected(Error{EFBIG, {}});
  }
  if (std::ferror(file.get()) != 0) return std::unexpected(Error{EIO, {}});
  return found;
}

}  // namespace

Configuration parse_configuration(std::string_view text, const ConfigurationContext& context) {
  Configuration configuration;
  const toml::parse_result document = toml::parse(text);
  if (!document) {
    const toml::source_position place = document.error().source().begin;
    configuration.findings.push_back(
        {Severity::kError,
         place.line,
         place.column,
         {std::string(document.error().description()), "put the form right (https://toml.io)"}});
    return configuration;
  }
  Reader(context, configuration).read(document.table());
  sort_by_place(configuration.findings);
  return configuration;
}

Configuration load_configuration(const std::string& path) {
  const Result<SecretFile> file = read_configuration_file(path);
  if (!file) {
    Configuration configuration;
    configuration.findings.push_back({Severity::kError,
                                      0,
                                      0,
                                      {fmt::format("the file cannot be read: {}", file.error().text()),
                                       "check the path and that this user may read it"}});
    return configuration;
  }
  ConfigurationContext context;
  context.directory = std::filesystem::path(path).parent_path();
  context.secrets = SecretSource::system();
  context.readable_by_others = file->readable_by_others;
  return parse_configuration(file->content, context);
}

std::optional<log::Level> parse_log_level(std::string_view name) {
  constexpr std::array kLevels = {log::Level::kDebug, log::Level::kInfo, log::Level::kWarning, log::Level::kError};
  const auto* const found = std::ranges::find(kLogLevels, name);
  if (found == kLogLevels.end()) return std::nullopt;
  return kLevels.at(static_cast<std::size_t>(found - kLogLevels.begin()));
}

}  // namespace peerlane::admin
