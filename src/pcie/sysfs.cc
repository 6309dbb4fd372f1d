#include "pcie/sysfs.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

namespace peerlane::pcie {
namespace fs = std::filesystem;
namespace {

/// A descriptor that is closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

/// ASCII that may be shown on a terminal as it is.
bool printable(char c) {
  return c >= ' ' && c <= '~';
}

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return printable(c); });
}

std::string without_end_slash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

Sysfs::Sysfs(std::string root) : root_(without_end_slash(std::move(root))) {
  std::error_code error;
  const fs::path real = fs::canonical(root_.empty() ? "/" : root_, error);
  if (!error) root_ = without_end_slash(real.string());
}

std::string Sysfs::full(std::string_view path) const {
  return (root_ + "/").append(path);
}

Result<std::vector<std::uint8_t>> Sysfs::bytes(std::string_view path) const {
  const std::string name = full(path);
  // Not blocking, so that a FIFO in a tree that somebody gave us does not hold us up.
  const Descriptor file(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return std::unexpected(Error::from_errno(errno, name));
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return std::unexpected(Error::from_errno(errno, name));
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, name + ": not a file");
  std::vector<std::uint8_t> data(limits::kSysfsFileBytes);
  std::size_t size = 0;
  while (size < data.size()) {
    const ssize_t got = read(file.get(), data.data() + size, data.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(Error::from_errno(errno, name));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  data.resize(size);
  return data;
}

Result<std::vector<std::string>> Sysfs::lines(std::string_view path) const {
  const auto data = bytes(path);
  if (!data) return std::unexpected(data.error());
  std::vector<std::string> lines;
  for (auto at = data->begin(); at != data->end();) {
    const auto end = std::find(at, data->end(), '\n');
    std::string line(at, end);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\0')) line.pop_back();
    std::ranges::replace(line, '\t', ' ');
    std::ranges::replace_if(line, [](char c) { return !printable(c); }, '?');
    lines.push_back(std::move(line));
    at = end == data->end() ? end : end + 1;
  }
  return lines;
}

Result<std::string> Sysfs::text(std::string_view path) const {
  auto all = lines(path);
  if (!all) return std::unexpected(all.error());
  return all->empty() ? std::string() : std::move(all->front());
}

Result<std::uint64_t> Sysfs::number(std::string_view path) const {
  const auto digits = text(path);
  if (!digits) return std::unexpected(digits.error());
  const bool hexadecimal = digits->starts_with("0x");
  const char* const begin = digits->data() + (hexadecimal ? 2 : 0);
  const char* const end = digits->data() + digits->size();
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value, hexadecimal ? 16 : 10);
  if (error != std::errc() || stop != end) {
    return fail(EINVAL, full(path) + ": \"" + digits->substr(0, 40) + "\" is no number");
  }
  return value;
}

Result<std::vector<std::string>> Sysfs::list(std::string_view directory) const {
  std::error_code error;
  std::vector<std::string> names;
  const std::string name = full(directory);
  for (fs::directory_iterator at(name, error), end; !error && at != end; at.increment(error)) {
    if (names.size() == limits::kSysfsEntries) return fail(E2BIG, name + ": too many entries");
    std::string entry = at->path().filename().string();
    if (printable(entry)) names.push_back(std::move(entry));
  }
  if (error) return std::unexpected(Error::from_errno(error.value(), name));
  std::ranges::sort(names);
  return names;
}

Result<std::string> Sysfs::resolve(std::string_view path) const {
  std::error_code error;
  const std::string real = fs::canonical(full(path), error).string();
  if (error) return std::unexpected(Error::from_errno(error.value(), full(path)));
  if (!real.starts_with(root_ + "/")) return fail(EXDEV, full(path) + ": leads out of " + root_);
  std::string inside = real.substr(root_.size() + 1);
  if (!printable(inside)) return fail(EINVAL, full(path) + ": leads to a name with unprintable characters");
  return inside;
}

bool Sysfs::exists(std::string_view path) const {
  std::error_code error;
  return fs::exists(full(path), error);
}

std::string_view last_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace peerlane::pcie
