#include "admin/peer_keys.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "admin/rules.h"
#include "admin/section.h"
#include "base/limits.h"
#include "iscsi/send_targets.h"
#include "pcie/disk_part.h"
#include "scsi/disk_place.h"

namespace peerlane::admin {
namespace {

void read_target_name(Section& section, const target::Declaration& declaration, target::PeerDeclaration& peer) {
  const auto name = section.text("target");
  if (!section.has("target")) {
    section.report("target", {"a peer has no target", "write target = \"iqn...\", the name of the other target"});
  }
  if (!name) return;
  const auto normalised = parse_name(*name);
  if (!normalised) {
    section.report("target", normalised.error());
    return;
  }
  peer.target = *normalised;
  const auto same = [&](const target::PeerDeclaration& other) { return other.target == peer.target; };
  if (std::ranges::any_of(declaration.peers, same)) {
    section.report("target", {fmt::format("{} is a peer already", peer.target), "remove one of the two"});
  }
}

void read_portal(Section& section, target::PeerDeclaration& peer) {
  const auto portal = section.text("portal");
  if (!section.has("portal")) {
    section.report("portal", {"a peer has no portal", "write for example portal = \"192.0.2.8:3260\""});
  }
  if (!portal) return;
  const auto place = iscsi::parse_target_address(*portal);
  if (!place || place->group || place->port == 0) {
    section.report("portal", {fmt::format("\"{}\" is no address or host name with an optional port", *portal),
                              "write for example 192.0.2.8:3260, [2001:db8::8] or storage.example.com"});
    return;
  }
  peer.host = place->host;
  peer.port = place->port;
}

void read_chap(const toml::table& table, AccountKeys& accounts, target::PeerDeclaration& peer,
               std::vector<Finding>& findings) {
  Section section(table, "[peer.chap]", findings);
  if (const toml::table* const account = section.table("account")) {
    peer.account = accounts.read(*account, "account of [peer.chap]");
  }
  if (!section.has("account")) {
    section.report("account", {"[peer.chap] has no account",
                               "write account = { name = \"...\", secret_file = \"...\" }, or remove the table"});
  }
  if (const toml::table* const mutual = section.table("mutual")) {
    peer.mutual = accounts.read(*mutual, "mutual of [peer.chap]");
  }
  if (peer.account && peer.mutual && peer.account->secret == peer.mutual->secret) {
    section.report("mutual", {"both directions have the same secret",
                              "choose a different one for each: with one for both, others could play the target"});
  }
  section.finish();
}

/// Through which of our targets, and by whom, it may be asked for.
void read_users(Section& section, const target::Declaration& declaration, target::PeerDeclaration& peer) {
  for (const auto& [text, node] : section.texts("targets")) {
    const auto name = parse_name(text);
    const auto same = [&](const target::TargetDeclaration& target) { return name && target.name == *name; };
    if (!name) {
      section.report(*node, name.error());
    } else if (!std::ranges::any_of(declaration.targets, same)) {
      section.report(*node, {fmt::format("there is no target {} here", *name), "name a [[target]] of this file"});
    } else {
      peer.targets.push_back(*name);
    }
  }
  for (const auto& [pattern, node] : section.texts("initiators")) {
    const auto normalised = parse_name_pattern(pattern);
    if (normalised) peer.initiators.push_back(*normalised);
    if (!normalised) section.report(*node, normalised.error());
  }
}

/// Identities of disks that the peer and this machine both have.
void read_shared_disks(Section& section, target::PeerDeclaration& peer) {
  for (const auto& [text, node] : section.texts("shared_disks")) {
    std::string pattern = text;
    std::ranges::transform(pattern, pattern.begin(), [](unsigned char c) { return std::tolower(c); });
    const bool any_rest =
        !pattern.empty() && pattern.find('*') == pattern.size() - 1 && pattern.size() <= scsi::kMaxDiskIdentityBytes;
    if (any_rest || pcie::is_world_wide(pattern)) {
      peer.shared_disks.push_back(std::move(pattern));
    } else {
      section.report(*node,
                     {fmt::format("\"{}\" is no identity of one disk of the world", text),
                      "write what /sys/class/block/nvme0n1/wwid or /sys/class/block/sda/device/wwid has, if that "
                      "begins with eui., uuid. or naa., or \"*\" for all disks"});
    }
  }
}

}  // namespace

void read_peer(const toml::table& table, AccountKeys& accounts, target::Declaration& declaration,
               std::vector<Finding>& findings) {
  Section section(table, "[[peer]]", findings);
  target::PeerDeclaration peer;
  read_target_name(section, declaration, peer);
  read_portal(section, peer);
  if (const auto name = section.text("initiator_name")) {
    const auto normalised = parse_name(*name);
    if (normalised) peer.initiator_name = *normalised;
    if (!normalised) section.report("initiator_name", normalised.error());
  }
  if (const toml::table* const chap = section.table("chap")) read_chap(*chap, accounts, peer, findings);
  read_users(section, declaration, peer);
  peer.writable = section.flag("writable").value_or(false);
  read_shared_disks(section, peer);
  if (declaration.peers.size() == limits::kPeers) {
    section.report("target", {fmt::format("there are more than {} peers", limits::kPeers), "remove some"});
  }
  section.finish();
  declaration.peers.push_back(std::move(peer));
}

}  // namespace peerlane::admin
