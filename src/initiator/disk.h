// A remote disk by its URL: one call from "iscsi://..." to a block::Device.
#pragma once

#include <memory>

#include "base/error.h"
#include "initiator/credentials.h"
#include "initiator/lun.h"
#include "initiator/session.h"
#include "io/reactor.h"
#include "iscsi/url.h"

namespace peerlane::initiator {

struct DiskOptions {
  SessionOptions session;  // host, port, names and accounts are filled in
  LunOptions lun;          // its spec likewise
  Environment environment = process_environment;
};

/// What a session to the URL's portal and target needs: its place, names, accounts, and the options header_digest and
/// data_digest (none, accept, prefer, require) and tokens (yes, no) of the URL. What `options` says already stays.
/// Errors, EINVAL and others, with a sentence.
Result<SessionOptions> session_options_for(const iscsi::Url& url, SessionOptions options,
                                           const Environment& environment);

/// Logs in to the URL's target and opens its LUN. Runs on `reactor`, which is the disk's home; the disk has a session
/// of its own. Errors: sentences that say what to do next; see open_link(), Lun::open() and credentials_for().
io::Task<Result<std::unique_ptr<Lun>>> open_disk(io::Reactor& reactor, iscsi::Url url, DiskOptions options);

}  // namespace peerlane::initiator
