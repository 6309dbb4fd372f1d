// The C interface: arguments are checked and made values of C++, errors become errno values and a text of the thread.

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "capi/disk_options.h"
#include "capi/peerlane/peerlane.h"
#include "initiator/blocking.h"

struct peerlane_disk {
  std::unique_ptr<peerlane::block::BlockingDevice> device;
};

namespace {

using namespace peerlane;

std::string& error_text() {
  thread_local std::string text;
  return text;
}

int refuse(int code, std::string text) {
  error_text() = std::move(text);
  return -code;
}

int refuse(const Error& error) {
  return refuse(error.code > 0 ? error.code : EIO, error.text());
}

int outcome(const Result<void>& result) {
  return result ? 0 : refuse(result.error());
}

/// A library is silent but for what needs somebody's attention, unless PEERLANE_LOG asks for more or for less.
void choose_log_level() {
  static std::once_flag once;
  std::call_once(once, [] {
    const std::string wanted = initiator::process_environment("PEERLANE_LOG").value_or("warning");
    auto level = log::Level::kWarning;
    if (wanted == "debug") level = log::Level::kDebug;
    if (wanted == "info") level = log::Level::kInfo;
    if (wanted == "error") level = log::Level::kError;
    log::init(level, false);
  });
}

/// Runs a call. Exceptions, of memory that is exhausted, do not reach C.
template <typename Do>
auto guarded(Do work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    return refuse(ENOMEM, error.what());
  }
}

/// The same for a call that needs a disk.
template <typename Do>
auto with_disk(peerlane_disk* disk, Do work) -> decltype(work(*disk->device)) {
  if (disk == nullptr) return refuse(EINVAL, "the disk is NULL: it was not opened");
  return guarded([&] { return work(*disk->device); });
}

/// A buffer from C must be there, and no larger than memory can be.
int check_buffer(const void* buffer, std::size_t count) {
  if (buffer == nullptr && count != 0) return refuse(EINVAL, "the buffer is NULL");
  if (count > PTRDIFF_MAX) return refuse(EINVAL, "the buffer is larger than memory can be");
  return 0;
}

int check_flags(std::uint32_t flags, std::uint32_t known) {
  if ((flags & ~known) != 0) return refuse(EINVAL, "flags that this call does not have");
  return 0;
}

std::uint32_t capabilities_of(const block::Capabilities& can) {
  std::uint32_t flags = 0;
  if (!can.read_only) flags |= PEERLANE_CAN_WRITE;
  if (can.unmap) flags |= PEERLANE_CAN_DISCARD;
  if (can.write_zeroes) flags |= PEERLANE_CAN_ZERO;
  if (can.allocation) flags |= PEERLANE_CAN_EXTENTS;
  if (can.volatile_cache) flags |= PEERLANE_HAS_WRITE_CACHE;
  if (can.fua) flags |= PEERLANE_CAN_FUA;
  return flags;
}

peerlane_info info_of(const block::BlockingDevice& device) {
  const block::Geometry shape = device.geometry();
  const block::Capabilities can = device.capabilities();
  const std::string identity = device.identity().stable;
  peerlane_info info{};
  info.size = shape.size;
  info.block_size = shape.logical_block_size;
  info.physical_block_size = shape.physical_block_size;
  info.capabilities = capabilities_of(can);
  info.discard_granularity = can.unmap_granularity;
  identity.copy(info.identity, sizeof info.identity - 1);
  return info;
}

}  // namespace

