#include "copy/journal.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "block/descriptor_device.h"

namespace peerlane::copy {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMagic = "peerlane-copy 1 ";

std::string encode(const JournalEntry& entry) {
  const ordered_json content = {{"source", entry.source},
                                {"source_identity", entry.source_identity},
                                {"source_offset", entry.source_offset},
                                {"destination", entry.destination},
                                {"destination_identity", entry.destination_identity},
                                {"destination_offset", entry.destination_offset},
                                {"length", entry.length},
                                {"done", entry.done}};
  const std::string text = content.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return fmt::format("{}{:08x}\n{}", kMagic, crc32c(as_bytes(text)), text);
}

/// Paths need not be UTF-8, and what is compared must be what was written.
std::string printable(const std::string& text) {
  return ordered_json::parse(ordered_json(text).dump(-1, ' ', false, ordered_json::error_handler_t::replace))
      .get<std::string>();
}

std::optional<JournalEntry> decode(const std::string& file) {
  const auto line_end = file.find('\n');
  if (!file.starts_with(kMagic) || line_end == std::string::npos) return std::nullopt;
  const std::string text = file.substr(line_end + 1);
  if (file.substr(kMagic.size(), line_end - kMagic.size()) != fmt::format("{:08x}", crc32c(as_bytes(text)))) {
    return std::nullopt;
  }
  const ordered_json content = ordered_json::parse(text, nullptr, false);
  try {
    JournalEntry entry;
    content.at("source").get_to(entry.source);
    content.at("source_identity").get_to(entry.source_identity);
    content.at("source_offset").get_to(entry.source_offset);
    content.at("destination").get_to(entry.destination);
    content.at("destination_identity").get_to(entry.destination_identity);
    content.at("destination_offset").get_to(entry.destination_offset);
    content.at("length").get_to(entry.length);
    content.at("done").get_to(entry.done);
    if (entry.done > entry.length) return std::nullopt;
    return entry;
  } catch (const ordered_json::exception&) {  // a key is missing or of another kind
    return std::nullopt;
  }
}

Error failed(const std::string& doing, const std::string& path) {
  return Error::from_errno(errno, fmt::format("cannot {} the journal {}", doing, path));
}

Result<void> sync_directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const block::Descriptor directory(open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) return std::unexpected(failed("keep", path));
  return {};
}

}  // namespace

JournalEntry JournalEntry::of(const Plan& plan) {
  return {.source = printable(plan.source().name),
          .source_identity = printable(plan.source().identity),
          .source_offset = plan.source_offset(),
          .destination = printable(plan.destination().name),
          .destination_identity = printable(plan.destination().identity),
          .destination_offset = plan.destination_offset(),
          .length = plan.length(),
          .done = 0};
}

Result<std::optional<JournalEntry>> Journal::read() const {
  const block::Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::optional<JournalEntry>();
  if (file.get() < 0) return std::unexpected(failed("read", path_));
  std::string text(limits::kJournalBytes, '\0');
  std::size_t size = 0;
  ssize_t got = 0;
  while (size < text.size() && (got = ::read(file.get(), text.data() + size, text.size() - size)) > 0) {
    size += static_cast<std::size_t>(got);
  }
  if (got < 0) return std::unexpected(failed("read", path_));
  text.resize(size);
  auto entry = decode(text);
  if (entry) return entry;
  return fail(EINVAL, fmt::format("{} is not the journal of a copy, or is damaged; remove it to start from the "
                                  "beginning, or name another file",
                                  path_));
}

Result<void> Journal::write(const JournalEntry& entry) const {
  const std::string text = encode(entry);
  const std::string next = path_ + ".new";
  {
    const block::Descriptor file(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return std::unexpected(failed("write", path_));
    const ssize_t put = ::write(file.get(), text.data(), text.size());
    if (put >= 0 && static_cast<std::size_t>(put) != text.size()) errno = ENOSPC;
    if (put < 0 || static_cast<std::size_t>(put) != text.size() || fsync(file.get()) != 0) {
      return std::unexpected(failed("write", path_));
    }
  }
  if (std::rename(next.c_str(), path_.c_str()) != 0) return std::unexpected(failed("write", path_));
  return sync_directory_of(path_);
}

Result<void> Journal::remove() const {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return std::unexpected(failed("remove", path_));
  return {};
}

std::string mismatch(const JournalEntry& then, const JournalEntry& now) {
  // Disks may have other names after a start of the machine: what they are counts.
  if (then.source_identity != now.source_identity) {
    if (then.source != now.source) return fmt::format("it is about the source {}", then.source);
    return fmt::format("{} has changed since", now.source);
  }
  if (then.destination_identity != now.destination_identity) {
    if (then.destination != now.destination) return fmt::format("it is about the destination {}", then.destination);
    return fmt::format("{} is not what it was, but another disk or file of the same name", now.destination);
  }
  if (then.source_offset != now.source_offset || then.destination_offset != now.destination_offset ||
      then.length != now.length) {
    return fmt::format("it is about {} bytes from offset {} to offset {}", then.length, then.source_offset,
                       then.destination_offset);
  }
  return {};
}

}  // namespace peerlane::copy
