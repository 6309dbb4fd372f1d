// Reads a disk with four threads through the blocking facade, and says how many of its bytes are not zero.
//
//     threads iscsi://host/target-name/lun
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include <peerlane/initiator/blocking.h>

namespace {

constexpr std::uint64_t kPiece = 1 << 20;

/// Takes piece after piece until the disk is read or something fails.
void read_pieces(peerlane::block::BlockingDevice& disk, std::atomic<std::uint64_t>& next,
                 std::atomic<std::uint64_t>& found, std::atomic<bool>& failed) {
  std::vector<std::uint8_t> buffer(kPiece);
  const std::uint64_t size = disk.geometry().size;
  for (std::uint64_t at = next.fetch_add(kPiece); at < size && !failed; at = next.fetch_add(kPiece)) {
    const peerlane::ByteSpan piece(buffer.data(), std::min(kPiece, size - at));
    if (const auto read = disk.read(at, piece); !read) {
      std::fprintf(stderr, "reading at %llu: %s\n", static_cast<unsigned long long>(at), read.error().text().c_str());
      failed = true;
      return;
    }
    found += static_cast<std::uint64_t>(std::ranges::count_if(piece, [](auto byte) { return byte != 0; }));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto disk = peerlane::initiator::open_blocking(argv[1]);
  if (!disk) {
    std::fprintf(stderr, "%s\n", disk.error().text().c_str());
    return 1;
  }
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> found{0};
  std::atomic<bool> failed{false};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back([&] { read_pieces(**disk, next, found, failed); });
  }
  std::printf("not zero %llu\n", static_cast<unsigned long long>(found.load()));
  return failed || !(*disk)->close() ? 1 : 0;
}
