#include "cli/attach_disk.h"

#include <utility>
#include <vector>

#include "base/log.h"
#include "cli/disks.h"
#include "initiator/multipath.h"
#include "iscsi/url.h"

namespace peerlane::cli {
namespace {

using OpenedLun = Result<std::unique_ptr<initiator::Lun>>;
using OpenedDisk = Result<std::unique_ptr<block::Device>>;

io::Task<void> open_lun(const std::string& spec, bool read_only, OpenedLun& result) {
  RemoteOptions options;
  options.read_only = read_only;
  std::string own_spec = spec;
  auto opening = open_one_path(std::move(own_spec), options);
  result = co_await std::move(opening);
}

io::Task<void> open_any(const std::string& spec, const block::OpenOptions& options, OpenedDisk& result) {
  std::string own_spec = spec;
  auto opening = open_disk(std::move(own_spec), options);
  result = co_await std::move(opening);
}

io::Task<void> close_device(block::Device& device) {
  auto closing = device.close();
  const auto closed = co_await std::move(closing);
  if (!closed) log::error("closing the disk: {}", closed.error().text());
}

/// A session of its own for each thread.
OpenedDisk open_on_each(const attach::ReactorThreads& threads, const std::string& spec, bool read_only) {
  std::vector<std::unique_ptr<initiator::Lun>> luns;
  for (std::size_t i = 0; i < threads.count(); ++i) {
    OpenedLun opened;
    threads.run(i, [&] { return open_lun(spec, read_only, opened); });
    if (!opened && luns.empty()) return std::unexpected(std::move(opened.error()));
    if (!opened) {
      log::warning("going on with {} of {} sessions: {}", luns.size(), threads.count(), opened.error().text());
      break;
    }
    luns.push_back(std::move(*opened));
  }
  if (luns.size() == 1) return std::move(luns.front());
  const initiator::MultipathOptions options;
  auto joined = initiator::Multipath::join(luns, options);
  if (joined) return std::move(*joined);
  // Sessions with a logical unit that does not say who it is are not mixed.
  log::warning("going on with one session: {}", joined.error().text());
  for (std::size_t i = 1; i < luns.size(); ++i) {
    threads.run(i, [&] { return close_device(*luns[i]); });
  }
  return std::move(luns.front());
}

/// Whether a URL says itself which sessions there are to be.
bool names_its_paths(const std::string& spec) {
  const auto url = iscsi::parse_url(spec);
  return url && !(url->option("paths").empty() && url->option("sessions").empty());
}

}  // namespace

Result<std::unique_ptr<DiskOnThreads>> DiskOnThreads::open(attach::ReactorThreads& threads, const std::string& spec,
                                                           const block::OpenOptions& options) {
  OpenedDisk device;
  if (is_remote(spec) && !names_its_paths(spec)) {
    device = open_on_each(threads, spec, options.read_only);
  } else {
    threads.run(0, [&] { return open_any(spec, options, device); });
  }
  if (!device) return std::unexpected(std::move(device.error()));
  return std::unique_ptr<DiskOnThreads>(new DiskOnThreads(threads, std::move(*device)));
}

DiskOnThreads::~DiskOnThreads() {
  threads_.run(0, [this] { return close_device(*device_); });
}

void DiskOnThreads::refresh_size() const {
  threads_.run(0, [this]() -> io::Task<void> {
    if (const auto refreshed = device_->refresh_size(); !refreshed) {
      log::warning("{}: its size cannot be found out: {}", device_->identity().spec, refreshed.error().text());
    }
    return io::ready();
  });
}

}  // namespace peerlane::cli
