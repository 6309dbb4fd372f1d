#include "pcie/probe.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace peerlane::pcie {
namespace {

constexpr std::size_t kBytes = 4096;

/// A file that is closed with its owner.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

struct Free {
  void operator()(std::uint8_t* memory) const { std::free(memory); }
};
using Page = std::unique_ptr<std::uint8_t, Free>;

Page make_page() {
  return Page(static_cast<std::uint8_t*>(std::aligned_alloc(kBytes, kBytes)));
}

/// The first bytes of a disk, read into any memory past the page cache.
Result<void> read_first(const File& disk, std::uint8_t* into) {
  const ssize_t got = pread(disk.get(), into, kBytes, 0);
  if (got == static_cast<ssize_t>(kBytes)) return {};
  return fail(got < 0 ? errno : EIO);
}

/// Takes bytes out of peer memory by a copy of the kernel's, which ends with an error if they are gone.
Result<void> fetch(ByteView from, std::uint8_t* into) {
  const File file(memfd_create("peerlane-probe", MFD_CLOEXEC));
  if (file.get() < 0) return fail(errno);
  if (write(file.get(), from.data(), kBytes) != static_cast<ssize_t>(kBytes)) return fail(errno);
  if (pread(file.get(), into, kBytes, 0) != static_cast<ssize_t>(kBytes)) return fail(errno);
  return {};
}

}  // namespace

Result<void> probe(PeerMemoryProvider& provider, const std::string& path) {
  const File disk(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (disk.get() < 0) return std::unexpected(Error::from_errno(errno, "opening " + path));
  const Page expected = make_page();
  const Page found = make_page();
  auto done = read_first(disk, expected.get());
  if (!done) return std::unexpected(Error::from_errno(done.error().code, "reading " + path));
  const auto range = provider.allocate(kBytes);
  if (!range) return std::unexpected(range.error());
  const ByteSpan memory = (*range)->bytes();
  done = scramble(memory);
  if (done) done = read_first(disk, memory.data());
  if (!done) {
    return std::unexpected(
        Error::from_errno(done.error().code, fmt::format("reading {} into the memory of {}", path, provider.name())));
  }
  done = fetch(memory, found.get());
  if (!done) return done;
  if (std::memcmp(expected.get(), found.get(), kBytes) == 0) return {};
  return fail(EILSEQ, fmt::format("{} said that it had read into the memory of {}, and other bytes are there; an IOMMU "
                                  "that translates does that (iommu=pt would not)",
                                  path, provider.name()));
}

}  // namespace peerlane::pcie