extern "C" {

int peerlane_open(const char* url, const peerlane_options* options, peerlane_disk** disk) {
  if (disk == nullptr) return refuse(EINVAL, "there is no place for the disk: it is NULL");
  *disk = nullptr;
  if (url == nullptr) return refuse(EINVAL, "the URL is NULL");
  return guarded([&] {
    choose_log_level();
    auto wanted = capi::disk_options(options);
    if (!wanted) return refuse(wanted.error());
    auto device = initiator::open_blocking(url, std::move(*wanted));
    if (!device) return refuse(device.error());
    *disk = new peerlane_disk{std::move(*device)};
    return 0;
  });
}

int peerlane_close(peerlane_disk* disk) {
  if (disk == nullptr) return 0;
  const std::unique_ptr<peerlane_disk> owned(disk);
  return guarded([&] { return outcome(owned->device->close()); });
}

int peerlane_get_info(peerlane_disk* disk, peerlane_info* info) {
  return with_disk(disk, [&](const block::BlockingDevice& device) {
    constexpr std::size_t kLeast = offsetof(peerlane_info, block_size);
    if (info == nullptr) return refuse(EINVAL, "there is no place for the information: it is NULL");
    if (info->struct_size < kLeast || info->struct_size > limits::kCStructBytes)
      return refuse(EINVAL, "struct_size is to be sizeof(peerlane_info)");
    peerlane_info told = info_of(device);
    told.struct_size = info->struct_size;
    // What a newer program has room for and we do not know is zero.
    std::memset(info, 0, told.struct_size);
    std::memcpy(info, &told, std::min(told.struct_size, sizeof told));
    return 0;
  });
}

int64_t peerlane_size(peerlane_disk* disk) {
  if (disk == nullptr) return refuse(EINVAL, "the disk is NULL: it was not opened");
  return static_cast<int64_t>(disk->device->geometry().size);
}

int peerlane_refresh_size(peerlane_disk* disk) {
  return with_disk(disk, [](block::BlockingDevice& device) {
    const auto changed = device.refresh_size();
    return changed ? static_cast<int>(*changed) : refuse(changed.error());
  });
}

int peerlane_pread(peerlane_disk* disk, void* buffer, size_t count, uint64_t offset) {
  return with_disk(disk, [&](block::BlockingDevice& device) {
    if (const int wrong = check_buffer(buffer, count); wrong != 0) return wrong;
    return outcome(device.read(offset, {static_cast<std::uint8_t*>(buffer), count}));
  });
}

int peerlane_pwrite(peerlane_disk* disk, const void* buffer, size_t count, uint64_t offset, uint32_t flags) {
  return with_disk(disk, [&](block::BlockingDevice& device) {
    if (const int wrong = check_buffer(buffer, count); wrong != 0) return wrong;
    if (const int wrong = check_flags(flags, PEERLANE_FUA); wrong != 0) return wrong;
    const auto how = (flags & PEERLANE_FUA) != 0 ? block::WriteFlags::kFua : block::WriteFlags::kNone;
    return outcome(device.write(offset, {static_cast<const std::uint8_t*>(buffer), count}, how));
  });
}

int peerlane_flush(peerlane_disk* disk) {
  return with_disk(disk, [](block::BlockingDevice& device) { return outcome(device.flush()); });
}

int peerlane_discard(peerlane_disk* disk, uint64_t offset, uint64_t length) {
  return with_disk(disk, [&](block::BlockingDevice& device) { return outcome(device.unmap(offset, length)); });
}

int peerlane_zero(peerlane_disk* disk, uint64_t offset, uint64_t length, uint32_t flags) {
  return with_disk(disk, [&](block::BlockingDevice& device) {
    if (const int wrong = check_flags(flags, PEERLANE_FUA | PEERLANE_MAY_DISCARD); wrong != 0) return wrong;
    auto zeroed = device.write_zeroes(offset, length, (flags & PEERLANE_MAY_DISCARD) != 0);
    if (zeroed && (flags & PEERLANE_FUA) != 0) zeroed = device.flush();
    return outcome(zeroed);
  });
}

int peerlane_extents(peerlane_disk* disk, uint64_t offset, uint64_t length, peerlane_extent* extents, size_t most) {
  return with_disk(disk, [&](block::BlockingDevice& device) {
    if (const int wrong = check_buffer(extents, most); wrong != 0) return wrong;
    const auto found = device.allocation(offset, length, std::min<std::size_t>(most, INT_MAX));
    if (!found) return refuse(found.error());
    const auto as_c = [](const block::Extent& extent) {
      return peerlane_extent{extent.offset, extent.length, extent.allocated ? 1u : 0u, 0};
    };
    std::ranges::transform(*found, extents, as_c);
    return static_cast<int>(found->size());
  });
}

const char* peerlane_error_text(void) {
  return error_text().c_str();
}

const char* peerlane_version(void) {
  return PEERLANE_VERSION;
}

}  // extern "C"
