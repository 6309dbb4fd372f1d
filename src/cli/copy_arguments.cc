#include "cli/copy_arguments.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/limits.h"
#include "base/units.h"

namespace peerlane::cli {
namespace {

constexpr const char* kCopyFooter =
    R"(SOURCE and DESTINATION: PATH of a file or block device, ram:SIZE, or - for standard input or output.
A file as destination is made if it is not there, and grows if it is too short for what is copied; one that is longer
keeps its length and what lies behind (--truncate cuts that off). A block device that is too small, mounted or in use,
and a disk that is copied to itself are refused before anything is written. Sizes may be given as 512, 64K, 10G.
Success means that all of it is on stable storage. SIGINT and SIGTERM end the copy cleanly.
Exit codes: 0 done, 1 something failed, 2 the command line is wrong, 3 --verify found a difference, 4 interrupted.

Examples:
  peerlane copy disk.img /dev/vg0/lv1 --verify
      A file to a block device, read back and compared.
  peerlane copy /dev/vg0/lv1 backup.img --sparse always
      A block device to a file, with holes where it has zeroes.
  peerlane copy big.img /mnt/nas/big.img --resume big.journal
      The same command again goes on where it was interrupted.
  zcat disk.img.gz | peerlane copy - /dev/sdx
      From standard input.
  peerlane copy disk.img copy.img --explain
      Says what would be done, and does nothing.
  peerlane copy /dev/nvme0n1 /dev/nvme1n1 --only peer-to-peer
      Over the PCI Express bus from disk to disk, or not at all.
  peerlane copy iscsi://storage/iqn.2026-11.org.example:a/0 iscsi://storage/iqn.2026-11.org.example:a/1
      Done by the target itself, if it can: nothing of the data comes here.
)";

void add_range_options(CLI::App& command, CopyArguments& arguments) {
  const std::string group = "Range";
  command.add_option("--offset", arguments.offset, "Where in the source to begin (default: 0)")
      ->type_name("SIZE")
      ->group(group);
  command.add_option("--length", arguments.length, "How much to copy (default: to the end of the source)")
      ->type_name("SIZE")
      ->group(group);
  command
      .add_option("--destination-offset", arguments.destination_offset,
                  "Where in the destination to begin (default: 0)")
      ->type_name("SIZE")
      ->group(group);
}

void add_destination_options(CLI::App& command, CopyArguments& arguments) {
  const std::string group = "Destination";
  command
      .add_option("--sparse", arguments.sparse,
                  "Zeroes become holes: what the source says has no space (auto), zeroes found in its data as well "
                  "(always), or nothing: every byte is written (never) (default: auto)")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""))
      ->type_name("auto|always|never")
      ->group(group);
  command.add_flag("--no-grow", arguments.no_grow, "Refuse a file that is not there or is too short")->group(group);
  command.add_flag("--truncate", arguments.truncate, "Cut off what a file has behind the end of the copy")
      ->group(group);
  command.add_flag("--force", arguments.force, "Write to a block device although it is mounted or in use")
      ->group(group);
}

void add_run_options(CLI::App& command, CopyArguments& arguments) {
  const std::string group = "How it is done";
  command.add_flag("--verify", arguments.verify, "Read the destination back and compare it with the source")
      ->group(group);
  command
      .add_option("--resume", arguments.resume,
                  "Keep a journal in this file, and go on where it says that an earlier copy ended; it is removed when "
                  "the copy is complete")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--rate", arguments.rate, "At most so many bytes a second (default: no limit)")
      ->type_name("SIZE")
      ->group(group);
  command
      .add_option("--depth", arguments.depth,
                  "Requests under way at the same time (default: as many as are found to be best)")
      ->check(CLI::Range(1u, limits::kMostCopyDepth).description(""))
      ->type_name("N")
      ->group(group);
  command.add_option("--request-size", arguments.request_size, "Bytes of one request (default: 1M)")
      ->type_name("SIZE")
      ->group(group);
  command
      .add_option("--only", arguments.only,
                  "Move data in this way, and fail where it cannot be had (default: the shortest one that can)")
      ->check(CLI::IsMember({"clone", "server-side-copy", "nvme-copy", "peer-to-peer", "third-party", "host-memory"})
                  .description(""))
      ->type_name("clone|server-side-copy|nvme-copy|peer-to-peer|third-party|host-memory")
      ->group(group);
  command
      .add_option("--p2p", arguments.p2p,
                  "Between which disks data may go over the bus: none, those behind one switch, or all for which the "
                  "kernel does it, host bridges included (default: same-switch)")
      ->check(CLI::IsMember({"off", "same-switch", "kernel"}).description(""))
      ->type_name("off|same-switch|kernel")
      ->group(group);
  command.add_flag("--no-direct", arguments.no_direct, "Go through the kernel's page cache instead of O_DIRECT")
      ->group(group);
}

