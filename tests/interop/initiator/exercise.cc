// Uses a LUN through the initiator as an application would, and says what does not hold.
//
//   initiator_exercise discover HOST PORT      prints the targets and their addresses
//   initiator_exercise facts URL               prints who and what the LUN is
//   initiator_exercise transfer URL            all sizes and alignments, written and read back
//   initiator_exercise provisioning URL        unmap, zeroes, the allocation map
//   initiator_exercise commands URL            compare and write, verify, a registration
//   initiator_exercise reservations URL        two initiators, persistent reservations, and a cut
//   initiator_exercise threads URL             through the blocking facade, from several threads
//   initiator_exercise elsewhere URL           transfer and provisioning, from another reactor than the disk's own
//   initiator_exercise load URL SECONDS        verified load; prints "ready", then a summary with the longest stall
//   initiator_exercise paths SECONDS URL...    the same on several paths: those given, or those that are found from one
//
// PEERLANE_EXERCISE_REPLACEMENT is the replacement time-out in seconds, PEERLANE_EXERCISE_PATIENCE how many
// milliseconds a silent target is waited for. Ends with 0 if all is well, with 1 and a sentence if not.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "initiator/blocking.h"
#include "initiator/discovery.h"
#include "initiator/disk.h"
#include "initiator/multipath.h"
#include "reservations.h"
#include "scsi/persistent_reservation.h"
#include "support.h"

