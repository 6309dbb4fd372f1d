#include "cli/copy_ends.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block/descriptor_device.h"
#include "block/whole_file_device.h"
#include "cli/disks.h"
#include "copy/stream.h"

namespace peerlane::cli {
namespace {

using block::WholeFileDevice;
using Growth = WholeFileDevice::Growth;

constexpr std::uint64_t kEndless = std::uint64_t{1} << 62;

/// What a path names.
enum class Kind : unsigned char { kMissing, kFile, kDevice, kOther };

struct Found {
  Kind kind = Kind::kMissing;
  dev_t device = 0;      // its number, if it is one
  struct stat status{};  // of a loop device (`looped`): that of the file behind it
  bool looped = false;
};

/// The file that a loop device, or a partition of one, shows; empty if the device is another.
std::string backing_file(dev_t device) {
  for (const char* where : {"loop", "../loop"}) {
    std::ifstream name(fmt::format("/sys/dev/block/{}:{}/{}/backing_file", major(device), minor(device), where));
    std::string path;
    if (std::getline(name, path)) return path;
  }
  return {};
}

Found look_at(const std::string& path) {
  Found found;
  if (stat(path.c_str(), &found.status) != 0) {
    found.kind = errno == ENOENT ? Kind::kMissing : Kind::kOther;
  } else if (S_ISREG(found.status.st_mode)) {
    found.kind = Kind::kFile;
  } else {
    found.kind = S_ISBLK(found.status.st_mode) ? Kind::kDevice : Kind::kOther;
  }
  if (found.kind != Kind::kDevice) return found;
  found.device = found.status.st_rdev;
  struct stat backing{};
  found.looped = stat(backing_file(found.device).c_str(), &backing) == 0;
  if (found.looped) found.status = backing;
  return found;
}

/// A file and a loop device on it.
bool one_behind_the_other(const Found& a, const Found& b) {
  const bool both_files = (a.kind == Kind::kFile || a.looped) && (b.kind == Kind::kFile || b.looped);
  return a.looped != b.looped && both_files && a.status.st_dev == b.status.st_dev && a.status.st_ino == b.status.st_ino;
}

bool same(const Found& a, const Found& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == Kind::kFile) return a.status.st_dev == b.status.st_dev && a.status.st_ino == b.status.st_ino;
  return a.kind == Kind::kDevice && a.device == b.device;
}

/// What tells a disk from another one of its name; empty for what is gone with the program.
std::string identity_of(const block::Device& device) {
  const std::string stable = device.identity().stable;
  return stable.empty() ? stable : fmt::format("{} {}", stable, device.geometry().size);
}

/// A new file in a directory that nobody sees, or for a moment only. Of the file systems with a server, most make none
/// without a name.
block::Descriptor open_nameless(const std::string& directory) {
  const int nameless = ::open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  if (nameless >= 0 || errno != EOPNOTSUPP) return block::Descriptor(nameless);
  std::string name = directory + "/.peerlane-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return block::Descriptor(named);
}

Result<void> keep_name_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const block::Descriptor directory(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0 && fsync(directory.get()) == 0) return {};
  return std::unexpected(Error::from_errno(errno, "cannot bring the directory of " + path + " to stable storage"));
}

Result<std::unique_ptr<WholeFileDevice>> open_file(const std::string& path, const std::string& name,
                                                   const block::OpenOptions& options, Growth growth) {
  auto file = WholeFileDevice::open(path, options, growth);
  if (file) return file;
  // Sentences there speak of serving a disk.
  const int code = file.error().code;
  const char* const why =
      code == EBUSY ? "another program has it open for writing, or reads what is to be written" : std::strerror(code);
  return fail(code, fmt::format("cannot open {}: {}", name, why));
}

}  // namespace

/// Opens the ends, source first.
class CopyEnds::Opener {
 public:
  Opener(CopyEnds& ends, const CopyArguments& arguments, const copy::PlanOptions& plan)
      : ends_(ends), arguments_(arguments), plan_(plan) {}

