// Task management functions (RFC 7143 §11.5, SAM-5 §7): each is answered, also when the backend does not let go of a
// task.

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "scsi/sense_codes.h"
#include "target/connection.h"
#include "target/target_node.h"

namespace peerlane::target {
namespace {

using iscsi::TaskFunction;
using iscsi::TaskFunctionResponse;

/// The part of `session`'s I_T nexus that belongs to `unit`.
ItlNexus& nexus_with(Session& session, const LogicalUnit& unit) {
  for (const scsi::Lun lun : session.device().luns()) {
    if (&session.device().unit(lun) == &unit) return *session.nexus()->find(lun);
  }
  std::unreachable();
}

/// Aborts what a session has in `unit`, or in all units, and ends its ACA there (SAM-5 §5.9.4).
io::Task<void> abort_in(std::shared_ptr<Session> session, const LogicalUnit* unit) {
  co_await session->abort_tasks(unit);
  if (session->nexus() == nullptr) co_return;
  for (const scsi::Lun lun : session->device().luns()) {
    if (unit == nullptr || &session->device().unit(lun) == unit) session->nexus()->find(lun)->task_set().clear_aca();
  }
}

io::Task<void> terminate_in(std::shared_ptr<Session> session) {
  std::string why = "TARGET COLD RESET by another initiator";
  co_await session->terminate(std::move(why));
}

using Sessions = std::vector<std::shared_ptr<Session>>;
using SessionWork = std::function<io::Task<void>(std::shared_ptr<Session>)>;

io::Task<void> work_in(io::Executor& here, std::shared_ptr<Session> session, const SessionWork& work, io::Gate& gate) {
  const io::Gate::Pass inside(gate);
  std::function<io::Task<void>()> make = [&session, &work] { return work(session); };
  co_await io::run_on(here, session->executor(), std::move(make));
}

/// Does `work` in all of them at once, each on its own executor, since each may have to wait for the backend; ends when
/// all have.
io::Task<void> work_in_all(io::Executor& here, Sessions sessions, SessionWork work) {
  io::Gate gate;
  for (const std::shared_ptr<Session>& session : sessions) io::spawn(work_in(here, session, work, gate));
  co_await gate.drained();
}

bool reaches_the_whole_target(TaskFunction function) {
  return function == TaskFunction::kTargetWarmReset || function == TaskFunction::kTargetColdReset ||
         function == TaskFunction::kItNexusReset;
}

}  // namespace

io::Task<void> Connection::manage_tasks(iscsi::TaskManagementRequest request) {
  const io::Gate::Pass pass(functions_);
  const io::Gate::Pass session_pass(session_->gate());
  iscsi::TaskManagementResponse answer;
  answer.initiator_task_tag = request.initiator_task_tag;
  answer.response = co_await carry_out(request);
  // Nobody waits for the answer of a session that has ended meanwhile, and those who have logged in since are not to be
  // cut off for it.
  if (closing_) co_return;
  log::info("session {}: {} answered {}", session_->identity().text(), iscsi::name(request.function),
            static_cast<unsigned>(answer.response));
  const bool cold = request.function == TaskFunction::kTargetColdReset;
  Sessions others = cold ? host_.sessions_of(*session_->identity().target) : Sessions();
  out_.push(number(answer, true));
  if (!cold) co_return;
  // A cold reset ends all sessions of the target, the requester's too (RFC 7143 §11.5.1), but none that begins after it
  // has been answered.
  co_await out_.drain();
  std::erase(others, session_);
  SessionWork terminate = terminate_in;
  co_await work_in_all(executor_, std::move(others), std::move(terminate));
  close("TARGET COLD RESET");
}

io::Task<TaskFunctionResponse> Connection::carry_out(iscsi::TaskManagementRequest request) {
  if (reaches_the_whole_target(request.function)) {
    co_await reset_target(request.function);
    co_return TaskFunctionResponse::kFunctionComplete;
  }
  // Task allegiance is reassigned at error recovery level 2 only.
  if (request.function == TaskFunction::kTaskReassign) co_return TaskFunctionResponse::kReassignmentNotSupported;
  LogicalUnit* const unit = session_->device().find(request.lun.value);
  if (unit == nullptr) co_return TaskFunctionResponse::kLunDoesNotExist;
  if (request.function == TaskFunction::kAbortTask) {
    const TaskFunctionResponse response = co_await abort_task(request);
    co_return response;
  }
  if (request.function == TaskFunction::kQueryTask) {
    co_return session_->tasks().find(request.referenced_task_tag) != nullptr ? TaskFunctionResponse::kFunctionSucceeded
                                                                             : TaskFunctionResponse::kFunctionComplete;
  }
  const TaskFunctionResponse response = co_await manage_unit(request.function, *unit);
  co_return response;
}

io::Task<TaskFunctionResponse> Connection::abort_task(iscsi::TaskManagementRequest request) {
  IscsiTask* const task = session_->tasks().find(request.referenced_task_tag);
  if (task != nullptr && session_->device().find(task->lun_field()) == session_->device().find(request.lun.value)) {
    co_await session_->abort_task(*task);
    co_return TaskFunctionResponse::kFunctionComplete;
  }
  // A command that has not come yet, though it was sent before this request, counts as received and aborted (RFC 7143
  // §11.5.5 and §11.6.1).
  if (task == nullptr && request.ref_cmd_sn < request.cmd_sn && take_number(false, request.ref_cmd_sn)) {
    done_with_number(false);
    co_return TaskFunctionResponse::kFunctionComplete;
  }
  // It may be one that another function is ending: the initiator may take this answer for the end of it.
  co_await session_->wait_for_aborted();
  co_return TaskFunctionResponse::kTaskDoesNotExist;
}

io::Task<TaskFunctionResponse> Connection::manage_unit(TaskFunction function, LogicalUnit& unit) {
  ItlNexus& own = nexus_with(*session_, unit);
  switch (function) {
    // The task set is that of this I_T nexus alone (TST of the control mode page is 001b).
    case TaskFunction::kAbortTaskSet:
    case TaskFunction::kClearTaskSet:
      co_await session_->abort_tasks(&unit);
      break;
    case TaskFunction::kClearAca:
      if (!own.task_set().aca()) break;
      co_await session_->abort_tasks(&unit, TaskAttribute::kAca);
      own.task_set().clear_aca();
      own.task_set().advance();
      break;
    case TaskFunction::kLogicalUnitReset:
      co_await reset_everywhere(&unit);
      co_await unit.reset(scsi::sense_codes::kBusDeviceReset, nullptr);
      break;
    case TaskFunction::kQueryTaskSet: {
      bool any = false;
      session_->tasks().for_each(
          [&](const IscsiTask& task) { any = any || session_->device().find(task.lun_field()) == &unit; });
      co_return any ? TaskFunctionResponse::kFunctionSucceeded : TaskFunctionResponse::kFunctionComplete;
    }
    case TaskFunction::kQueryAsynchronousEvent:
      co_return own.attentions().pending() ? TaskFunctionResponse::kFunctionSucceeded
                                           : TaskFunctionResponse::kFunctionComplete;
    default:
      co_return TaskFunctionResponse::kFunctionNotSupported;
  }
  co_return TaskFunctionResponse::kFunctionComplete;
}

/// Aborts the tasks of all sessions in `unit`, or in all units, and ends their ACAs.
io::Task<void> Connection::reset_everywhere(const LogicalUnit* unit) {
  Sessions sessions = host_.sessions_of(*session_->identity().target);
  SessionWork abort = [unit](std::shared_ptr<Session> session) { return abort_in(std::move(session), unit); };
  co_await work_in_all(executor_, std::move(sessions), std::move(abort));
}

io::Task<void> Connection::abort_tasks_of(std::vector<NexusName> nexuses, const LogicalUnit& unit) {
  Sessions others = host_.sessions_of(*session_->identity().target);
  std::erase_if(others, [&](const std::shared_ptr<Session>& session) {
    return session == session_ || std::ranges::find(nexuses, session->identity().nexus()) == nexuses.end();
  });
  SessionWork abort = [&unit](std::shared_ptr<Session> session) { return abort_in(std::move(session), &unit); };
  co_await work_in_all(executor_, std::move(others), std::move(abort));
}

/// I_T NEXUS RESET concerns this session alone; the others every logical unit with all its tasks.
io::Task<void> Connection::reset_target(TaskFunction function) {
  TargetDevice& device = session_->device();
  if (function == TaskFunction::kItNexusReset) {
    co_await abort_in(session_, nullptr);
    for (const scsi::Lun lun : device.luns()) {
      session_->nexus()->find(lun)->attentions().establish(scsi::sense_codes::kNexusLoss);
    }
    co_return;
  }
  co_await reset_everywhere(nullptr);
  for (const scsi::Lun lun : device.luns()) {
    co_await device.unit(lun).reset(scsi::sense_codes::kBusDeviceReset, nullptr);
  }
}

}  // namespace peerlane::target
