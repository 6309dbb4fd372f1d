#include "cli/disks.h"

#include <cerrno>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "initiator/credentials.h"
#include "initiator/disk.h"
#include "initiator/multipath.h"
#include "io/reactor.h"

namespace peerlane::cli {
namespace {

constexpr const char* kScheme = "iscsi://";

/// What a session to the URL's target is opened with.
Result<initiator::SessionOptions> options_for(const iscsi::Url& url, const RemoteOptions& options) {
  initiator::SessionOptions session;
  session.login.isid = options.isid;
  session.connection.depth = options.depth;
  if (const auto text = url.option("isid"); !text.empty()) {
    const auto isid = parse_isid(text);
    if (!isid) return std::unexpected(isid.error());
    session.login.isid = *isid;
  }
  return initiator::session_options_for(url, std::move(session), initiator::process_environment);
}

Result<initiator::DiskOptions> disk_options_for(const iscsi::Url& url, const RemoteOptions& options) {
  auto session = options_for(url, options);
  if (!session) return std::unexpected(std::move(session.error()));
  initiator::DiskOptions disk;
  disk.session = std::move(*session);
  disk.lun.read_only = options.read_only;
  disk.lun.without_size = options.without_size;
  return disk;
}

}  // namespace

bool is_path(const std::string& spec) {
  return !spec.starts_with("ram:") && spec.find("://") == std::string::npos;
}

bool is_remote(const std::string& spec) {
  return spec.starts_with(kScheme);
}

Result<iscsi::Isid> parse_isid(std::string_view text) {
  std::uint64_t value = 0;
  iscsi::Isid isid{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 2 * isid.size() || error != std::errc() || end != text.data() + text.size() || value == 0) {
    return fail(EINVAL, fmt::format("isid={}: an ISID is 12 hexadecimal digits, such as 80504c000001", text));
  }
  for (std::size_t i = 0; i < isid.size(); ++i) {
    isid[i] = static_cast<std::uint8_t>(value >> (8 * (isid.size() - 1 - i)));
  }
  return isid;
}

Result<iscsi::Url> parse_disk_url(const std::string& spec) {
  if (!is_remote(spec)) {
    return fail(EINVAL,
                fmt::format("{} is no logical unit of a target: give iscsi://host[:port]/target-name/lun", spec));
  }
  auto url = iscsi::parse_url(spec);
  if (url && url->target.empty()) {
    return fail(EINVAL, fmt::format("{} names no target: give iscsi://host[:port]/target-name/lun; `peerlane discover "
                                    "{}` shows what is there",
                                    iscsi::to_string(*url), url->host));
  }
  return url;
}

io::Task<Result<std::unique_ptr<initiator::Session>>> log_in(iscsi::Url url, RemoteOptions options) {
  auto session_options = options_for(url, options);
  if (!session_options) co_return std::unexpected(std::move(session_options.error()));
  auto opening = initiator::Session::open(io::Reactor::current(), std::move(*session_options));
  auto session = co_await std::move(opening);
  co_return session;
}

io::Task<Result<std::unique_ptr<initiator::Lun>>> open_one_path(std::string spec, RemoteOptions options) {
  auto url = parse_disk_url(spec);
  if (!url) co_return std::unexpected(std::move(url.error()));
  auto disk = disk_options_for(*url, options);
  if (!disk) co_return std::unexpected(std::move(disk.error()));
  auto opening = initiator::open_disk(io::Reactor::current(), std::move(*url), std::move(*disk));
  auto lun = co_await std::move(opening);
  co_return lun;
}

io::Task<Result<std::unique_ptr<block::Device>>> open_remote_disk(std::string spec, RemoteOptions options) {
  auto url = parse_disk_url(spec);
  if (!url) co_return std::unexpected(std::move(url.error()));
  auto disk = disk_options_for(*url, options);
  if (!disk) co_return std::unexpected(std::move(disk.error()));
  auto opening = initiator::open_device(io::Reactor::current(), std::move(*url), std::move(*disk));
  auto device = co_await std::move(opening);
  co_return device;
}

io::Task<Result<std::unique_ptr<block::Device>>> open_disk(std::string spec, block::OpenOptions options) {
  if (is_remote(spec)) {
    RemoteOptions remote;
    remote.read_only = options.read_only;
    auto opening = open_remote_disk(std::move(spec), remote);
    auto device = co_await std::move(opening);
    co_return device;
  }
  if (!is_path(spec) && !spec.starts_with("ram:")) {
    co_return fail(ENOTSUP, fmt::format("this build has no disks of the kind \"{}\"; name a file, a block device, "
                                        "ram:SIZE, or iscsi://host[:port]/target-name/lun",
                                        spec.substr(0, spec.find("://") + 3)));
  }
  co_return block::open_device(spec, options);
}

}  // namespace peerlane::cli
