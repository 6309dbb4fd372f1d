#include "cli/bench_arguments.h"

#include <algorithm>
#include <random>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/units.h"
#include "cli/run.h"

namespace peerlane::cli {
namespace {

constexpr double kSeconds = 10;  // a run, where nothing is said

constexpr const char* kBenchFooter =
    R"(DISK: PATH of a file or block device, ram:SIZE, or iscsi://host[:port]/target-name/lun (see `peerlane discover`).
CHAP accounts: PEERLANE_CHAP_USER with PEERLANE_CHAP_SECRET or PEERLANE_CHAP_SECRET_FILE in the environment.
Patterns: read, write, rw go through the range in order, each session through a part of its own, again and again;
randread, randwrite, randrw go anywhere. rw and randrw mix, with --read-percent reads. (mix is another name for randrw.)
What writes OVERWRITES the disk and asks for --yes, unless the disk is ram:SIZE.
Latency is from making an I/O to its result, in this process; percentiles err by less than 1 %.
--verify: writes stamp each block with its place and the run's seed; at the end all that was written is read back and
compared. A reading run with the --seed of an earlier one checks what that one wrote. The first bad offset ends the run.
SIGINT ends a run early and reports what was measured until then.
Exit codes: 0 done, 1 something failed, 2 the command line is wrong, 3 verification found a difference, 4 interrupted.

Examples:
  peerlane bench iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0
      Random reads of 4 KiB, 32 at a time, for 10 seconds.
  peerlane bench /dev/vg0/scratch --pattern write --block-size 1M --depth 8 --bytes 20G --yes
      20 GiB in order, in large blocks.
  peerlane bench iscsi://... --pattern randrw --read-percent 70 --sessions 4 --threads 2 --time 60 --warm-up 5 --yes
      A mix over four sessions from two processors.
  peerlane bench iscsi://... --rate 1000 --depth 8 --time 300 --json
      Latency at a given rate, for programs.
  peerlane bench iscsi://... --pattern randwrite --verify --seed 7 --bytes 4G --yes
      Wrong, lost and misplaced data.
)";

void add_load_options(CLI::App& command, BenchArguments& arguments) {
  const std::string group = "Load";
  command.add_option("-p,--pattern", arguments.pattern, "What is done (default: randread)")
      ->check(CLI::IsMember({"read", "write", "rw", "randread", "randwrite", "randrw", "mix"}).description(""))
      ->type_name("read|write|rw|randread|randwrite|randrw")
      ->group(group);
  command.add_option("--read-percent", arguments.read_percent, "How many of a mix are reads (default: 70)")
      ->check(CLI::Range(0u, 100u).description(""))
      ->type_name("N")
      ->group(group);
  command.add_option("-b,--block-size", arguments.block_size, "Of each I/O (default: 4K)")
      ->type_name("SIZE")
      ->group(group);
  command.add_option("-q,--depth", arguments.depth, "I/Os under way at the same time, in each session (default: 32)")
      ->check(CLI::Range(1u, limits::kBenchDepth).description(""))
      ->type_name("N")
      ->group(group);
  command
      .add_option("-s,--sessions", arguments.sessions,
                  "Sessions with the target, a connection each; of a local disk, so many times --depth (default: 1)")
      ->check(CLI::Range(1u, limits::kBenchSessions).description(""))
      ->type_name("N")
      ->group(group);
  command.add_option("--threads", arguments.threads, "Threads over which the sessions are spread (default: 1)")
      ->check(CLI::Range(1u, limits::kThreads).description(""))
      ->type_name("N")
      ->group(group);
  command.add_option("--rate", arguments.rate, "At most so many I/Os a second, of all sessions (default: no limit)")
      ->check(CLI::Range(0.001, static_cast<double>(limits::kMostIops)).description(""))
      ->type_name("IOPS")
      ->group(group);
  command.add_flag("--fua", arguments.fua, "Each write is on stable storage before it counts as done")->group(group);
}

void add_extent_options(CLI::App& command, BenchArguments& arguments) {
  const std::string group = "How long and where";
  const auto seconds = CLI::Range(0.0, static_cast<double>(limits::kBenchSeconds)).description("");
  command.add_option("-t,--time", arguments.time, "How long it is measured (default: 10, or until --bytes are done)")
      ->check(seconds)
      ->type_name("SECONDS")
      ->group(group);
  command.add_option("--bytes", arguments.bytes, "How much is read and written (default: no limit)")
      ->type_name("SIZE")
      ->group(group);
  command.add_option("--warm-up", arguments.warm_up, "Load before that, which is not counted (default: 0)")
      ->check(seconds)
      ->type_name("SECONDS")
      ->group(group);
  command.add_option("--offset", arguments.offset, "Where the range begins (default: 0)")
      ->type_name("SIZE")
      ->group(group);
  command.add_option("--length", arguments.length, "How long the range is (default: to the end of the disk)")
      ->type_name("SIZE")
      ->group(group);
}

void add_check_options(CLI::App& command, BenchArguments& arguments) {
  const std::string group = "What is written";
  command.add_flag("-y,--yes", arguments.yes, "Overwrite what is on the disk: asked for by all patterns that write")
      ->group(group);
  command.add_flag("--verify", arguments.verify, "Check every block that is read against what must be there")
      ->group(group);
  command
      .add_option("--seed", arguments.seed, "What blocks are stamped with (default: chosen at random, and reported)")
      ->type_name("N")
      ->group(group);
}

Result<std::uint64_t> size_of(const std::string& text, const char* option) {
  auto size = parse_size(text);
  if (!size) return fail(size.error().code, fmt::format("{}: {}", option, size.error().text()));
  return size;
}

io::Duration to_duration(double seconds) {
  return std::chrono::duration_cast<io::Duration>(std::chrono::duration<double>(seconds));
}

Result<std::uint64_t> choose_seed(const BenchArguments& arguments) {
  if (!arguments.seed.empty()) return parse_number(arguments.seed, "--seed");
  if (arguments.verify && !arguments.writes()) {
    return fail(EINVAL, "--verify without writing checks what an earlier run has written: give that run's --seed");
  }
  std::random_device random;
  return random();
}

}  // namespace

