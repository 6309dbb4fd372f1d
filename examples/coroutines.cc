// Writes eight pieces at the same time and reads them back, with coroutines on one thread. The disk is overwritten.
//
//     coroutines iscsi://host/target-name/lun
#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <peerlane/initiator/disk.h>
#include <peerlane/io/event.h>

namespace {

using peerlane::Result;
namespace io = peerlane::io;
namespace initiator = peerlane::initiator;

constexpr std::size_t kPiece = 64 << 10;

/// One piece, while others are under way.
io::Task<void> use_piece(initiator::Lun& disk, std::uint8_t number, io::Gate& gate, bool& well) {
  const io::Gate::Pass pass(gate);
  const std::uint64_t offset = number * kPiece;
  const std::vector<std::uint8_t> data(kPiece, number);
  std::vector<std::uint8_t> back(kPiece);
  auto done = co_await disk.write(offset, data, peerlane::block::WriteFlags::kNone);
  if (done) done = co_await disk.read(offset, back);
  if (!done) std::fprintf(stderr, "piece %u: %s\n", number, done.error().text().c_str());
  well = well && done && data == back;
}

io::Task<void> use_disk(io::Reactor& reactor, std::string text, bool& well) {
  // Owning arguments of what is awaited have names: see io/task.h.
  auto url = peerlane::iscsi::parse_url(text);
  if (!url) co_return;
  initiator::DiskOptions options;
  auto opening = initiator::open_disk(reactor, std::move(*url), std::move(options));
  auto disk = co_await std::move(opening);
  if (!disk) {
    std::fprintf(stderr, "%s\n", disk.error().text().c_str());
    co_return;
  }
  well = true;
  io::Gate gate;
  for (std::uint8_t number = 0; number < 8; ++number) io::spawn(use_piece(**disk, number, gate, well));
  co_await gate.drained();
  const auto closed = co_await (*disk)->close();
  well = well && closed;
}

io::Task<void> run(io::Reactor& reactor, std::string url, bool& well) {
  auto using_it = use_disk(reactor, std::move(url), well);
  co_await std::move(using_it);
  reactor.stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto reactor = io::Reactor::create();
  if (!reactor) {
    std::fprintf(stderr, "%s\n", reactor.error().text().c_str());
    return 1;
  }
  bool well = false;
  io::spawn(run(**reactor, argv[1], well));
  (*reactor)->run();
  std::puts(well ? "well" : "not well");
  return well ? 0 : 1;
}
