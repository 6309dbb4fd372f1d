#include "session.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"

namespace peerlane::storm {
namespace {

using iscsi::TaskFunction;
using std::chrono::milliseconds;

constexpr std::size_t kMostDepth = 12;
constexpr int kStepMilliseconds = 5;
constexpr double kAnswerSeconds = 60;    // for a command that nothing has ended
constexpr double kSuspicionSeconds = 1;  // then a command that a reset may have ended is asked about
constexpr std::size_t kMostFunctions = limits::kImmediateCommands;  // under way; the target rejects further ones
constexpr std::uint64_t kVerifyBytes = 256u << 10;

iscsi::Isid isid_of(unsigned number) {
  return {0x80, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
}

}  // namespace

Session::Session(Storm& storm, unsigned number, std::vector<std::unique_ptr<Region>> own)
    : storm_(storm),
      number_(number),
      initiator_(fmt::format("iqn.2026-11.test:storm-{}", number)),
      isid_(isid_of(number)),
      own_(std::move(own)),
      random_(storm.options.seed * 1000003 + number),
      next_generation_(Generation{number + 1} << 40 | 1) {}

void Session::fail(const std::string& what) const {
  die(fmt::format("session {}: {}", number_, what));
}

// --- Login and its end ---

void Session::connect() {
  for (;;) {
    cmd_sn_ = iscsi::CmdSn(static_cast<std::uint32_t>(0xfffffff0u + below(64)));
    wire_ = std::make_unique<Wire>(storm_.options, initiator_, isid_);
    const Clock::time_point begun = Clock::now();
    if (wire_->log_in(random_, cmd_sn_)) break;
    if (!storm_.cold_resets.may_have_hit(begun, storm_.options.patience)) fail("the target closed a login");
  }
  ++storm_.counts.logins;
  depth_ = 1 + below(kMostDepth);
  logged_out_ = leaving_ = false;
  logged_in_ = Clock::now();
  next_event_ = logged_in_ + milliseconds(50 + below(2000));
}

/// A new session in the place of the old one: when the login has succeeded, all commands of the old one have ended.
void Session::reconnect() {
  connect();
  settle_all();
}

void Session::settle_all() {
  while (!tasks_.empty()) settle(tasks_.begin(), Outcome::kUnknown);
  for (const auto& [tag, function] : functions_) {
    for (Moments* const moments : hit_by(function)) moments->end();
  }
  functions_.clear();
}

void Session::log_out() {
  // A cold reset may end the session before the logout is answered: then there is another one to be logged out.
  while (!logged_out_) {
    iscsi::LogoutRequest pdu;
    pdu.immediate = true;
    pdu.initiator_task_tag = next_tag_++;
    pdu.cmd_sn = cmd_sn_;
    pdu.exp_stat_sn = exp_stat_sn();
    wire_->send(pdu);
    leaving_ = true;
    left_ = Clock::now();
    const Clock::time_point session = logged_in_;
    while (!logged_out_ && logged_in_ == session) pump(kStepMilliseconds);
  }
  if (!wire_->ends_soon()) fail("the connection stays open after a logout");
  settle_all();
  ++storm_.counts.logouts;
}

// --- The loop ---

/// Sends and receives for a while.
void Session::pump(int wait) {
  if (!leaving_) answer_r2ts();
  const bool alive = wire_->exchange(wait);
  while (const auto pdu = wire_->next()) handle(*pdu);
  if (alive) {
    watch();
    return;
  }
  if (logged_out_) return;
  if (!storm_.cold_resets.may_have_hit(logged_in_, storm_.options.patience)) fail("the target closed the connection");
  reconnect();
}

bool Session::older(Clock::time_point when, double seconds) const {
  return Clock::now() - when > std::chrono::duration<double>(seconds * storm_.options.patience);
}

/// Commands that are late: those that a reset may have ended are asked about, as initiators do.
void Session::watch() {
  if (leaving_) {
    if (!logged_out_ && older(left_, kAnswerSeconds)) fail("a logout is not answered");
    return;
  }
  for (const auto& [tag, function] : functions_) {
    if (older(function.sent, kAnswerSeconds)) fail("a task management function is not answered");
  }
  std::vector<std::uint32_t> suspects;
  for (auto& [tag, task] : tasks_) {
    if (!older(task.sent, kSuspicionSeconds) || task.abort_sent) continue;
    if (reset_may_have_hit(task.region->lun(), task.sent)) {
      if (functions_.size() + suspects.size() >= kMostFunctions) continue;
      task.abort_sent = true;
      suspects.push_back(tag);
    } else if (older(task.sent, kAnswerSeconds)) {
      fail(fmt::format("a command to LUN {} is not answered", task.region->lun()));
    }
  }
  for (const std::uint32_t tag : suspects) manage(TaskFunction::kAbortTask, tasks_.at(tag).region->lun(), tag);
}

bool Session::reset_may_have_hit(unsigned lun, Clock::time_point when) const {
  return storm_.resets[lun].may_have_hit(when, storm_.options.patience);
}

void Session::run() {
  connect();
  while (!storm_.stop) {
    submit();
    pump(kStepMilliseconds);
    if (Clock::now() < next_event_) continue;
    next_event_ = Clock::now() + milliseconds(100 + below(3000));
    event();
  }
  wait_for_tasks();
  for (const auto& region : own_) verify(*region);
  // The shared regions are in nobody's use any more when all are here.
  ++storm_.ready;
  while (storm_.ready < storm_.options.sessions) pump(kStepMilliseconds);
  if (number_ < storm_.shared.size()) verify(*storm_.shared[number_]);
  log_out();
}

/// One of the things that disturb.
void Session::event() {
  const auto lun = static_cast<unsigned>(below(own_.size()));
  const bool resetting = std::ranges::any_of(functions_, [](const auto& entry) {
    const TaskFunction function = entry.second.function;
    return function >= TaskFunction::kLogicalUnitReset && function <= TaskFunction::kTargetColdReset;
  });
  const std::uint64_t choice = below(1000);
  if (functions_.size() >= kMostFunctions) return;
  if (choice < 400) {
    if (tasks_.empty()) return;
    const auto at = std::next(tasks_.begin(), static_cast<std::ptrdiff_t>(below(tasks_.size())));
    at->second.abort_sent = true;
    manage(TaskFunction::kAbortTask, at->second.region->lun(), at->first);
  } else if (choice < 500) {
    manage(TaskFunction::kAbortTaskSet, lun);
  } else if (choice < 570) {
    manage(TaskFunction::kClearTaskSet, lun);
  } else if (choice < 600) {
    manage(TaskFunction::kItNexusReset, lun);
  } else if (choice < 630) {
    manage(TaskFunction::kLogicalUnitReset, lun);
  } else if (choice < 640) {
    manage(TaskFunction::kTargetWarmReset, lun);
  } else if (choice < 643) {
    manage(TaskFunction::kTargetColdReset, lun);
  } else if (resetting) {
    return;  // whoever resets a unit stays until that is done, so that it is known when
  } else if (choice < 800) {
    wire_->drop(choice % 2 == 0);
    ++storm_.counts.drops;
    reconnect();
  } else if (choice < 880) {
    const std::unique_ptr<Wire> old = std::move(wire_);
    reconnect();
    if (!old->ends_soon()) fail("the connection of a session that was replaced stays open");
    ++storm_.counts.reinstatements;
  } else {
    log_out();
    connect();
  }
}

// --- The end ---

void Session::wait_for_tasks() {
  while (!tasks_.empty() || !functions_.empty()) pump(kStepMilliseconds);
}

/// Reads all of a region; again what unit attentions and resets have kept from being read.
void Session::verify(Region& region) {
  const std::uint64_t most = kVerifyBytes / region.block_size();
  for (std::uint64_t lba = region.first(); lba < region.first() + region.count();) {
    Task task;
    task.kind = Kind::kRead;
    task.region = &region;
    task.lba = lba;
    task.count = std::min(most, region.first() + region.count() - lba);
    if (!region.claim(task.lba, task.count, false)) fail("a region is in use although all commands have ended");
    const std::uint64_t reads = reads_;
    const std::uint64_t next = lba + task.count;
    start(std::move(task));
    wait_for_tasks();
    if (reads_ != reads) lba = next;
  }
}

}  // namespace peerlane::storm
