// The nbdkit plugin: `nbdkit peerlane iscsi://host/target-name/lun` offers a remote logical unit to NBD clients.
//
// Each NBD connection opens the disk for itself, a session with a thread of its own, so that a client with several
// connections uses several sessions. A flush in any of them is one of the whole logical unit, which is what multi-conn
// promises (nothing is cached here).
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "initiator/blocking.h"
#include "nbdkit/settings.h"

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace {

using namespace peerlane;
using block::BlockingDevice;

nbdkit::Settings& settings() {
  static nbdkit::Settings instance;
  return instance;
}

/// Tells nbdkit, its log and the client.
int refuse(const Error& error) {
  nbdkit_error("%s", error.text().c_str());
  nbdkit_set_error(error.code > 0 ? error.code : EIO);
  return -1;
}

int outcome(const Result<void>& result) {
  return result ? 0 : refuse(result.error());
}

/// The disk of a connection, and what does not change while it is open.
struct Connection {
  std::unique_ptr<BlockingDevice> device;
  block::Capabilities can;
};

Connection& connection(void* handle) {
  return *static_cast<Connection*>(handle);
}

// --- Settings ---

int config(const char* key, const char* value) {
  if (std::string_view(key) != "chap-secret" && std::string_view(key) != "target-chap-secret") {
    return outcome(settings().set(key, value));
  }
  // As nbdkit's own plugins have it: a text, "-" to be asked for it, "+FILE", or "-FD".
  char* secret = nullptr;
  if (nbdkit_read_password(value, &secret) == -1) return -1;
  const std::unique_ptr<char, decltype(&std::free)> owned(secret, &std::free);
  return outcome(settings().set(key, secret));
}

int config_complete() {
  return outcome(settings().complete());
}

/// Before nbdkit says that it is ready, and goes to the background: whether the disk is there. A wrong name or secret
/// is better told to who starts nbdkit than to its clients.
int get_ready() {
  log::init(log::Level::kWarning, false);
  if (!settings().check) return 0;
  auto disk = settings().open(true);
  if (!disk) return refuse(disk.error());
  return outcome((*disk)->close());
}

// --- Connections ---

void* open_disk(int readonly) {
  auto device = settings().open(readonly != 0);
  if (!device) {
    refuse(device.error());
    return nullptr;
  }
  const block::Capabilities can = (*device)->capabilities();
  return new Connection{std::move(*device), can};
}

void close_disk(void* handle) {
  const std::unique_ptr<Connection> owned(&connection(handle));
  if (auto closed = owned->device->close(); !closed) nbdkit_error("%s", closed.error().text().c_str());
}

std::int64_t get_size(void* handle) {
  return static_cast<std::int64_t>(connection(handle).device->geometry().size);
}

int block_size(void* handle, std::uint32_t* minimum, std::uint32_t* preferred, std::uint32_t* maximum) {
  const block::Geometry shape = connection(handle).device->geometry();
  *minimum = shape.logical_block_size;
  *preferred = std::max<std::uint32_t>(shape.physical_block_size, 4096);
  *maximum = std::numeric_limits<std::uint32_t>::max();  // long requests are split here
  return 0;
}

int can_write(void* handle) {
  return connection(handle).can.read_only ? 0 : 1;
}
int can_flush(void*) {
  return 1;
}
int can_trim(void* handle) {
  return connection(handle).can.unmap ? 1 : 0;
}
/// Without it nbdkit writes zeroes by itself.
int can_zero(void* handle) {
  return connection(handle).can.write_zeroes ? 1 : 0;
}
int can_fast_zero(void* handle) {
  return can_zero(handle);
}
int can_fua(void*) {
  return NBDKIT_FUA_NATIVE;
}
int can_multi_conn(void*) {
  return 1;
}
int can_extents(void* handle) {
  return connection(handle).can.allocation ? 1 : 0;
}
/// Reading ahead of time is of use where the disk remembers what was read; nbdkit then reads and throws away.
int can_cache(void* handle) {
  return connection(handle).can.prefetch ? NBDKIT_CACHE_EMULATE : NBDKIT_CACHE_NONE;
}

// --- Requests ---

int pread(void* handle, void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t) {
  return outcome(connection(handle).device->read(offset, {static_cast<std::uint8_t*>(buffer), count}));
}

int pwrite(void* handle, const void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  const auto how = (flags & NBDKIT_FLAG_FUA) != 0 ? block::WriteFlags::kFua : block::WriteFlags::kNone;
  return outcome(connection(handle).device->write(offset, {static_cast<const std::uint8_t*>(buffer), count}, how));
}

int flush(void* handle, std::uint32_t) {
  return outcome(connection(handle).device->flush());
}

/// Trimming and zeroing have no FUA of their own: they are flushed after.
int and_flush(Connection& disk, Result<void> done, std::uint32_t flags) {
  if (done && (flags & NBDKIT_FLAG_FUA) != 0) done = disk.device->flush();
  return outcome(done);
}

int trim(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  Connection& disk = connection(handle);
  return and_flush(disk, disk.device->unmap(offset, count), flags);
}

int zero(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  Connection& disk = connection(handle);
  const bool may_unmap = (flags & NBDKIT_FLAG_MAY_TRIM) != 0;
  return and_flush(disk, disk.device->write_zeroes(offset, count, may_unmap), flags);
}

int extents(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t flags, struct nbdkit_extents* into) {
  Connection& disk = connection(handle);
  // A client may ask for any bytes; blocks around them are known.
  const block::Geometry shape = disk.device->geometry();
  const std::uint64_t first = offset - offset % shape.logical_block_size;
  const std::uint64_t asked = offset + count - first;
  const std::uint64_t length = std::min(asked + (shape.size - asked) % shape.logical_block_size, shape.size - first);
  const std::size_t most = (flags & NBDKIT_FLAG_REQ_ONE) != 0 ? 1 : limits::kNbdExtents;
  const auto found = disk.device->allocation(first, length, most);
  if (!found) return refuse(found.error());
  for (const block::Extent& extent : *found) {
    const std::uint32_t type = extent.allocated ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
    if (nbdkit_add_extent(into, extent.offset, extent.length, type) == -1) return -1;
  }
  return 0;
}

constinit struct nbdkit_plugin plugin = [] {
  struct nbdkit_plugin made{};
  made.name = "peerlane";
  made.longname = "Peerlane: logical units of iSCSI targets";
  made.version = PEERLANE_VERSION;
  made.description = "Offers a logical unit of an iSCSI target, reached without kernel modules.";
  made.magic_config_key = "url";
  made.config_help = nbdkit::kHelp;
  made.config = config;
  made.config_complete = config_complete;
  made.get_ready = get_ready;
  made.open = open_disk;
  made.close = close_disk;
  made.get_size = get_size;
  made.block_size = block_size;
  made.can_write = can_write;
  made.can_flush = can_flush;
  made.can_trim = can_trim;
  made.can_zero = can_zero;
  made.can_fast_zero = can_fast_zero;
  made.can_fua = can_fua;
  made.can_multi_conn = can_multi_conn;
  made.can_extents = can_extents;
  made.can_cache = can_cache;
  made.pread = pread;
  made.pwrite = pwrite;
  made.flush = flush;
  made.trim = trim;
  made.zero = zero;
  made.extents = extents;
  return made;
}();

}  // namespace

NBDKIT_REGISTER_PLUGIN(plugin)