  io::Task<Result<void>> run() {
    if (is_disk(arguments_.source)) source_found_ = look_at(arguments_.source);
    if (is_disk(arguments_.destination)) destination_found_ = look_at(arguments_.destination);
    const bool one_disk = same(source_found_, destination_found_);
    const bool moves_inside = !arguments_.destination_offset.empty() && plan_.source_offset != plan_.destination_offset;
    if (one_disk && !moves_inside) co_return refuse_same();
    if (one_behind_the_other(source_found_, destination_found_)) co_return refuse_same();
    auto opened = co_await open_source(one_disk);
    if (!opened) co_return opened;
    if (one_disk) co_return use_source_as_destination();
    opened = co_await open_destination();
    if (!opened) co_return opened;
    const std::string& stable = ends_.source_.device->identity().stable;
    if (!stable.empty() && stable == ends_.destination_.device->identity().stable) co_return refuse_same();
    co_return Result<void>();
  }

 private:
  static bool is_disk(const std::string& spec) { return spec != "-" && is_path(spec); }

  Result<void> refuse_same() const {
    return fail(EINVAL, fmt::format("{} and {} are the same disk; give a --destination-offset other than the "
                                    "--offset to copy inside it",
                                    arguments_.source, arguments_.destination));
  }

  block::OpenOptions open_options(bool read_only) const {
    return {.logical_block_size = 0,
            .read_only = read_only,
            .direct = !arguments_.no_direct,
            .exclusive = !arguments_.force};
  }

  // --- Source ---

  io::Task<Result<void>> open_source(bool writable) {
    copy::End& end = ends_.source_;
    end.name = arguments_.source;
    if (arguments_.source == "-") {
      auto stream = std::make_unique<copy::StreamSource>(STDIN_FILENO);
      end.name = "standard input";
      end.stream = stream.get();
      end.size = kEndless;
      ends_.source_device_ = std::move(stream);
    } else if (source_found_.kind == Kind::kFile) {
      auto file = open_file(arguments_.source, end.name, open_options(!writable), Growth::kFixed);
      if (!file) co_return std::unexpected(file.error());
      end.size = (*file)->bytes();
      end.identity =
          writable ? "" : fmt::format("file {} {} {}", (*file)->file_identity(), end.size, (*file)->version());
      ends_.source_device_ = std::move(*file);
    } else {
      if (is_disk(arguments_.source) && source_found_.kind == Kind::kMissing) co_return missing(arguments_.source);
      const block::OpenOptions options = open_options(!writable);
      auto disk = co_await open_disk(arguments_.source, options);
      if (!disk) co_return std::unexpected(disk.error());
      end.size = (*disk)->geometry().size;
      end.identity = writable ? "" : identity_of(**disk);
      ends_.source_device_ = std::move(*disk);
    }
    end.device = ends_.source_device_.get();
    co_return Result<void>();
  }

  static Result<void> missing(const std::string& path) {
    return fail(ENOENT, fmt::format("cannot open {}: {}", path, std::strerror(ENOENT)));
  }

  // --- Destination ---

  Result<void> use_source_as_destination() {
    ends_.destination_ = ends_.source_;
    if (source_found_.kind != Kind::kFile) return {};
    return grow_to_need(static_cast<WholeFileDevice&>(*ends_.source_device_));
  }

  io::Task<Result<void>> open_destination() {
    copy::End& end = ends_.destination_;
    end.name = arguments_.destination;
    if (arguments_.destination == "-") co_return open_output();
    if (destination_found_.kind == Kind::kFile) co_return open_existing();
    if (destination_found_.kind == Kind::kMissing && is_disk(arguments_.destination)) co_return make_file();
    const block::OpenOptions options = open_options(false);
    auto disk = co_await open_disk(arguments_.destination, options);
    if (!disk && disk.error().code == EBUSY) {
      co_return fail(EBUSY, fmt::format("{} is in use, perhaps mounted; unmount it, or give --force if you are sure "
                                        "that nobody else writes to it",
                                        end.name));
    }
    if (!disk) co_return std::unexpected(disk.error());
    end.size = (*disk)->geometry().size;
    end.identity = identity_of(**disk);
    if (!is_path(arguments_.destination) && end.identity.empty()) end.zero_from = 0;  // memory, just made
    ends_.destination_device_ = std::move(*disk);
    end.device = ends_.destination_device_.get();
    co_return Result<void>();
  }

  Result<void> open_output() {
    copy::End& end = ends_.destination_;
    auto sink = std::make_unique<copy::StreamSink>(STDOUT_FILENO, bytes_to_copy());
    end.name = "standard output";
    end.sink = sink.get();
    end.size = kEndless;
    end.device = sink.get();
    ends_.destination_device_ = std::move(sink);
    return {};
  }

