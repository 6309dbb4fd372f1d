// A session with a target (RFC 7143 §4.3), and everything that keeps it going: when its connection is lost it logs in
// again by itself, with the same ISID, and sends again what is safe to send again. Its callers notice a pause.
//
// States (session.cc logs each change):
//
//   logging in ──▶ restoring ──▶ logged in ──▶ waiting ──▶ connecting ──▶ restoring ...
//                                   ▲             │  ▲          │
//                                   │             ▼  └──────────┘ it failed: a longer wait
//                                   └───────── failed: the replacement time-out has passed; commands get errors at
//                                              once, and attempts to log in go on
//   any ──▶ closing ──▶ closed
//
// Why a write that is sent again cannot be overtaken by its own first sending: logging in with the ISID of the session
// that was lost is session reinstatement (RFC 7143 §6.3.5). The target ends the old session and all its tasks before
// the new login completes, so that whatever of the first sending reaches the disk does so before the second one is
// sent.
//
// A session belongs to one reactor, and everything here happens there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "initiator/connection.h"
#include "initiator/link.h"
#include "initiator/permits.h"
#include "initiator/request.h"
#include "io/event.h"
#include "io/interrupt.h"
#include "io/reactor.h"

namespace peerlane::initiator {

struct SessionOptions {
  LinkOptions link;
  LoginTerms login;  // an ISID of all zeroes: a random one
  ConnectionOptions connection;
  io::Duration replacement_timeout = limits::kReplacementTimeout;  // commands wait so long for a new connection
  io::Duration reconnect_least = limits::kReconnectLeast;          // first wait between two attempts
  io::Duration reconnect_most = limits::kReconnectMost;            // the longest one
  io::Duration busy_timeout = limits::kBusyTimeout;                // commands are tried again so long after BUSY
  bool tokens = true;  // whether copies are asked for by tokens, where the target has them
};

/// Something that lives on a session, and is told of what concerns it. A Lun is one.
class SessionUser {
 public:
  /// After a new login and before any command that waits: makes sure that what it knows still holds, by commands with
  /// Session::execute_now(). An error is logged; it is the user's to fail its further commands. Not called for the
  /// login that opens the session.
  virtual io::Task<Result<void>> restore() = 0;

  /// An asynchronous SCSI event of one of the target's logical units.
  virtual void scsi_event(iscsi::LunField lun, const scsi::Sense& sense) = 0;

 protected:
  SessionUser() = default;
  ~SessionUser() = default;
};

class Session final : private ConnectionHost {
 public:
  enum class State : std::uint8_t {
    kConnecting,
    kRestoring,
    kLoggedIn,
    kWaiting,
    kFailed,
    kClosing,
    kClosed,
  };

  /// Connects and logs in, once. Errors: as open_link(); EINVAL for options that contradict each other.
  static io::Task<Result<std::unique_ptr<Session>>> open(io::Reactor& reactor, SessionOptions options);
  /// Requires that close() has completed.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Executes a command, as often as it takes and as Request allows. `request` stays in place until then. A result may
  /// have any SCSI status. Errors: ECONNABORTED and others, the connection was lost, and the command may not be sent
  /// again, or there was no new connection in time; ETIMEDOUT, no answer; EPROTO, the target rejected it; ENOBUFS, too
  /// many commands wait; ECANCELED, the session is being closed; EMSGSIZE, more than 4 GiB of data; the guard's.
  io::Task<Result<ScsiResult>> execute(const Request& request);

  /// Executes a command once on the connection that there is, for SessionUser::restore(). One at a time.
  io::Task<Result<ScsiResult>> execute_now(const Request& request);

  /// LOGICAL UNIT RESET, or another task management function on `lun` that refers to no task. Errors: the connection
  /// was lost; the guard's; ENOTSUP and others, as the target answers.
  io::Task<Result<void>> manage(iscsi::TaskFunction function, iscsi::LunField lun, UnitGuard& guard);

  /// Logs out, and waits until nothing is under way. Commands that wait for a connection fail with ECANCELED. Once.
  io::Task<void> close();

  void attach(SessionUser& user);
  void detach(SessionUser& user);
  bool has_users() const { return !users_.empty(); }

  /// A number for a third-party copy of this I_T nexus: its list identifier (SPC-4 §6.4.3.1). Another one each time.
  std::uint32_t next_copy() { return ++copies_; }

  State state() const { return state_; }
  io::Reactor& reactor() const { return reactor_; }
  const SessionOptions& options() const { return options_; }
  /// Of the login that was last.
  const LoginOutcome& login() const { return login_; }
  /// How often the session has been logged in to again.
  unsigned reconnects() const { return reconnects_; }
  /// "iqn... (ISID ...) at iqn...", for log lines.
  const std::string& name() const { return name_; }

 private:
  Session(io::Reactor& reactor, SessionOptions options);

  struct Tries;
  io::Task<void> run();
  io::Task<void> serve(Link& link);
  io::Task<void> restore(Connection& connection);
  io::Task<Result<void>> wait_for_login();
  io::Task<bool> try_again(const Request& request, const Outcome& outcome, Tries& tries);
  io::Task<void> pause(io::Duration delay);
  io::Duration next_delay();
  Error no_connection() const;
  void set_state(State state, std::string_view why = {});
  void lost(const Error& why);
  void expire();
  void scsi_event(iscsi::LunField lun, const scsi::Sense& sense) override;

  io::Reactor& reactor_;
  SessionOptions options_;
  std::string name_;
  State state_ = State::kConnecting;
  LoginOutcome login_;
  Link link_;
  std::unique_ptr<Connection> connection_;
  Error last_error_{ENOTCONN, {}};
  std::vector<SessionUser*> users_;
  Permits permits_;
  unsigned waiting_ = 0;  // commands
  unsigned reconnects_ = 0;
  std::uint32_t copies_ = 0;    // third-party copies that were given a number
  io::Duration least_wait_{0};  // before the next attempt, as the target asked (Time2Wait)
  unsigned attempts_ = 0;       // to log in, since the connection was lost
  io::Timer replacement_;
  io::Event changed_;  // the state
  io::Event closing_;
  io::Interrupt connecting_;
  io::Event pauses_;
  io::Gate commands_;
  io::Gate background_;
};

/// The names of the states, as the log has them.
std::string_view name(Session::State state);

}  // namespace peerlane::initiator