namespace {

using namespace peerlane;
using namespace peerlane::exercise;
using initiator::Lun;

io::Task<void> print_targets(io::Reactor& reactor, std::string host, std::uint16_t port) {
  initiator::LinkOptions link;
  link.host = std::move(host);
  link.port = port;
  initiator::LoginTerms login;
  login.initiator_name = "iqn.2026-11.dev.peerlane:exercise";
  auto discovering = initiator::discover(reactor, std::move(link), std::move(login));
  auto targets = co_await std::move(discovering);
  for (const auto& target : value_of(std::move(targets), "discovery")) {
    for (const auto& address : target.addresses) {
      fmt::print("{} {} {}\n", target.name, iscsi::to_string(address), address.group.value_or(0));
    }
  }
}

io::Task<void> print_facts(Lun& disk) {
  const auto geometry = disk.geometry();
  const auto can = disk.capabilities();
  const auto facts = disk.facts();
  fmt::print("identity {}\nsize {}\nblock {}\nvendor {}\n", disk.identity().stable, geometry.size,
             geometry.logical_block_size, facts.inquiry.vendor);
  fmt::print("unmap {}\nwrite_zeroes {}\nallocation {}\nfua {}\ncache {}\nread_only {}\n", can.unmap, can.write_zeroes,
             can.allocation, can.fua, can.volatile_cache, can.read_only);
  fmt::print("digests {} {}\n", disk.session().login().parameters.header_digest,
             disk.session().login().parameters.data_digest);
  const auto luns = co_await initiator::report_luns(disk.session());
  for (const auto lun : value_of(luns, "REPORT LUNS")) fmt::print("lun {}\n", lun);
}

io::Task<void> write_and_read(Lun& disk, std::uint64_t offset, std::size_t size, std::size_t skew,
                              block::WriteFlags flags) {
  // Buffers that begin at odd addresses, with guards on both sides.
  const auto data = pattern(size, static_cast<std::uint32_t>(offset + size));
  std::vector<std::uint8_t> from(size + skew);
  std::ranges::copy(data, from.begin() + static_cast<std::ptrdiff_t>(skew));
  auto written = co_await disk.write(offset, ByteView(from).subspan(skew), flags);
  value_of(std::move(written), fmt::format("writing {} bytes at {}", size, offset));
  std::vector<std::uint8_t> into(size + skew + 64, 0x5a);
  auto read = co_await disk.read(offset, ByteSpan(into).subspan(skew, size));
  value_of(std::move(read), fmt::format("reading {} bytes at {}", size, offset));
  require(std::equal(data.begin(), data.end(), into.begin() + static_cast<std::ptrdiff_t>(skew)),
          fmt::format("other data were read than written: {} bytes at {}", size, offset));
  const auto is_guard = [](std::uint8_t byte) { return byte == 0x5a; };
  require(std::all_of(into.begin(), into.begin() + static_cast<std::ptrdiff_t>(skew), is_guard) &&
              std::all_of(into.end() - 64, into.end(), is_guard),
          "bytes beside the buffer were changed");
}

io::Task<void> transfer(Lun& disk) {
  const std::size_t block = disk.geometry().logical_block_size;
  const std::uint64_t size = disk.geometry().size;
  const std::size_t sizes[] = {1,   2,   3,   7,   8,   15,  16,  17,   63,   64,   65,
                               127, 128, 129, 255, 257, 511, 513, 2049, 8192, 12289};
  std::uint64_t offset = 0;
  unsigned turn = 0;
  for (const std::size_t blocks : sizes) {
    const std::size_t bytes = blocks * block;
    if (bytes * 2 > size) break;
    offset = (offset + 13 * block) % (size - bytes);
    offset -= offset % block;
    const auto flags = ++turn % 3 == 0 ? block::WriteFlags::kFua : block::WriteFlags::kNone;
    co_await write_and_read(disk, offset, bytes, turn % 5, flags);
    co_await write_and_read(disk, size - bytes, bytes, turn % 2, flags);  // up to the last block
  }
  auto flushed = co_await disk.flush();
  value_of(std::move(flushed), "flush");
}

io::Task<void> expect_content(Lun& disk, std::uint64_t offset, std::size_t size, bool zero, std::string what) {
  std::vector<std::uint8_t> bytes(size, 1);
  auto read = co_await disk.read(offset, bytes);
  value_of(std::move(read), "reading back");
  const bool zeroes = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
  require(zeroes == zero, what);
}

io::Task<void> provisioning(Lun& disk) {
  const auto can = disk.capabilities();
  constexpr std::size_t kPart = 1u << 20;
  const auto data = pattern(4 * kPart, 7);
  auto written = co_await disk.write(0, data, block::WriteFlags::kNone);
  value_of(std::move(written), "writing");
  if (can.unmap) {
    auto unmapped = co_await disk.unmap(kPart, kPart);
    value_of(std::move(unmapped), "unmap");
    co_await expect_content(disk, kPart, kPart, true, "unmapped blocks do not read as zeroes");
    co_await expect_content(disk, 0, kPart, false, "unmap took blocks before its range");
    co_await expect_content(disk, 2 * kPart, kPart, false, "unmap took blocks behind its range");
  }
  if (can.write_zeroes) {
    auto zeroed = co_await disk.write_zeroes(2 * kPart, kPart, false);
    value_of(std::move(zeroed), "write zeroes");
    co_await expect_content(disk, 2 * kPart, kPart, true, "zeroes were not written");
    co_await expect_content(disk, 3 * kPart, kPart, false, "write zeroes took blocks behind its range");
  }
  if (can.allocation) {
    auto extents = co_await disk.allocation(0, disk.geometry().size, 100000);
    std::uint64_t at = 0;
    for (const auto& extent : value_of(std::move(extents), "allocation")) {
      require(extent.offset == at, "the allocation map has gaps");
      at += extent.length;
      if (extent.offset <= kPart && at >= 2 * kPart && can.unmap) {
        require(!extent.allocated, "unmapped blocks are told to have space");
      }
    }
    require(at == disk.geometry().size, "the allocation map is not complete");
  }
  fmt::print("unmap {} write_zeroes {} allocation {}\n", can.unmap, can.write_zeroes, can.allocation);
}

io::Task<void> commands(Lun& disk) {
  const std::size_t block = disk.geometry().logical_block_size;
  const auto old = pattern(block, 1);
  const auto fresh = pattern(block, 2);
  auto written = co_await disk.write(block, old, block::WriteFlags::kNone);
  value_of(std::move(written), "writing");
  auto swapped = co_await disk.compare_and_write(block, old, fresh);
  const bool has_it = swapped || swapped.error().code != ENOTSUP;
  fmt::print("compare_and_write {}\n", has_it);
  if (has_it) {
    require(value_of(std::move(swapped), "compare and write"), "compare and write finds equal blocks different");
    auto again = co_await disk.compare_and_write(block, old, fresh);
    require(!value_of(std::move(again), "compare and write"), "compare and write finds different blocks equal");
  } else {
    auto rewritten = co_await disk.write(block, fresh, block::WriteFlags::kNone);
    value_of(std::move(rewritten), "writing");
  }
  auto medium = co_await disk.verify(0, 64 * block);
  value_of(std::move(medium), "verify");
  auto equal = co_await disk.verify(block, fresh);
  require(value_of(std::move(equal), "verify"), "verify finds equal blocks different");
  auto different = co_await disk.verify(block, old);
  // LIO answers that everything is equal.
  fmt::print("verify_compares {}\n", !value_of(std::move(different), "verify"));

  scsi::ReserveOutParameters parameters;
  parameters.action_key = 0xabc;
  auto registered =
      co_await disk.reserve_out(scsi::ReserveOutAction::kRegister, std::nullopt, scsi::encode_reserve_out(parameters));
  value_of(std::move(registered), "register");
  auto bytes = co_await disk.reserve_in(scsi::ReserveInAction::kReadKeys);
  const auto keys = scsi::decode_reservation_keys(value_of(std::move(bytes), "read keys"));
  require(keys && std::ranges::find(keys->keys, 0xabcu) != keys->keys.end(), "the key registered is not there");
  parameters.key = 0xabc;
  auto cleared =
      co_await disk.reserve_out(scsi::ReserveOutAction::kClear, std::nullopt, scsi::encode_reserve_out(parameters));
  value_of(std::move(cleared), "clear");
  auto reset = co_await disk.reset();
  value_of(std::move(reset), "logical unit reset");
  auto read = co_await disk.vpd(scsi::VpdPage::kDeviceIdentification);
  value_of(std::move(read), "VPD page 83h after the reset");
  std::vector<std::uint8_t> one(block);
  auto after = co_await disk.read(block, one);
  value_of(std::move(after), "reading after the reset");
  require(one == fresh, "other data after the reset");
}

// --- Load ---

struct Load {
  block::Device& disk;
  io::TimePoint end;
  std::uint64_t operations = 0;
  io::Duration worst{0};
  io::Gate workers;
};

/// Writes and reads in a region of its own, whose content it knows.
io::Task<void> work(Load& load, unsigned number) {
  const io::Gate::Pass pass(load.workers);
  constexpr std::size_t kRegion = 1u << 20;
  const std::size_t block = load.disk.geometry().logical_block_size;
  std::vector<std::uint8_t> known(kRegion);
  std::vector<std::uint8_t> seen(kRegion);
  const std::uint64_t base = std::uint64_t{number} * kRegion;
  auto first = co_await load.disk.write(base, known, block::WriteFlags::kNone);
  value_of(std::move(first), "the first write");
  std::minstd_rand random(number + 1);
  while (io::Clock::now() < load.end) {
    const std::size_t blocks = 1 + random() % 32;
    const std::size_t at = random() % (kRegion / block - blocks) * block;
    const std::size_t size = blocks * block;
    const auto began = io::Clock::now();
    if (random() % 2 == 0) {
      std::ranges::generate(ByteSpan(known).subspan(at, size), [&] { return static_cast<std::uint8_t>(random()); });
      auto written = co_await load.disk.write(base + at, ByteView(known).subspan(at, size), block::WriteFlags::kNone);
      value_of(std::move(written), "a write under load");
    } else {
      auto read = co_await load.disk.read(base + at, ByteSpan(seen).subspan(at, size));
      value_of(std::move(read), "a read under load");
      require(std::equal(known.begin() + static_cast<std::ptrdiff_t>(at),
                         known.begin() + static_cast<std::ptrdiff_t>(at + size),
                         seen.begin() + static_cast<std::ptrdiff_t>(at)),
              fmt::format("stale or lost data at {}", base + at));
    }
    load.worst = std::max(load.worst, io::Clock::now() - began);
    ++load.operations;
  }
}

io::Task<void> load(block::Device& disk, int seconds) {
  constexpr unsigned kWorkers = 16;
  Load load{disk, io::Clock::now() + std::chrono::seconds(seconds), 0, {}, {}};
  for (unsigned i = 0; i < kWorkers; ++i) io::spawn(work(load, i));
  fmt::print("ready\n");
  std::fflush(stdout);
  co_await load.workers.drained();
  fmt::print("operations {}\nworst {}\n", load.operations,
             std::chrono::duration_cast<std::chrono::milliseconds>(load.worst).count());
}

initiator::MultipathOptions path_options() {
  using namespace std::chrono_literals;
  initiator::MultipathOptions options;
  options.disk = options_from_environment();
  options.disk.session.reconnect_least = 20ms;
  options.disk.session.reconnect_most = 300ms;
  options.path_timeout = 300ms;
  options.replacement_timeout = options.disk.session.replacement_timeout;
  options.check_interval = 200ms;
  options.policy = initiator::PathPolicy::kRoundRobin;
  return options;
}

io::Task<std::unique_ptr<initiator::Multipath>> open_paths(io::Reactor& reactor, std::vector<std::string> urls) {
  const initiator::MultipathOptions options = path_options();
  if (urls.size() == 1) {
    auto url = value_of(iscsi::parse_url(urls.front()), "the URL");
    auto opening = initiator::open_multipath(reactor, std::move(url), options);
    auto opened = co_await std::move(opening);
    co_return value_of(std::move(opened), "opening all paths");
  }
  std::vector<std::unique_ptr<Lun>> paths;
  for (const std::string& text : urls) {
    initiator::DiskOptions disk = options.disk;
    disk.session.replacement_timeout = options.path_timeout;
    auto url = value_of(iscsi::parse_url(text), "the URL");
    auto opening = initiator::open_disk(reactor, std::move(url), std::move(disk));
    auto opened = co_await std::move(opening);
    paths.push_back(value_of(std::move(opened), "opening"));
  }
  co_return value_of(initiator::Multipath::join(paths, options), "joining the paths");
}

io::Task<void> load_on_paths(io::Reactor& reactor, std::vector<std::string> arguments) {
  std::vector<std::string> urls(arguments.begin() + 2, arguments.end());
  auto opening = open_paths(reactor, std::move(urls));
  const auto disk = co_await std::move(opening);
  co_await load(*disk, std::stoi(arguments.at(1)));
  for (const initiator::Multipath::PathStatus& path : disk->paths()) {
    fmt::print("path {} {} {} {}\n", path.portal, path.commands, path.failures, initiator::name(path.rank));
  }
  auto closed = co_await disk->close();
  value_of(std::move(closed), "closing");
}

/// A disk that is used from another reactor than its own.
io::Task<void> use_from_elsewhere(io::Reactor& here, Lun& disk) {
  co_await transfer(disk);
  co_await provisioning(disk);
  here.stop();
}

io::Task<void> run(io::Reactor& reactor, std::vector<std::string> arguments) {
  const std::string mode = arguments.at(0);
  io::Event elsewhere_done;
  if (mode == "discover") {
    co_await print_targets(reactor, arguments.at(1), static_cast<std::uint16_t>(std::stoi(arguments.at(2))));
    reactor.stop();
    co_return;
  }
  if (mode == "paths") {
    co_await load_on_paths(reactor, arguments);
    reactor.stop();
    co_return;
  }
  if (mode == "reservations") {
    co_await reservations(reactor, arguments.at(1));
    reactor.stop();
    co_return;
  }
  auto url = value_of(iscsi::parse_url(arguments.at(1)), "the URL");
  auto opening = initiator::open_disk(reactor, std::move(url), options_from_environment());
  auto opened = co_await std::move(opening);
  const auto disk = value_of(std::move(opened), "opening");
  if (mode == "facts") {
    co_await print_facts(*disk);
  } else if (mode == "transfer") {
    co_await transfer(*disk);
  } else if (mode == "provisioning") {
    co_await provisioning(*disk);
  } else if (mode == "commands") {
    co_await commands(*disk);
  } else if (mode == "elsewhere") {
    std::jthread other([&] {
      const auto second = value_of(io::Reactor::create(), "io_uring");
      io::spawn(use_from_elsewhere(*second, *disk));
      second->run();
      reactor.post([&] { elsewhere_done.set(); });
    });
    co_await elsewhere_done;
  } else if (mode == "load") {
    co_await load(*disk, std::stoi(arguments.at(2)));
    fmt::print("reconnects {}\n", disk->session().reconnects());
  } else {
    give_up("no such mode: " + mode);
  }
  auto closed = co_await disk->close();
  value_of(std::move(closed), "closing");
  reactor.stop();
}

/// Several threads, each with a region of its own.
void use_threads(const std::string& url) {
  auto opened = initiator::open_blocking(url, options_from_environment());
  const auto disk = value_of(std::move(opened), "opening");
  const std::size_t block = disk->geometry().logical_block_size;
  {
    std::vector<std::jthread> threads;
    for (unsigned number = 0; number < 4; ++number) {
      threads.emplace_back([&disk, block, number] {
        for (unsigned turn = 0; turn < 100; ++turn) {
          const std::uint64_t offset = (number * 2000 + turn * 17) * block;
          const auto data = pattern((turn + 1) * block, number * 1000 + turn);
          value_of(disk->write(offset, data), "writing from a thread");
          std::vector<std::uint8_t> seen(data.size());
          value_of(disk->read(offset, seen), "reading from a thread");
          require(seen == data, "other data were read than written");
        }
      });
    }
  }
  std::vector<std::uint8_t> buffer(block);
  require(!disk->read(1, buffer) && !disk->read(disk->geometry().size, buffer), "a range that is none is refused");
  value_of(disk->flush(), "flush");
  value_of(disk->close(), "closing");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.at(0) == "threads") {
    use_threads(arguments.at(1));
    return 0;
  }
  auto reactor = value_of(io::Reactor::create(), "io_uring");
  io::spawn(run(*reactor, std::move(arguments)));
  reactor->run();
  return 0;
}