  Result<void> open_existing() {
    auto file = open_file(arguments_.destination, arguments_.destination, open_options(false), growth());
    if (!file) return std::unexpected(file.error());
    return use_file(std::move(*file));
  }

  Result<void> make_file() {
    const std::string& path = arguments_.destination;
    if (arguments_.no_grow) return missing(path);
    if (arguments_.explain) return use_nameless_file();
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return std::unexpected(Error::from_errno(errno, "cannot make " + path));
    ::close(fd);
    ends_.made_path_ = path;
    // Now and not at the end: a journal must not outlive the file that it is about.
    auto kept = keep_name_of(path);
    return kept ? open_existing() : kept;
  }

  /// Stands for the file that is not to be made: on the same file system, so that it can do the same.
  Result<void> use_nameless_file() {
    const std::string& path = arguments_.destination;
    const std::string parent = std::filesystem::path(path).parent_path().string();
    const block::Descriptor nameless = open_nameless(parent.empty() ? "." : parent);
    if (nameless.get() < 0) return std::unexpected(Error::from_errno(errno, "cannot make " + path));
    auto file = open_file(fmt::format("/proc/self/fd/{}", nameless.get()), path, open_options(false), growth());
    if (!file) return std::unexpected(file.error());
    return use_file(std::move(*file));
  }

  /// Only from a stream it is not known how long the file will be.
  Growth growth() const { return arguments_.source == "-" && !arguments_.no_grow ? Growth::kGrowing : Growth::kFixed; }

  Result<void> use_file(std::unique_ptr<WholeFileDevice> file) {
    copy::End& end = ends_.destination_;
    WholeFileDevice& device = *file;
    end.device = file.get();
    ends_.destination_device_ = std::move(file);
    end.size = device.bytes();
    end.zero_from = device.bytes();
    end.identity = "file " + device.file_identity();
    const std::uint64_t before = device.bytes();
    end.settle = [&device, before, truncate = arguments_.truncate](std::uint64_t bytes_end) -> Result<void> {
      const std::uint64_t size = truncate ? bytes_end : std::max(before, bytes_end);
      return size != device.bytes() ? device.resize(size) : Result<void>();
    };
    if (growth() == Growth::kGrowing) {
      end.size = kEndless;
      return {};
    }
    return grow_to_need(device);
  }

  /// How much is to be copied, as far as that is known and makes sense; the planner complains about the rest.
  std::uint64_t bytes_to_copy() const {
    const std::uint64_t there = ends_.source_.size - std::min(ends_.source_.size, plan_.source_offset);
    return std::min(there, plan_.length.value_or(there));
  }

  Result<void> grow_to_need(WholeFileDevice& file) {
    const std::uint64_t needed = plan_.destination_offset + bytes_to_copy();
    if (ends_.source_.stream != nullptr || needed <= file.bytes()) return {};
    if (arguments_.no_grow) {
      return fail(ENOSPC, fmt::format("{} is too short: it has {} bytes, and {} are needed; leave out --no-grow to let "
                                      "it grow",
                                      arguments_.destination, file.bytes(), needed));
    }
    ends_.destination_.size = needed;
    ends_.prepare_ = [&file, needed] { return file.resize(needed); };
    return {};
  }

  CopyEnds& ends_;
  const CopyArguments& arguments_;
  const copy::PlanOptions& plan_;
  Found source_found_;
  Found destination_found_;
};

CopyEnds::~CopyEnds() {
  if (!made_path_.empty()) unlink(made_path_.c_str());
}

io::Task<Result<void>> CopyEnds::open(const CopyArguments& arguments, const copy::PlanOptions& plan) {
  Opener opener(*this, arguments, plan);
  auto opened = co_await opener.run();
  co_return opened;
}

Result<void> CopyEnds::prepare() {
  return prepare_ ? prepare_() : Result<void>();
}

io::Task<Result<void>> CopyEnds::close() {
  Result<void> closed;
  for (block::Device* device : {source_device_.get(), destination_device_.get()}) {
    if (device == nullptr) continue;
    auto done = co_await device->close();
    if (!done) closed = std::move(done);
  }
  co_return closed;
}

}  // namespace peerlane::cli
