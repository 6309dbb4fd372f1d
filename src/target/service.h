// What all connections of a service share, whatever reactor they are on: the target nodes, the sessions, the portals.
// Immutable but for the sessions, which have a lock of their own.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "block/cache_memory.h"
#include "iscsi/random.h"
#include "target/connection.h"
#include "target/declaration.h"
#include "target/file_state_store.h"
#include "target/login.h"
#include "target/session_registry.h"
#include "target/target_node.h"

namespace peerlane::target {

class Service final : public ConnectionHost {
 public:
  /// Opens all disks of `declaration`, and the directory for its state. Errors name the target, the LUN and the disk,
  /// or the file that is damaged. Where no state can be kept, and none is lost by that, it does without and logs it.
  /// `peers` (may be null) has the units of other targets for copies, and outlives the service.
  static Result<std::unique_ptr<Service>> create(const Declaration& declaration, PeerUnits* peers);

  /// Where it listens; set once, before the first connection. A port is never 0 here.
  void set_portals(std::vector<PortalDeclaration> portals) { portals_ = std::move(portals); }
  const std::vector<PortalDeclaration>& portals() const { return portals_; }

  const std::vector<std::unique_ptr<TargetNode>>& nodes() const { return nodes_; }
  TargetNode* find_node(std::string_view name) const;
  SessionRegistry& sessions() { return sessions_; }
  iscsi::RandomSource& random() { return random_; }
  /// Connections that have not finished their login.
  std::atomic<unsigned>& logins_pending() { return logins_pending_; }

  /// Looks whether disks have grown, and has the initiators told; lets go of tokens that have ended.
  void look_after_disks();

  /// Closes all disks, after all commands have ended: what they hold in memory reaches stable storage.
  io::Task<void> close_disks();

  /// Ends what goes on in logical units without a command (Background::stop). False: not by `deadline`.
  bool end_background_work(std::chrono::steady_clock::time_point deadline);

  /// Whether this initiator may log in to the target it names, and on which terms (LoginPolicy::find_target).
  LoginResult<LoginTerms> find_target(const LoginQuery& query) const;

  // ConnectionHost
  std::vector<std::shared_ptr<Session>> sessions_of(const TargetNode& target) override {
    return sessions_.sessions_of(target);
  }
  std::vector<VisibleTarget> visible_targets(const Session& session, const io::Stream& stream) override;

 private:
  explicit Service(const Declaration& declaration);
  Result<void> open_state(const std::string& directory);
  Result<void> open_disks(TargetNode& node, const std::vector<PortGroupDeclaration>& port_groups);
  std::vector<PortalAddress> addresses_of(const TargetNode& node, const io::Stream& stream) const;

  std::vector<PortalDeclaration> portals_;
  std::unique_ptr<FileStateStore> state_;      // null: nothing survives a restart
  std::unique_ptr<block::CacheMemory> cache_;  // null if no disk has a cache; outlives the disks
  std::vector<std::unique_ptr<TargetNode>> nodes_;
  const std::shared_ptr<const Authentication> discovery_;
  std::vector<std::shared_ptr<const Authentication>> authentications_;  // of nodes_, at the same index
  SessionRegistry sessions_;
  iscsi::SystemRandom random_;
  std::atomic<unsigned> logins_pending_{0};
};

}  // namespace peerlane::target
