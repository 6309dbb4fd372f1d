#include "target/session.h"

#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "target/command_table.h"
#include "target/connection.h"
#include "target/target_node.h"

namespace peerlane::target {

std::string SessionIdentity::text() const {
  return fmt::format("{} (ISID {:02x}{:02x}{:02x}{:02x}{:02x}{:02x}, TSIH {}){}{}", initiator, isid[0], isid[1],
                     isid[2], isid[3], isid[4], isid[5], tsih, target != nullptr ? " at " : ", discovery",
                     target != nullptr ? target->name() : "");
}

NexusName SessionIdentity::nexus() const {
  return {initiator, get_be48(isid, 0), portal_group};
}

Session::Session(io::Executor& executor, io::BufferPool& buffers, SessionIdentity identity, iscsi::CmdSn first,
                 std::unique_ptr<Nexus> nexus)
    : executor_(executor),
      buffers_(buffers),
      identity_(std::move(identity)),
      window_(first),
      share_(limits::kSessionBufferBytes),
      nexus_(std::move(nexus)) {}

Session::~Session() {
  assert(gate_.inside() == 0);
}

TargetDevice& Session::device() const {
  return identity_.target->device;
}

void Session::set_connection(Connection* connection) {
  connection_ = connection;
  if (connection_ != nullptr && terminated_) connection_->close(*terminated_);
}

// --- Tasks ---

IscsiTask& Session::new_task() {
  if (free_tasks_.empty()) {
    all_tasks_.push_back(std::make_unique<IscsiTask>(*this));
    free_tasks_.reserve(all_tasks_.size());
    return *all_tasks_.back();
  }
  IscsiTask& task = *free_tasks_.back();
  free_tasks_.pop_back();
  return task;
}

void Session::start(IscsiTask& task) {
  tasks_.insert(task);
  if (task.immediate()) ++immediate_tasks_;
  io::spawn(run(task));
}

io::Task<void> Session::run(IscsiTask& task) {
  const io::Gate::Pass pass(gate_);
  task.set_running();
  const Completion completion = co_await device().execute(*nexus_, task.lun_field(), task);
  task.complete(completion);
  if (task.over()) finish(task);
}

void Session::settle(IscsiTask& task) {
  if (task.over()) {
    finish(task);
  } else {
    task.wake();
  }
}

void Session::finish(IscsiTask& task) {
  if (task.immediate()) {
    --immediate_tasks_;
  } else {
    window_.complete();
  }
  task.respond();
  TaskSet* const task_set = task.place().leave(task.status());
  tasks_.erase(task);
  if (LogicalUnit* const unit = task.orphaned_on()) unit->orphan_ended();
  const bool awaited = task.was_aborted() && forget_ending(task);
  free_tasks_.push_back(&task);
  if (awaited) ended_.wake_all();
  if (task_set != nullptr) task_set->advance();
}

// --- Ending tasks ---

io::Task<void> Session::abort_tasks(const LogicalUnit* unit, std::optional<TaskAttribute> attribute) {
  std::vector<IscsiTask*> chosen;
  tasks_.for_each([&](IscsiTask& task) {
    if (unit != nullptr && device().find(task.lun_field()) != unit) return;
    if (!attribute || task.attribute() == *attribute) chosen.push_back(&task);
  });
  co_await end_tasks(std::move(chosen));
}

io::Task<void> Session::abort_task(IscsiTask& task) {
  std::vector<IscsiTask*> chosen{&task};
  co_await end_tasks(std::move(chosen));
}

/// Aborted tasks leave the table at once: the initiator may use their tags again as soon as the function is answered.
io::Task<void> Session::end_tasks(std::vector<IscsiTask*> tasks) {
  const io::Gate::Pass pass(gate_);
  // All are aborted before the first one ends, since that lets others begin.
  for (IscsiTask* const task : tasks) {
    tasks_.erase(*task);
    task->abort();
    ending_.push_back({task, ++last_abort_});
  }
  for (IscsiTask* const task : tasks) settle(*task);
  advance_task_sets();
  co_await wait_for_aborted();
}

/// Whoever aborted them: an answer that all of them have ended is true of those, too, that another function aborted
/// before and still waits for.
io::Task<void> Session::wait_for_aborted() {
  const std::uint64_t last = last_abort_;
  const auto waits = [this, last] { return !ending_.empty() && ending_.front().number <= last; };
  if (!waits()) co_return;
  const io::Gate::Pass pass(gate_);
  bool expired = false;
  io::Timer grace(executor_, [this, &expired] {
    expired = true;
    ended_.wake_all();
  });
  grace.arm_after(limits::kAbortGrace);
  while (!expired && waits()) co_await ended_;
  while (waits()) {
    IscsiTask& task = *ending_.front().task;
    ending_.erase(ending_.begin());
    orphan(task);
  }
}

/// An aborted task has ended. False if it is an orphan, for which nobody waits any more.
bool Session::forget_ending(const IscsiTask& task) {
  return std::erase_if(ending_, [&](const Ending& ending) { return ending.task == &task; }) != 0;
}

void Session::advance_task_sets() {
  if (nexus_ == nullptr) return;
  for (const scsi::Lun lun : nexus_->luns()) nexus_->find(lun)->task_set().advance();
}

/// The backend does not let go of an aborted task. A change of the medium, with data or without, may yet reach the
/// disk, after a later write to the same blocks: until it has ended, its logical unit takes no further commands for the
/// medium (it answers BUSY).
void Session::orphan(IscsiTask& task) {
  LogicalUnit* const unit = device().find(task.lun_field());
  const auto command = find_command(task.cdb());
  if (unit == nullptr || !command || ((*command)->needs & kNeedsWriteAccess) == 0) return;
  unit->orphan_begins();
  task.set_orphaned_on(unit);
}

io::Task<void> Session::terminate(std::string why) {
  terminated_ = std::move(why);
  if (connection_ != nullptr) connection_->close(*terminated_);
  co_await abort_tasks(nullptr);
  co_await end_copies(executor_.now() + limits::kAbortGrace);
}

bool Session::idle() const {
  return gate_.inside() == 0 && (nexus_ == nullptr || nexus_->copies()->background().inside() == 0);
}

io::Task<void> Session::end_copies(io::TimePoint deadline) {
  const io::Gate::Pass pass(gate_);
  if (nexus_ == nullptr) co_return;
  nexus_->copies()->cancel_all();
  while (nexus_->copies()->background().inside() != 0 && executor_.now() < deadline) {
    co_await io::sleep(executor_, limits::kCopyLook);
  }
}

}  // namespace peerlane::target
