// A TCP connection on which a login has succeeded, and how to get one: look up, connect, log in, follow where a target
// has moved to (RFC 7143 §11.13.5), each step within a time limit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/limits.h"
#include "initiator/login.h"
#include "io/interrupt.h"
#include "io/reactor.h"
#include "io/socket_stream.h"
#include "io/task.h"
#include "transport/pdu_reader.h"

namespace peerlane::initiator {

/// Where a target is, and how long it may take to get there.
struct LinkOptions {
  std::string host;  // a name, or a numeric address without brackets
  std::uint16_t port = 3260;
  io::Duration connect_timeout = limits::kConnectTimeout;
  io::Duration login_timeout = limits::kLoginTimeout;
  bool follow = true;  // to where the target says that it has moved; otherwise that is EREMCHG
};

struct Link {
  std::unique_ptr<io::SocketStream> stream;  // to be closed before the link goes
  std::unique_ptr<transport::PduReader> reader;
  LoginOutcome login;
};

/// Opens a link. Where the target says that it has moved for good, `options` has its new place afterwards. `terms` and
/// `options` stay in place until the task has ended. Errors: a sentence that says what to do; ENOENT, ECONNREFUSED,
/// ETIMEDOUT and other errors of connecting, EACCES and others of the login; ECANCELED, `interrupt` was raised (it may
/// be null).
///
/// tgt and its relatives take CHAP algorithm 7, SHA-256, for SHA-1, and refuse the answer as malformed: a login that
/// ends so is tried again without it.
io::Task<Result<Link>> open_link(io::Reactor& reactor, LinkOptions& options, LoginTerms& terms,
                                 io::Interrupt* interrupt = nullptr);

/// Makes a login over `stream`; who wants a time limit shuts the stream down. `refusal` says more of an error, such as
/// where the target has moved to. What is referred to stays in place until the task has ended.
io::Task<Result<LoginOutcome>> log_in(io::Stream& stream, transport::PduReader& reader, const LoginTerms& terms,
                                      iscsi::RandomSource& random, LoginRefusal& refusal);

}  // namespace peerlane::initiator
