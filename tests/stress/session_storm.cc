// Many sessions at once with mixed, verified I/O, aborts, resets and lost connections, against a running target.
//
//   session_storm [--sessions N] [--seconds S] [--seed N] [--patience FACTOR] URL...
//
// The URLs are those of the LUNs 0, 1... of one target, as `peerlane serve` prints them; their disks begin as zeroes,
// and all that is on them is lost. Ends with status 0 and one line of counts, or says what was wrong, and the seed.

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "iscsi/url.h"
#include "session.h"

namespace peerlane::storm {
namespace {

constexpr std::uint64_t kOwnBytes = 2u << 20;  // of each session, on each LUN
constexpr std::uint64_t kSharedBytes = 8u << 20;
constexpr std::uint32_t kBlockBytes = 512;

std::uint64_t seed_of_run = 0;

Options parse(int argc, char** argv) {
  Options options;
  options.seed = std::random_device()();
  options.luns = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (argument == "--sessions") {
      options.sessions = static_cast<unsigned>(std::atoi(value));
    } else if (argument == "--seconds") {
      options.seconds = std::atof(value);
    } else if (argument == "--seed") {
      options.seed = std::strtoull(value, nullptr, 0);
    } else if (argument == "--patience") {
      options.patience = std::atof(value);
    } else {
      const auto url = iscsi::parse_url(argument);
      if (!url || url->lun != options.luns) die(fmt::format("not the URL of LUN {}: {}", options.luns, argument));
      options.host = url->host;
      options.port = url->port;
      options.target = url->target;
      ++options.luns;
      continue;
    }
    ++i;
  }
  if (options.luns == 0 || options.luns > Storm::kMostLuns) die("one to eight URLs are needed");
  return options;
}

std::vector<std::unique_ptr<Region>> regions(const Options& options, std::uint64_t first, std::uint64_t bytes) {
  std::vector<std::unique_ptr<Region>> out;
  for (unsigned lun = 0; lun < options.luns; ++lun) {
    out.push_back(std::make_unique<Region>(lun, kBlockBytes, first / kBlockBytes, bytes / kBlockBytes));
  }
  return out;
}

void run(Storm& storm) {
  const Options& options = storm.options;
  storm.shared = regions(options, options.sessions * kOwnBytes, kSharedBytes);
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < options.sessions; ++i) {
    threads.emplace_back([&, i] {
      Session session(storm, i, regions(options, i * kOwnBytes, kOwnBytes));
      session.run();
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  storm.stop = true;
}

}  // namespace

void die(const std::string& what) {
  fmt::print(stderr, "session_storm: {} (seed {})\n", what, seed_of_run);
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace peerlane::storm

int main(int argc, char** argv) {
  using namespace peerlane::storm;
  Storm storm;
  storm.options = parse(argc, argv);
  seed_of_run = storm.options.seed;
  fmt::print("seed {}\n", seed_of_run);
  std::fflush(stdout);
  run(storm);
  const Counts& counts = storm.counts;
  fmt::print(
      "{} reads, {} writes, {} MiB; {} functions, {} resets, {} tasks aborted, {} unit attentions, {} busy; {} logins, "
      "{} drops, {} reinstatements, {} logouts\n",
      counts.reads.load(), counts.writes.load(), counts.bytes.load() >> 20, counts.functions.load(),
      counts.resets.load(), counts.aborted.load(), counts.attentions.load(), counts.busy.load(), counts.logins.load(),
      counts.drops.load(), counts.reinstatements.load(), counts.logouts.load());
  return counts.reads > 100 && counts.writes > 100 ? 0 : 1;
}
