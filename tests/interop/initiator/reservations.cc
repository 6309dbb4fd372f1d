#include "reservations.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <netinet/in.h>
#include <sys/socket.h>

#include "scsi/persistent_reservation.h"
#include "support.h"

namespace peerlane::exercise {
namespace {

using initiator::Lun;
using scsi::ReservationType;
using scsi::ReserveOutAction;

constexpr std::uint64_t kFirstKey = 0xa11ce;
constexpr std::uint64_t kSecondKey = 0xb0b;

// Another name, and not just another ISID: LIO takes all ports of a name but the holder's for not registered.
constexpr const char* kSecond = ":second";

io::Task<std::unique_ptr<Lun>> open(io::Reactor& reactor, std::string text, std::string suffix) {
  initiator::DiskOptions options = options_from_environment();
  options.session.login.initiator_name =
      value_of(initiator::initiator_name(options.environment), "the initiator's name") + suffix;
  options.lun.without_size = true;
  auto url = value_of(iscsi::parse_url(text), "the URL");
  auto opening = initiator::open_disk(reactor, std::move(url), std::move(options));
  auto opened = co_await std::move(opening);
  co_return value_of(std::move(opened), "opening");
}

/// PERSISTENT RESERVE OUT: 0, or the code of its error.
io::Task<int> change(Lun& disk, ReserveOutAction action, std::optional<ReservationType> type, std::uint64_t key,
                     std::uint64_t action_key) {
  scsi::ReserveOutParameters parameters;
  parameters.key = key;
  parameters.action_key = action_key;
  auto list = scsi::encode_reserve_out(parameters);
  const auto done = co_await disk.reserve_out(action, type, std::move(list));
  co_return done ? 0 : done.error().code;
}

io::Task<void> expect_change(Lun& disk, ReserveOutAction action, std::optional<ReservationType> type, std::uint64_t key,
                             std::uint64_t action_key, int expected, std::string what) {
  const int code = co_await change(disk, action, type, key, action_key);
  require(code == expected, fmt::format("{}: errno {}, and not {}", what, code, expected));
}

/// Writes a block and reads it, each to end with such a code; 0 is success.
io::Task<void> expect_access(Lun& disk, int writing, int reading, std::string who) {
  constexpr std::size_t kBlock = 4096;
  static std::uint32_t seed = 1;
  const auto fresh = pattern(kBlock, ++seed);
  std::vector<std::uint8_t> seen(kBlock);
  const auto written = co_await disk.write(0, fresh, block::WriteFlags::kNone);
  const int write_code = written ? 0 : written.error().code;
  require(write_code == writing, fmt::format("{} writes: errno {}, and not {}", who, write_code, writing));
  const auto read = co_await disk.read(0, seen);
  const int read_code = read ? 0 : read.error().code;
  require(read_code == reading, fmt::format("{} reads: errno {}, and not {}", who, read_code, reading));
  if (reading == 0) require((seen == fresh) == (writing == 0), who + " reads other data than those that were written");
}

io::Task<std::vector<std::uint64_t>> keys_of(Lun& disk) {
  auto bytes = co_await disk.reserve_in(scsi::ReserveInAction::kReadKeys);
  const auto keys = scsi::decode_reservation_keys(value_of(std::move(bytes), "read keys"));
  require(keys.has_value(), "read keys: the answer makes no sense");
  co_return keys->keys;
}

/// Whether a disk that others have reserved can be opened, and says how large it is.
io::Task<bool> tells_its_size(io::Reactor& reactor, std::string url) {
  auto opening = open(reactor, std::move(url), kSecond);
  const auto disk = co_await std::move(opening);
  const bool tells = disk->geometry().size != 0;
  auto closed = co_await disk->close();
  value_of(std::move(closed), "closing");
  co_return tells;
}

/// All that two can do with a reservation of that type; at the end there is none, and nobody is registered.
io::Task<void> take_turns(Lun& first, Lun& second, ReservationType type) {
  const int refused = EBADE;
  const int reading = scsi::is_write_exclusive(type) ? 0 : refused;
  co_await expect_change(first, ReserveOutAction::kRegister, {}, 0, kFirstKey, 0, "the first registers");
  co_await expect_change(first, ReserveOutAction::kReserve, type, kFirstKey, 0, 0, "the first reserves");
  co_await expect_access(first, 0, 0, "the holder");
  co_await expect_access(second, refused, reading, "a stranger");
  co_await expect_change(second, ReserveOutAction::kReserve, type, kSecondKey, 0, refused, "a stranger reserves");
  co_await expect_change(second, ReserveOutAction::kRegister, {}, 0, kSecondKey, 0, "the second registers");
  co_await expect_access(second, refused, reading, "one that is registered");
  co_await expect_change(second, ReserveOutAction::kReserve, type, kSecondKey, 0, refused, "the second reserves");

  co_await expect_change(second, ReserveOutAction::kPreempt, type, kSecondKey, kFirstKey, 0, "the second preempts");
  const auto left = co_await keys_of(second);
  require(left == std::vector{kSecondKey}, "the preempted one is still registered");
  co_await expect_access(second, 0, 0, "the new holder");
  co_await expect_access(first, refused, reading, "the preempted one");
  co_await expect_change(first, ReserveOutAction::kRelease, type, kFirstKey, 0, refused, "the preempted one releases");

  co_await expect_change(second, ReserveOutAction::kRelease, type, kSecondKey, 0, 0, "the second releases");
  co_await expect_access(first, 0, 0, "the first, when nothing is reserved,");
  co_await expect_change(second, ReserveOutAction::kClear, {}, kSecondKey, 0, 0, "the second clears");
  const auto none = co_await keys_of(first);
  require(none.empty(), "somebody is registered after clear");
}

/// Ends all TCP connections of this process.
void cut_connections() {
  constexpr int kMostDescriptors = 256;
  for (int fd = 3; fd < kMostDescriptors; ++fd) {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    const bool connected = getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
    if (connected && (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)) shutdown(fd, SHUT_RDWR);
  }
}

/// Whether a session that has logged in again is the same I_T nexus to the target as before: it has the same ISID.
io::Task<bool> survives(Lun& first, Lun& second) {
  const auto type = ReservationType::kExclusiveAccess;
  co_await expect_change(first, ReserveOutAction::kRegister, {}, 0, kFirstKey, 0, "registering before the cut");
  co_await expect_change(first, ReserveOutAction::kReserve, type, kFirstKey, 0, 0, "reserving before the cut");
  cut_connections();
  const auto state = co_await second.reserve_in(scsi::ReserveInAction::kReadReservation);
  const bool held = state && scsi::decode_reservation_state(*state).value_or(scsi::ReservationState()).reservation;
  std::vector<std::uint8_t> block(4096);
  const auto read = co_await first.read(0, block);
  require(first.session().reconnects() > 0 && second.session().reconnects() > 0, "nothing was cut");
  if (!held || !read) co_return false;
  co_await expect_access(first, 0, 0, "the holder after the cut");
  co_await expect_access(second, EBADE, EBADE, "the other one after the cut");
  co_await expect_change(first, ReserveOutAction::kClear, {}, kFirstKey, 0, 0, "clearing after the cut");
  co_return true;
}

}  // namespace

io::Task<void> reservations(io::Reactor& reactor, std::string url) {
  auto opening_first = open(reactor, url, "");
  const auto first = co_await std::move(opening_first);
  auto opening_second = open(reactor, url, kSecond);
  const auto second = co_await std::move(opening_second);
  co_await take_turns(*first, *second, ReservationType::kWriteExclusive);
  co_await take_turns(*first, *second, ReservationType::kExclusiveAccess);

  co_await expect_change(*first, ReserveOutAction::kRegister, {}, 0, kFirstKey, 0, "registering");
  co_await expect_change(*first, ReserveOutAction::kReserve, ReservationType::kExclusiveAccess, kFirstKey, 0, 0,
                         "reserving");
  auto asking = tells_its_size(reactor, url);
  const bool tells = co_await std::move(asking);
  co_await expect_change(*first, ReserveOutAction::kClear, {}, kFirstKey, 0, 0, "clearing");
  const bool survived = co_await survives(*first, *second);
  fmt::print("size_while_reserved {}\nsurvives_reconnect {}\n", tells, survived);
  for (const auto* disk : {&first, &second}) {
    auto closed = co_await (*disk)->close();
    value_of(std::move(closed), "closing");
  }
}

}  // namespace peerlane::exercise
