// How a disk on a command line becomes a block::Device.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/limits.h"
#include "block/device.h"
#include "initiator/lun.h"
#include "initiator/session.h"
#include "io/task.h"
#include "iscsi/pdu_control.h"
#include "iscsi/url.h"

namespace peerlane::cli {

/// Opens a disk by its spec, on the reactor that will use it: a PATH of a file or block device, ram:SIZE, or an
/// iscsi:// URL. The error is a sentence for the user.
io::Task<Result<std::unique_ptr<block::Device>>> open_disk(std::string spec, block::OpenOptions options);

/// Whether a spec is a path, and not a disk of another kind.
bool is_path(const std::string& spec);

// --- Logical units of targets ---

/// Whether a spec is an iscsi:// URL.
bool is_remote(const std::string& spec);

struct RemoteOptions {
  unsigned depth = limits::kInitiatorQueueDepth;  // commands under way, at most
  bool read_only = false;
  bool without_size = false;  // open it even if a reservation keeps it from telling its size
  iscsi::Isid isid{};         // if the URL has none; all zeroes: a random one
};

/// Logs in to the target of an iscsi:// URL: accounts as initiator/credentials.h says, and the URL's option "isid", 12
/// hexadecimal digits, for who must be the same initiator port again. The URL names a target. The error is a sentence
/// for the user.
io::Task<Result<std::unique_ptr<initiator::Session>>> log_in(iscsi::Url url, RemoteOptions options);

/// Logs in and opens the logical unit on one path. The session is its own.
io::Task<Result<std::unique_ptr<initiator::Lun>>> open_one_path(std::string spec, RemoteOptions options);

/// The same on as many paths as the URL's options "paths" and "sessions" say: an initiator::Lun without them, with them
/// an initiator::Multipath, whose sessions have random ISIDs.
io::Task<Result<std::unique_ptr<block::Device>>> open_remote_disk(std::string spec, RemoteOptions options);

/// Reads the URL of a logical unit. Errors: EINVAL, with a sentence that says what to give.
Result<iscsi::Url> parse_disk_url(const std::string& spec);

/// The ISID of 12 hexadecimal digits (RFC 7143 §11.12.5). Errors: EINVAL, with a sentence.
Result<iscsi::Isid> parse_isid(std::string_view text);

}  // namespace peerlane::cli