void add_report_options(CLI::App& command, CopyArguments& arguments) {
  const std::string group = "Output";
  command
      .add_flag("--explain", arguments.explain,
                "Print what would be done, and why in no shorter way; nothing is written")
      ->group(group);
  command
      .add_option("--progress", arguments.progress,
                  "On standard error: a bar, a line every few seconds, JSON objects, or nothing (default: a bar on a "
                  "terminal, otherwise lines)")
      ->check(CLI::IsMember({"auto", "bar", "lines", "json", "none"}).description(""))
      ->type_name("auto|bar|lines|json|none")
      ->group(group);
  command.add_flag("--quiet", arguments.quiet, "Print errors only")->group(group);
  command.add_flag("--json", arguments.json, "Print the result, or the plan, as one JSON object")->group(group);
}

/// The value of an option that is a size; `missing` if it was not given.
Result<std::uint64_t> size_of(const char* option, const std::string& text, std::uint64_t missing) {
  if (text.empty()) return missing;
  auto size = parse_size(text);
  if (size) return size;
  return fail(size.error().code, fmt::format("{}: {}", option, size.error().text()));
}

/// The same with bounds.
Result<std::uint64_t> size_between(const char* option, const std::string& text, std::uint64_t missing,
                                   std::uint64_t least, std::uint64_t most) {
  auto size = size_of(option, text, missing);
  if (!size || *size == missing || (*size >= least && *size <= most)) return size;
  return fail(ERANGE, fmt::format("{}: from {} to {} are possible", option, format_size(least), format_size(most)));
}

copy::Sparse parse_sparse(const std::string& text) {
  if (text == "always") return copy::Sparse::kAlways;
  return text == "never" ? copy::Sparse::kNever : copy::Sparse::kAuto;
}

Result<void> check_together(const CopyArguments& arguments) {
  if (arguments.source == "-" && arguments.destination == "-") {
    return fail(EINVAL, "from standard input to standard output is what cat(1) does; name a disk on one side");
  }
  if (arguments.source == "-" && !arguments.offset.empty()) {
    return fail(EINVAL, "--offset: standard input is read from where it is");
  }
  if (arguments.destination == "-" && !arguments.destination_offset.empty()) {
    return fail(EINVAL, "--destination-offset: standard output is written from where it is");
  }
  if (arguments.destination == "-" && arguments.explain) {
    return fail(EINVAL, "--explain prints to standard output, and cannot have it as destination too");
  }
  if (!arguments.only.empty() && arguments.only != "host-memory" && arguments.sparse == "always") {
    return fail(EINVAL, "--sparse always: zeroes are found by reading the data; --only host-memory goes with it");
  }
  if (arguments.no_grow && arguments.truncate) {
    return fail(EINVAL, "--no-grow and --truncate: one keeps the file's length, the other changes it");
  }
  return {};
}

}  // namespace

Result<CopyOptions> to_options(const CopyArguments& arguments) {
  const auto together = check_together(arguments);
  if (!together) return std::unexpected(together.error());
  const auto offset = size_of("--offset", arguments.offset, 0);
  const auto length = size_of("--length", arguments.length, 0);
  const auto destination_offset = size_of("--destination-offset", arguments.destination_offset, 0);
  const auto rate = size_between("--rate", arguments.rate, 0, limits::kLeastCopyRate, limits::kMostCopyRate);
  auto request = size_between("--request-size", arguments.request_size, limits::kCopyRequestBytes,
                              limits::kLeastCopyRequestBytes, limits::kCopyRequestBytes);
  if (request && *request % 4096 != 0) request = fail(EINVAL, "--request-size: give a multiple of 4K");
  for (const auto* size : {&offset, &length, &destination_offset, &rate, &std::as_const(request)}) {
    if (!*size) return std::unexpected(size->error());
  }
  CopyOptions options;
  options.plan.source_offset = *offset;
  if (!arguments.length.empty()) options.plan.length = *length;
  options.plan.destination_offset = *destination_offset;
  options.plan.sparse = parse_sparse(arguments.sparse);
  const auto policy = pcie::parse_policy(arguments.p2p);
  if (!policy) return std::unexpected(policy.error());
  options.plan.policy = *policy;
  if (!arguments.only.empty()) {
    const auto only = copy::parse_way(arguments.only);
    if (!only) return std::unexpected(only.error());
    options.plan.only = *only;
  }
  options.job.depth = arguments.depth;
  options.job.request_bytes = *request;
  options.job.rate = *rate;
  options.job.verify = arguments.verify;
  options.job.journal = arguments.resume;
  return options;
}

void add_copy_options(CLI::App& command, CopyArguments& arguments) {
  command.footer(kCopyFooter);
  command.add_option("SOURCE", arguments.source, "What is copied")->required()->type_name("");
  command.add_option("DESTINATION", arguments.destination, "Where it is copied to")->required()->type_name("");
  add_range_options(command, arguments);
  add_destination_options(command, arguments);
  add_run_options(command, arguments);
  add_report_options(command, arguments);
}

}  // namespace peerlane::cli