void add_bench_options(CLI::App& command, BenchArguments& arguments) {
  command.footer(kBenchFooter);
  command.add_option("DISK", arguments.disk, "The disk to be measured")->required()->type_name("");
  add_load_options(command, arguments);
  add_extent_options(command, arguments);
  add_check_options(command, arguments);
  const std::string group = "Output";
  command.add_flag("--json", arguments.json, "Report one JSON object")->group(group);
  command.add_flag("--quiet", arguments.quiet, "No progress on the terminal")->group(group);
  command.add_flag("--no-direct", arguments.no_direct, "Files: through the kernel's page cache instead of O_DIRECT");
}

Result<LoadOptions> to_load_options(const BenchArguments& arguments) {
  LoadOptions options;
  const std::string& pattern = arguments.pattern;
  options.random = pattern.starts_with("rand") || pattern == "mix";
  if (!arguments.writes()) {
    options.read_percent = 100;
  } else {
    options.read_percent = pattern.ends_with("write") ? 0 : arguments.read_percent;
  }
  const auto block = size_of(arguments.block_size, "--block-size");
  if (!block) return std::unexpected(block.error());
  if (*block == 0 || *block % 512 != 0 || *block > limits::kBenchBlockBytes) {
    return fail(EINVAL, fmt::format("--block-size is a multiple of 512, from 512 to {}",
                                    format_size(limits::kBenchBlockBytes)));
  }
  options.block_bytes = *block;
  options.depth = arguments.depth;
  options.sessions = arguments.sessions;
  if (arguments.threads > arguments.sessions) {
    return fail(EINVAL, fmt::format("--threads {} asks for at least as many --sessions", arguments.threads));
  }
  if (*block * options.depth > limits::kBenchMemory / options.sessions) {
    return fail(EINVAL,
                fmt::format("so many I/Os of that size take more than {} of memory: lower --depth, --sessions or "
                            "--block-size",
                            format_size(limits::kBenchMemory)));
  }
  options.fua = arguments.fua;
  options.rate = arguments.rate;
  options.verify = arguments.verify;
  options.warm_up = to_duration(arguments.warm_up);
  if (!arguments.bytes.empty()) {
    const auto bytes = size_of(arguments.bytes, "--bytes");
    if (!bytes) return std::unexpected(bytes.error());
    options.ios = *bytes / *block;
    if (options.ios == 0) return fail(EINVAL, "--bytes is less than one --block-size");
  }
  const bool timed = arguments.time > 0 || options.ios == 0;
  if (timed) options.time = to_duration(arguments.time > 0 ? arguments.time : kSeconds);
  const auto seed = choose_seed(arguments);
  if (!seed) return std::unexpected(seed.error());
  options.seed = *seed;
  return options;
}

Result<void> fit_to_disk(const BenchArguments& arguments, const block::Geometry& geometry, LoadOptions& options) {
  const std::uint32_t unit = geometry.logical_block_size;
  if (options.block_bytes % unit != 0) {
    return fail(EINVAL, fmt::format("--block-size is a multiple of the disk's blocks of {} bytes", unit));
  }
  if (!arguments.offset.empty()) {
    const auto offset = size_of(arguments.offset, "--offset");
    if (!offset) return std::unexpected(offset.error());
    options.begin = *offset;
  }
  if (options.begin % unit != 0) {
    return fail(EINVAL, fmt::format("--offset is a multiple of the disk's blocks of {} bytes", unit));
  }
  if (options.begin >= geometry.size) {
    return fail(ERANGE, fmt::format("--offset is beyond the end of the disk, which has {} bytes", geometry.size));
  }
  std::uint64_t length = geometry.size - options.begin;
  if (!arguments.length.empty()) {
    const auto given = size_of(arguments.length, "--length");
    if (!given) return std::unexpected(given.error());
    if (*given > length) {
      return fail(ERANGE, fmt::format("the range goes beyond the end of the disk, which has {} bytes", geometry.size));
    }
    length = *given;
  }
  const std::uint64_t blocks = length / options.block_bytes;
  if (blocks < options.sessions) {
    return fail(ERANGE, fmt::format("the range has room for {} blocks of {} bytes, and there are {} sessions", blocks,
                                    options.block_bytes, options.sessions));
  }
  if (options.verify && blocks > limits::kBenchMarkedBlocks) {
    return fail(ERANGE, "that is too large a range to verify: give a smaller --length, or a larger --block-size");
  }
  options.end = options.begin + blocks * options.block_bytes;
  return {};
}

}  // namespace peerlane::cli
