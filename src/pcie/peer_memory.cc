#include "pcie/peer_memory.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace peerlane::pcie {
namespace {

/// Reads from a character device into memory. The kernel's copy ends with EFAULT where this process's own would end the
/// process.
Result<void> read_device_into(const char* path, ByteSpan bytes) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(Error::from_errno(errno, path));
  Result<void> done;
  while (!bytes.empty() && done) {
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      done = fail(got == 0 ? EIO : errno);
    }
  }
  close(fd);
  return done;
}

/// Part of what p2pmem/allocate of one device gives out.
class P2pmemRange final : public PeerRange {
 public:
  explicit P2pmemRange(ByteSpan bytes) : bytes_(bytes) {}
  P2pmemRange(const P2pmemRange&) = delete;
  P2pmemRange& operator=(const P2pmemRange&) = delete;
  ~P2pmemRange() override {
    // If the device is gone there is nothing left to wipe.
    static_cast<void>(wipe(bytes_));
    munmap(bytes_.data(), bytes_.size());
  }

  ByteSpan bytes() const override { return bytes_; }

 private:
  const ByteSpan bytes_;
};

class P2pmemProvider final : public PeerMemoryProvider {
 public:
  P2pmemProvider(const Sysfs& sysfs, const Function& function)
      : sysfs_(sysfs), name_(to_string(function.address)), directory_(function.path + "/p2pmem/") {}

  const std::string& name() const override { return name_; }

  std::uint64_t available() const override { return sysfs_.number(directory_ + "available").value_or(0); }

  Result<std::unique_ptr<PeerRange>> allocate(std::size_t bytes) override {
    const int fd = ::open(sysfs_.full(directory_ + "allocate").c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return std::unexpected(explain(errno, bytes));
    void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const int code = errno;
    close(fd);
    if (memory == MAP_FAILED) return std::unexpected(explain(code, bytes));
    auto range = std::make_unique<P2pmemRange>(ByteSpan(static_cast<std::uint8_t*>(memory), bytes));
    const auto wiped = wipe(range->bytes());
    if (!wiped) return std::unexpected(explain(wiped.error().code == EFAULT ? ENODEV : wiped.error().code, bytes));
    return range;
  }

 private:
  Error explain(int code, std::size_t bytes) const {
    if (code == ENOMEM) {
      return {code, fmt::format("{} has no {} KiB of free peer memory left: {} of it are free", name_, bytes >> 10,
                                available())};
    }
    if (code == EACCES || code == EPERM) return {code, "only root may have the peer memory of " + name_};
    if (code == ENOENT || code == ENODEV) return {ENODEV, name_ + " is gone, or offers no peer memory any more"};
    return Error::from_errno(code, "allocating peer memory of " + name_);
  }

  const Sysfs sysfs_;
  const std::string name_;
  const std::string directory_;
};

}  // namespace

std::unique_ptr<PeerMemoryProvider> open_provider(const Sysfs& sysfs, const Function& function) {
  return std::make_unique<P2pmemProvider>(sysfs, function);
}

Result<void> wipe(ByteSpan bytes) {
  return read_device_into("/dev/zero", bytes);
}

Result<void> scramble(ByteSpan bytes) {
  return read_device_into("/dev/urandom", bytes);
}

}  // namespace peerlane::pcie
