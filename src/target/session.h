// An iSCSI session (RFC 7143 §4.3): the I_T nexus between an initiator and a target, its command window and its tasks.
// A discovery session has no target behind it.
//
// A session lives on the reactor of its connection. Others (task management from another session, reinstatement, the
// end of the service) reach it through its executor; they share ownership, since a session may end at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/buffer_pool.h"
#include "io/event.h"
#include "io/executor.h"
#include "iscsi/negotiation.h"
#include "iscsi/pdu_control.h"
#include "iscsi/sequence.h"
#include "target/iscsi_task.h"
#include "target/target_device.h"

namespace peerlane::target {

class Connection;
struct TargetNode;

/// What names a session.
struct SessionIdentity {
  std::string initiator;  // iSCSI name
  std::string alias;      // InitiatorAlias; may be empty
  iscsi::Isid isid{};
  std::uint16_t tsih = 0;
  std::uint16_t portal_group = 0;
  TargetNode* target = nullptr;  // null: a discovery session

  /// The I_T nexus, if there is a target.
  NexusName nexus() const;

  /// For log lines: "iqn... (ISID ...) at iqn...".
  std::string text() const;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  /// `nexus` is null in a discovery session.
  Session(io::Executor& executor, io::BufferPool& buffers, SessionIdentity identity, iscsi::CmdSn first,
          std::unique_ptr<Nexus> nexus);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionIdentity& identity() const { return identity_; }
  io::Executor& executor() const { return executor_; }
  bool discovery() const { return identity_.target == nullptr; }

  // --- On its own reactor only ---

  iscsi::Parameters& parameters() { return parameters_; }
  iscsi::CommandWindow& window() { return window_; }
  io::BufferPool& buffers() { return buffers_; }
  io::BufferShare& share() { return share_; }
  Nexus* nexus() const { return nexus_.get(); }
  TargetDevice& device() const;
  TaskTable& tasks() { return tasks_; }

  Connection* connection() const { return connection_; }
  /// The connection that serves the session from now on, or null. If the session has been terminated before its
  /// connection came, that is closed.
  void set_connection(Connection* connection);

  /// A free task.
  IscsiTask& new_task();
  /// A task that was taken but not started goes back.
  void recycle(IscsiTask& task);
  /// Puts `task` into the table and has the device server execute it.
  void start(IscsiTask& task);
  /// Something about `task` has changed: responds and recycles it if it is over, otherwise has the device server look
  /// again at what it waits for. The task may be gone after this.
  void settle(IscsiTask& task);
  unsigned immediate_tasks() const { return immediate_tasks_; }

  /// Aborts all tasks, or those sent to `unit`, or of these the ones with an attribute, or one; then waits as
  /// wait_for_aborted does.
  io::Task<void> abort_tasks(const LogicalUnit* unit, std::optional<TaskAttribute> attribute = std::nullopt);
  io::Task<void> abort_task(IscsiTask& task);

  /// Waits until all tasks that were aborted before this call have ended, but at most limits::kAbortGrace: a write that
  /// is with the backend even then is reported to its logical unit as orphaned.
  io::Task<void> wait_for_aborted();

  /// Ends the session: closes its connection and aborts its tasks, waiting for these as abort_tasks does. `why` is for
  /// the log.
  io::Task<void> terminate(std::string why);

  /// Held by whatever works on the session's behalf: tasks, task management functions.
  io::Gate& gate() { return gate_; }
  /// Whether all of that has ended; waits until it has.
  bool idle() const;
  auto drained() { return gate_.drained(); }

  /// Cancels the third-party copies that go on in background, and waits for their end; at most until `deadline`.
  io::Task<void> end_copies(io::TimePoint deadline);

  /// For session continuation (RFC 7143 §6.3.6): what the next connection of this session goes on with.
  std::unique_ptr<Nexus> give_up_nexus() { return std::move(nexus_); }

 private:
  io::Task<void> run(IscsiTask& task);
  void finish(IscsiTask& task);
  /// A task that was aborted, and has not ended yet.
  struct Ending {
    IscsiTask* task = nullptr;
    std::uint64_t number = 0;
  };

  io::Task<void> end_tasks(std::vector<IscsiTask*> tasks);
  bool forget_ending(const IscsiTask& task);
  void advance_task_sets();
  void orphan(IscsiTask& task);

  io::Executor& executor_;
  io::BufferPool& buffers_;
  const SessionIdentity identity_;
  iscsi::Parameters parameters_;
  iscsi::CommandWindow window_;
  io::BufferShare share_;
  std::unique_ptr<Nexus> nexus_;
  Connection* connection_ = nullptr;
  std::optional<std::string> terminated_;  // why
  unsigned immediate_tasks_ = 0;
  TaskTable tasks_;
  std::vector<std::unique_ptr<IscsiTask>> all_tasks_;
  std::vector<IscsiTask*> free_tasks_;
  std::vector<Ending> ending_;  // oldest first; no orphans
  std::uint64_t last_abort_ = 0;
  io::Event ended_;  // one of them has
  io::Gate gate_;
};

}  // namespace peerlane::target
