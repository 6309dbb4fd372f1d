#include "target/file_state_store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "io/event.h"
#include "io/reactor.h"

namespace peerlane::target {
namespace {

namespace fs = std::filesystem;

// The first line of a file: this word, the version of the format, the CRC32C of all that follows the line.
constexpr std::string_view kMagic = "peerlane-state 1 ";
constexpr std::size_t kHeaderBytes = kMagic.size() + 8 + 1;

constexpr const char* kNewSuffix = ".new";

std::string header_for(std::string_view value) {
  return fmt::format("{}{:08x}\n", kMagic, crc32c(as_bytes(value)));
}

bool good_key(std::string_view key) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !key.empty() && key.size() <= limits::kStateKeyBytes && key.front() != '.' && !key.ends_with(kNewSuffix) &&
         std::ranges::all_of(key, good);
}

Error failed(const std::string& what, const std::string& path) {
  return Error::from_errno(errno, fmt::format("cannot {} {}", what, path));
}

/// A descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

Result<void> sync_directory(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.open()) return std::unexpected(failed("open", path));
  if (::fsync(directory.get()) != 0) return std::unexpected(failed("bring to stable storage", path));
  return {};
}

/// Makes a directory and those above it, each on stable storage, for this user alone.
Result<void> make_directory(const fs::path& path) {
  if (::access(path.c_str(), F_OK) == 0) return {};
  const fs::path parent = path.parent_path();
  if (parent != path) {
    auto above = make_directory(parent);
    if (!above) return above;
  }
  if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) return std::unexpected(failed("make", path));
  return sync_directory(parent);
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(failed("write", path));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Error damaged(const std::string& path, std::string_view what) {
  return {EBADMSG,
          fmt::format("the state file {} {}: put it back from a backup, or move it away to start without what it "
                      "keeps (reservations of initiators, settings they have saved)",
                      path, what)};
}

}  // namespace

/// One save, on the stack of the one who waits for it.
struct FileStateStore::Job {
  const std::string& key;
  const std::string& value;
  io::Executor& home;
  io::Event done;
  Result<void> result;
};

FileStateStore::FileStateStore(std::string directory) : directory_(std::move(directory)) {}

Result<std::unique_ptr<FileStateStore>> FileStateStore::open(const std::string& directory) {
  // What does not exist yet will be made in the first directory above that does.
  std::error_code error;
  const fs::path full = fs::absolute(directory, error).lexically_normal();
  if (error) return fail(error.value(), fmt::format("cannot use {}: {}", directory, error.message()));
  fs::path existing = full;
  while (existing.has_relative_path() && ::access(existing.c_str(), F_OK) != 0) existing = existing.parent_path();
  if (!fs::is_directory(existing, error)) return fail(ENOTDIR, fmt::format("{} is no directory", existing.native()));
  if (::access(existing.c_str(), R_OK | W_OK | X_OK) != 0) {
    return std::unexpected(failed(existing == full ? "write to" : fmt::format("make {} in", full.native()), existing));
  }
  std::unique_ptr<FileStateStore> store(new FileStateStore(full));
  store->thread_ = std::jthread([raw = store.get()](const std::stop_token& stop) { raw->run(stop); });
  return store;
}

bool FileStateStore::may_hold_state(const std::string& directory) {
  if (::access(directory.c_str(), F_OK) != 0) return errno != ENOENT && errno != ENOTDIR;
  std::error_code error;
  const bool empty = fs::is_empty(directory, error);
  return error ? error.value() != ENOTDIR : !empty;
}

FileStateStore::~FileStateStore() = default;

Result<std::optional<std::string>> FileStateStore::load(const std::string& key) {
  if (!good_key(key)) return fail(EINVAL, fmt::format("\"{}\" is no name of a state file", key));
  const std::string path = path_of(key);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) return std::unexpected(failed("read", path));
  std::string text;
  std::array<char, 65536> piece{};
  for (std::size_t count = 0; (count = std::fread(piece.data(), 1, piece.size(), file.get())) > 0;) {
    text.append(piece.data(), count);
    if (text.size() > kHeaderBytes + limits::kStateValueBytes) {
      return std::unexpected(damaged(path, "is longer than any such file"));
    }
  }
  if (std::ferror(file.get()) != 0) return std::unexpected(failed("read", path));
  if (!text.starts_with(kMagic.substr(0, kMagic.find(' ') + 1)) || text.size() < kHeaderBytes) {
    return std::unexpected(damaged(path, "is damaged"));
  }
  if (!text.starts_with(kMagic)) return std::unexpected(damaged(path, "is of a version that this program cannot read"));
  std::string value = text.substr(kHeaderBytes);
  if (text.substr(0, kHeaderBytes) != header_for(value)) return std::unexpected(damaged(path, "is damaged"));
  return value;
}

io::Task<Result<void>> FileStateStore::save(std::string key, std::string value) {
  if (!good_key(key)) co_return fail(EINVAL, fmt::format("\"{}\" is no name of a state file", key));
  if (value.size() > limits::kStateValueBytes) {
    co_return fail(EFBIG, fmt::format("there is more to keep in {} than {} bytes", key, limits::kStateValueBytes));
  }
  Job job{key, value, io::Reactor::current(), {}, {}};
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(&job);
  }
  wake_.notify_one();
  co_await job.done;
  co_return std::move(job.result);
}

void FileStateStore::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (wake_.wait(lock, stop, [this] { return !jobs_.empty(); })) {
    Job& job = *jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    job.result = write(job.key, job.value);
    job.home.post([&job] { job.done.set(); });
    lock.lock();
  }
}

Result<void> FileStateStore::write(const std::string& key, const std::string& value) const {
  auto made = make_directory(directory_);
  if (!made) return made;
  const std::string path = path_of(key);
  const std::string fresh = path + kNewSuffix;
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!file.open()) return std::unexpected(failed("write", fresh));
    auto written = write_all(file.get(), header_for(value), fresh);
    if (written) written = write_all(file.get(), value, fresh);
    if (!written) return written;
    if (::fsync(file.get()) != 0) return std::unexpected(failed("bring to stable storage", fresh));
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return std::unexpected(failed("rename", fresh));
  return sync_directory(directory_);
}

}  // namespace peerlane::target
