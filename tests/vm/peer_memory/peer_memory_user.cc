// Uses a device's peer memory as another program of the machine might: what Peerlane leaves in it, what happens when
// it is taken, and what Linux really does with a request that points into it.
//
//   peer_memory_user zero ADDRESS          says "zero", or where the first byte is that is not; of all that is free
//   peer_memory_user fill ADDRESS          leaves a pattern in all that is free, and ends without wiping it
//   peer_memory_user wipe ADDRESS          leaves zeroes in all that is free
//   peer_memory_user hold ADDRESS [KEEP]   takes all that is free but KEEP bytes, says so, and waits until it is killed
//   peer_memory_user reach ADDRESS DISK    reads a block of DISK into it: says "reached", or the error
//
// ADDRESS is that of the PCI function. Linux hands memory out through p2pmem/allocate in sysfs, to root.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLargePiece = std::size_t{1} << 20;
constexpr std::uint64_t kPattern = 0xA55AC33C0FF0A55A;

struct Piece {
  std::uint64_t* words;
  std::size_t size;  // bytes
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "peer_memory_user: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

int open_memory(const std::string& address) {
  const std::string path = "/sys/bus/pci/devices/" + address + "/p2pmem/allocate";
  const int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) fail(path);
  return descriptor;
}

Piece take(int memory, std::size_t size) {
  void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  return {at == MAP_FAILED ? nullptr : static_cast<std::uint64_t*>(at), size};
}

/// All that is free. It need not be in one piece: what a driver of the kernel or another program has lies between.
std::vector<Piece> take_all(int memory) {
  std::vector<Piece> pieces;
  for (const std::size_t size : {kLargePiece, kPage}) {
    for (Piece piece = take(memory, size); piece.words != nullptr; piece = take(memory, size)) pieces.push_back(piece);
    if (errno != ENOMEM) fail("mmap");
  }
  return pieces;
}

int tell_zero(int memory) {
  std::size_t seen = 0;
  for (const Piece& piece : take_all(memory)) {
    for (std::size_t i = 0; i < piece.size / sizeof(std::uint64_t); ++i) {
      const std::uint64_t word = *static_cast<volatile std::uint64_t*>(piece.words + i);
      if (word == 0) continue;
      std::printf("%016llx after %zu bytes\n", static_cast<unsigned long long>(word), seen + i * sizeof(std::uint64_t));
      return 1;
    }
    seen += piece.size;
  }
  std::printf("zero, %zu bytes\n", seen);
  return 0;
}

int fill(int memory, std::uint64_t word) {
  for (const Piece& piece : take_all(memory)) {
    for (std::size_t i = 0; i < piece.size / sizeof(std::uint64_t); ++i) piece.words[i] = word;
  }
  return 0;
}

int hold(int memory, std::size_t keep) {
  std::vector<Piece> pieces = take_all(memory);
  std::size_t size = 0;
  for (const Piece& piece : pieces) size += piece.size;
  // What comes last was taken last: giving it back leaves free memory in as few places as can be.
  for (std::size_t given_back = 0; given_back < keep && !pieces.empty(); pieces.pop_back()) {
    const Piece& piece = pieces.back();
    given_back += piece.size;
    size -= piece.size;
    if (munmap(piece.words, piece.size) != 0) fail("munmap");
  }
  std::printf("holding %zu bytes\n", size);
  std::fflush(stdout);
  pause();
  return 0;
}

int reach(int memory, const char* disk) {
  const int descriptor = open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (descriptor < 0) fail(disk);
  const Piece piece = take(memory, kPage);
  if (piece.words == nullptr) fail("mmap");
  const ssize_t count = pread(descriptor, piece.words, piece.size, 0);
  std::puts(count == static_cast<ssize_t>(kPage) ? "reached" : std::strerror(errno));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view action = argc > 1 ? argv[1] : "";
  if (argc < 3) {
    std::fputs("usage: peer_memory_user zero|fill|wipe|hold|reach ADDRESS [KEEP|DISK]\n", stderr);
    return 2;
  }
  const int memory = open_memory(argv[2]);
  if (action == "zero") return tell_zero(memory);
  if (action == "fill") return fill(memory, kPattern);
  if (action == "wipe") return fill(memory, 0);
  if (action == "hold") return hold(memory, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0);
  if (action == "reach" && argc > 3) return reach(memory, argv[3]);
  std::fputs("peer_memory_user: what is to be done?\n", stderr);
  return 2;
}
