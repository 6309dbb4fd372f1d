#include "target/persistent_reservations.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "scsi/sense_codes.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::ReservationType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr ReservationType kAllTypes[] = {
    ReservationType::kWriteExclusive,
    ReservationType::kExclusiveAccess,
    ReservationType::kWriteExclusiveRegistrantsOnly,
    ReservationType::kExclusiveAccessRegistrantsOnly,
    ReservationType::kWriteExclusiveAllRegistrants,
    ReservationType::kExclusiveAccessAllRegistrants,
};

NexusName nexus(const std::string& name, std::uint16_t port = 1) {
  return {"iqn.2026-11.test:" + name, 0x800000000001, port};
}
const NexusName kA = nexus("a");
const NexusName kB = nexus("b");
const NexusName kC = nexus("c");
const NexusName kD = nexus("d");

/// An attention as a pair that can be compared.
using Told = std::pair<std::string, scsi::SenseCode>;
std::vector<Told> told(const ReservationResult& result) {
  std::vector<Told> list;
  for (const auto& attention : result.value().attentions) list.emplace_back(attention.nexus.initiator, attention.code);
  return list;
}
Told tells(const NexusName& name, scsi::SenseCode code) {
  return {name.initiator, code};
}
std::vector<std::string> preempted(const ReservationResult& result) {
  std::vector<std::string> list;
  for (const NexusName& name : result.value().preempted) list.push_back(name.initiator);
  return list;
}

void expect_conflict(const ReservationResult& result) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().status, scsi::Status::kReservationConflict);
  EXPECT_FALSE(result.error().sense);
}
void expect_refused(const ReservationResult& result, scsi::SenseCode code, int byte = -1) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().status, scsi::Status::kCheckCondition);
  ASSERT_TRUE(result.error().sense);
  EXPECT_EQ(result.error().sense->key, scsi::SenseKey::kIllegalRequest);
  EXPECT_EQ(result.error().sense->code, code);
  if (byte >= 0) {
    EXPECT_EQ(result.error().sense->field->byte, byte);
  }
}

/// A, B and C registered with the keys 0xa, 0xb and 0xc; D is not.
PersistentReservations registered() {
  PersistentReservations reservations;
  std::uint64_t key = 0xa;
  for (const NexusName& name : {kA, kB, kC}) {
    EXPECT_TRUE(reservations.register_key(name, {.key = 0, .action_key = key++}));
  }
  return reservations;
}
/// The same, and A has reserved.
PersistentReservations reserved(ReservationType type) {
  PersistentReservations reservations = registered();
  EXPECT_TRUE(reservations.reserve(kA, 0xa, type));
  return reservations;
}

/// Whether a refused change has left everything as it was.
void expect_same(const PersistentReservations& one, const PersistentReservations& other) {
  EXPECT_EQ(one.generation(), other.generation());
  EXPECT_TRUE(std::ranges::equal(one.registrations(), other.registrations()));
  EXPECT_EQ(one.type(), other.type());
  EXPECT_EQ(one.persist(), other.persist());
}

std::vector<std::uint64_t> keys(const PersistentReservations& reservations) {
  std::vector<std::uint64_t> list;
  for (const auto& registration : reservations.registrations()) list.push_back(registration.key);
  return list;
}
std::vector<std::string> holders(const PersistentReservations& reservations) {
  std::vector<std::string> list;
  for (const auto& registration : reservations.registrations()) {
    if (reservations.is_holder(registration)) list.push_back(registration.nexus.initiator);
  }
  return list;
}

// --- Who may do what (SPC-4 table 67) ---

TEST(PersistentReservations, ConflictsOfEveryTypeRoleAndClass) {
  enum Role { kHolder, kRegistered, kUnregistered };
  struct Row {
    ReservationType type;
    Role role;
    bool read, write;  // conflict
  };
  using enum ReservationType;
  constexpr Row kRows[] = {
      {kWriteExclusive, kHolder, false, false},
      {kWriteExclusive, kRegistered, false, true},
      {kWriteExclusive, kUnregistered, false, true},
      {kExclusiveAccess, kHolder, false, false},
      {kExclusiveAccess, kRegistered, true, true},
      {kExclusiveAccess, kUnregistered, true, true},
      {kWriteExclusiveRegistrantsOnly, kHolder, false, false},
      {kWriteExclusiveRegistrantsOnly, kRegistered, false, false},
      {kWriteExclusiveRegistrantsOnly, kUnregistered, false, true},
      {kExclusiveAccessRegistrantsOnly, kHolder, false, false},
      {kExclusiveAccessRegistrantsOnly, kRegistered, false, false},
      {kExclusiveAccessRegistrantsOnly, kUnregistered, true, true},
      {kWriteExclusiveAllRegistrants, kHolder, false, false},
      {kWriteExclusiveAllRegistrants, kRegistered, false, false},
      {kWriteExclusiveAllRegistrants, kUnregistered, false, true},
      {kExclusiveAccessAllRegistrants, kHolder, false, false},
      {kExclusiveAccessAllRegistrants, kRegistered, false, false},
      {kExclusiveAccessAllRegistrants, kUnregistered, true, true},
  };
  for (const Row& row : kRows) {
    const auto reservations = reserved(row.type);
    const NexusName& name = row.role == kHolder ? kA : row.role == kRegistered ? kB : kD;
    const ConflictSet set = reservations.conflicts(name);
    const auto conflicts = [set](ReservationClass which) { return (set & conflict(which)) != 0; };
    SCOPED_TRACE(static_cast<int>(row.type) * 10 + row.role);
    EXPECT_EQ(conflicts(ReservationClass::kRead), row.read);
    EXPECT_EQ(conflicts(ReservationClass::kWrite), row.write);
    EXPECT_FALSE(conflicts(ReservationClass::kAllowed));
    EXPECT_FALSE(conflicts(ReservationClass::kUnreserved));
    EXPECT_FALSE(conflicts(ReservationClass::kExclusive));
  }
}

TEST(PersistentReservations, WithoutAReservationNothingConflicts) {
  const auto reservations = registered();
  for (const NexusName& name : {kA, kD}) EXPECT_EQ(reservations.conflicts(name), 0u);
}

TEST(PersistentReservations, EveryPartOfTheNameCounts) {
  const auto reservations = reserved(ReservationType::kExclusiveAccess);
  NexusName other = kA;
  other.isid ^= 1;
  EXPECT_NE(reservations.conflicts(other), 0u);
  EXPECT_EQ(reservations.find(other), nullptr);
  other = kA;
  other.portal_group = 2;
  EXPECT_NE(reservations.conflicts(other), 0u);
}

// --- REGISTER ---

TEST(PersistentReservations, RegisterTableOfTheStandard) {
  struct Row {
    bool ignore;
    const NexusName& nexus;
    std::uint64_t key, action_key;
    bool good;
    std::vector<std::uint64_t> after;
  };
  const Row rows[] = {
      // REGISTER on an unregistered nexus (SPC-4 table 63)
      {false, kD, 0, 0, true, {0xa, 0xb, 0xc}},
      {false, kD, 0, 0xd, true, {0xa, 0xb, 0xc, 0xd}},
      {false, kD, 0xd, 0xd, false, {}},
      {false, kD, 0xa, 0, false, {}},
      // ...and on a registered one
      {false, kB, 0, 0xbb, false, {}},
      {false, kB, 0xa, 0xbb, false, {}},
      {false, kB, 0xa, 0, false, {}},
      {false, kB, 0xb, 0xbb, true, {0xa, 0xbb, 0xc}},
      {false, kB, 0xb, 0xb, true, {0xa, 0xb, 0xc}},
      {false, kB, 0xb, 0, true, {0xa, 0xc}},
      // REGISTER AND IGNORE EXISTING KEY
      {true, kD, 0x77, 0, true, {0xa, 0xb, 0xc}},
      {true, kD, 0x77, 0xd, true, {0xa, 0xb, 0xc, 0xd}},
      {true, kB, 0x77, 0xbb, true, {0xa, 0xbb, 0xc}},
      {true, kB, 0x77, 0, true, {0xa, 0xc}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(&row - rows);
    const auto before = registered();
    auto after = before;
    const auto result =
        after.register_key(row.nexus, {.key = row.key, .action_key = row.action_key, .ignore_key = row.ignore});
    if (!row.good) {
      expect_conflict(result);
      expect_same(before, after);
      continue;
    }
    EXPECT_THAT(told(result), IsEmpty());
    EXPECT_EQ(keys(after), row.after);
    EXPECT_EQ(after.generation(), before.generation() + 1);
  }
}

TEST(PersistentReservations, AChangedKeyKeepsTheReservation) {
  auto reservations = reserved(ReservationType::kExclusiveAccess);
  EXPECT_TRUE(reservations.register_key(kA, {.key = 0xa, .action_key = 0xaa}));
  EXPECT_EQ(reservations.reservation_key(), 0xaau);
  EXPECT_EQ(reservations.conflicts(kA), 0u);
}

TEST(PersistentReservations, TheLastAptplCounts) {
  auto reservations = registered();
  EXPECT_FALSE(reservations.persist());
  EXPECT_TRUE(reservations.register_key(kA, {.key = 0xa, .action_key = 0xa, .persist = true}));
  EXPECT_TRUE(reservations.persist());
  expect_conflict(reservations.register_key(kB, {.key = 0x99, .action_key = 0xb}));
  EXPECT_TRUE(reservations.persist());
  EXPECT_TRUE(reservations.reserve(kA, 0xa, ReservationType::kExclusiveAccess));
  EXPECT_TRUE(reservations.persist());
  EXPECT_TRUE(reservations.register_key(kB, {.key = 0xb, .action_key = 0xb}));
  EXPECT_FALSE(reservations.persist());
}

TEST(PersistentReservations, OthersFareAsIfTheyHadAskedThemselves) {
  auto reservations = registered();
  // With key 0 those that are not registered yet are, and the others stay as they are.
  EXPECT_TRUE(
      reservations.register_key(kD, {.key = 0, .action_key = 0xdd, .also = {kA, nexus("d", 2), kD, nexus("d", 2)}}));
  EXPECT_THAT(keys(reservations), ElementsAre(0xa, 0xb, 0xc, 0xdd, 0xdd));
  EXPECT_EQ(reservations.find(nexus("d", 2))->key, 0xddu);
  // With a key, those that have it.
  EXPECT_TRUE(reservations.register_key(kD, {.key = 0xdd, .action_key = 0xd, .also = {nexus("d", 2), kA, nexus("e")}}));
  EXPECT_THAT(keys(reservations), ElementsAre(0xa, 0xb, 0xc, 0xd, 0xd));
  EXPECT_TRUE(reservations.register_key(kD, {.key = 0xd, .action_key = 0, .also = {nexus("d", 2), kA}}));
  EXPECT_THAT(keys(reservations), ElementsAre(0xa, 0xb, 0xc));
}

TEST(PersistentReservations, ThereIsALimit) {
  PersistentReservations reservations;
  std::vector<NexusName> many;
  for (std::size_t i = 1; i < limits::kRegistrations; ++i) many.push_back(nexus(std::to_string(i)));
  EXPECT_TRUE(reservations.register_key(kA, {.key = 0, .action_key = 0xa, .also = many}));
  EXPECT_EQ(reservations.registrations().size(), limits::kRegistrations);
  auto one_more = reservations;
  expect_refused(one_more.register_key(kB, {.key = 0, .action_key = 0xb}), codes::kInsufficientRegistrationResources);
  auto moved = reservations;
  EXPECT_TRUE(moved.reserve(kA, 0xa, ReservationType::kExclusiveAccess));
  auto unregistering = moved;
  expect_refused(moved.move(kA, {.key = 0xa, .action_key = 0xb, .to = kB}), codes::kInsufficientRegistrationResources);
  EXPECT_TRUE(unregistering.move(kA, {.key = 0xa, .action_key = 0xb, .unregister = true, .to = kB}));
}

// --- Unregistering ---

TEST(PersistentReservations, TheHoldersReservationEndsWithItsRegistration) {
  for (const ReservationType type : kAllTypes) {
    SCOPED_TRACE(static_cast<int>(type));
    auto reservations = reserved(type);
    const auto result = reservations.register_key(kA, {.key = 0xa, .action_key = 0});
    EXPECT_EQ(reservations.type().has_value(), scsi::is_all_registrants(type));
    if (scsi::is_registrants_only(type)) {
      EXPECT_THAT(told(result), UnorderedElementsAre(tells(kB, codes::kReservationsReleased),
                                                     tells(kC, codes::kReservationsReleased)));
    } else {
      EXPECT_THAT(told(result), IsEmpty());
    }
    if (scsi::is_all_registrants(type)) {
      EXPECT_NE(reservations.conflicts(kA), 0u);
      EXPECT_EQ(reservations.conflicts(kB), 0u);
      EXPECT_TRUE(reservations.register_key(kB, {.key = 0xb, .action_key = 0}));
      EXPECT_TRUE(reservations.type());
      EXPECT_TRUE(reservations.register_key(kC, {.key = 0xc, .action_key = 0}));
      EXPECT_FALSE(reservations.type()) << "the last registrant has gone";
    }
  }
}

TEST(PersistentReservations, OthersThanTheHolderLeaveTheReservationAlone) {
  for (const ReservationType type : kAllTypes) {
    auto reservations = reserved(type);
    const auto result = reservations.register_key(kB, {.key = 0xb, .action_key = 0});
    EXPECT_THAT(told(result), IsEmpty());
    EXPECT_EQ(reservations.type(), type);
    EXPECT_NE(reservations.conflicts(kB), 0u);
    EXPECT_EQ(reservations.conflicts(kA), 0u);
  }
}

// --- RESERVE ---

TEST(PersistentReservations, ReserveOfEveryTypeOverEveryType) {
  for (const ReservationType first : kAllTypes) {
    for (const ReservationType second : kAllTypes) {
      for (const NexusName& name : {kA, kB}) {
        SCOPED_TRACE(static_cast<int>(first) * 10 + static_cast<int>(second));
        const auto before = reserved(first);
        auto after = before;
        const auto result = after.reserve(name, name == kA ? 0xa : 0xb, second);
        // A holder may ask for what it has, which changes nothing.
        if (first == second && (name == kA || scsi::is_all_registrants(first))) {
          EXPECT_THAT(told(result), IsEmpty());
        } else {
          expect_conflict(result);
        }
        expect_same(before, after);
      }
    }
  }
}

TEST(PersistentReservations, ReserveNeedsARegistrationWithThatKey) {
  auto reservations = registered();
  expect_conflict(reservations.reserve(kD, 0, ReservationType::kWriteExclusive));
  expect_conflict(reservations.reserve(kD, 0xa, ReservationType::kWriteExclusive));
  expect_conflict(reservations.reserve(kA, 0xb, ReservationType::kWriteExclusive));
  EXPECT_FALSE(reservations.type());
}

TEST(PersistentReservations, ReportedKeyAndHolders) {
  for (const ReservationType type : kAllTypes) {
    const auto reservations = reserved(type);
    EXPECT_EQ(reservations.reservation_key(), scsi::is_all_registrants(type) ? 0u : 0xau);
    EXPECT_EQ(holders(reservations).size(), scsi::is_all_registrants(type) ? 3u : 1u);
  }
}

// --- RELEASE ---

TEST(PersistentReservations, ReleaseOfEveryType) {
  for (const ReservationType type : kAllTypes) {
    SCOPED_TRACE(static_cast<int>(type));
    auto reservations = reserved(type);
    const auto result = reservations.release(kA, 0xa, type);
    EXPECT_FALSE(reservations.type());
    EXPECT_EQ(reservations.registrations().size(), 3u);
    if (scsi::is_registrants_only(type) || scsi::is_all_registrants(type)) {
      EXPECT_THAT(told(result), UnorderedElementsAre(tells(kB, codes::kReservationsReleased),
                                                     tells(kC, codes::kReservationsReleased)));
    } else {
      EXPECT_THAT(told(result), IsEmpty());
    }
  }
}

TEST(PersistentReservations, ReleaseByAnotherRegistrant) {
  for (const ReservationType type : kAllTypes) {
    auto reservations = reserved(type);
    EXPECT_TRUE(reservations.release(kB, 0xb, type));
    EXPECT_EQ(reservations.type().has_value(), !scsi::is_all_registrants(type));
  }
}

TEST(PersistentReservations, ReleaseThatDoesNotFit) {
  for (const ReservationType held : kAllTypes) {
    for (const ReservationType type : kAllTypes) {
      if (held == type) continue;
      auto reservations = reserved(held);
      expect_refused(reservations.release(kA, 0xa, type), codes::kInvalidReleaseOfReservation);
      EXPECT_EQ(reservations.type(), held);
    }
  }
  auto reservations = reserved(ReservationType::kWriteExclusive);
  expect_conflict(reservations.release(kA, 0xb, ReservationType::kWriteExclusive));
  expect_conflict(reservations.release(kD, 0, ReservationType::kWriteExclusive));
  auto free = registered();
  EXPECT_TRUE(free.release(kA, 0xa, ReservationType::kWriteExclusive)) << "nothing to release is no error";
}

// --- CLEAR ---

TEST(PersistentReservations, ClearEndsEverything) {
  for (const ReservationType type : kAllTypes) {
    auto reservations = reserved(type);
    const auto generation = reservations.generation();
    const auto result = reservations.clear(kB, 0xb);
    EXPECT_THAT(told(result), UnorderedElementsAre(tells(kA, codes::kReservationsPreempted),
                                                   tells(kC, codes::kReservationsPreempted)));
    EXPECT_FALSE(reservations.type());
    EXPECT_TRUE(reservations.registrations().empty());
    EXPECT_EQ(reservations.generation(), generation + 1);
    EXPECT_EQ(reservations.conflicts(kD), 0u);
  }
  auto reservations = registered();
  expect_conflict(reservations.clear(kB, 0xa));
  expect_conflict(reservations.clear(kD, 0));
}

// --- PREEMPT ---

TEST(PersistentReservations, PreemptOfTheHolderTakesTheReservation) {
  for (const ReservationType held : kAllTypes) {
    if (scsi::is_all_registrants(held)) continue;
    for (const ReservationType type : kAllTypes) {
      SCOPED_TRACE(static_cast<int>(held) * 10 + static_cast<int>(type));
      auto reservations = reserved(held);
      const auto generation = reservations.generation();
      const auto result = reservations.preempt(kB, 0xb, 0xa, type);
      EXPECT_THAT(keys(reservations), ElementsAre(0xb, 0xc));
      EXPECT_EQ(reservations.type(), type);
      EXPECT_EQ(reservations.conflicts(kB), 0u);
      EXPECT_NE(reservations.conflicts(kA), 0u);
      EXPECT_EQ(reservations.generation(), generation + 1);
      EXPECT_THAT(preempted(result), ElementsAre(kA.initiator));
      if (held == type) {
        EXPECT_THAT(told(result), ElementsAre(tells(kA, codes::kRegistrationsPreempted)));
      } else {
        EXPECT_THAT(told(result), UnorderedElementsAre(tells(kA, codes::kRegistrationsPreempted),
                                                       tells(kC, codes::kReservationsReleased)));
      }
    }
  }
}

TEST(PersistentReservations, PreemptOfAllRegistrants) {
  for (const ReservationType held :
       {ReservationType::kWriteExclusiveAllRegistrants, ReservationType::kExclusiveAccessAllRegistrants}) {
    for (const ReservationType type : kAllTypes) {
      auto reservations = reserved(held);
      const auto result = reservations.preempt(kB, 0xb, 0, type);
      EXPECT_THAT(keys(reservations), ElementsAre(0xb));
      EXPECT_EQ(reservations.type(), type);
      EXPECT_THAT(holders(reservations), ElementsAre(kB.initiator));
      EXPECT_THAT(told(result), UnorderedElementsAre(tells(kA, codes::kRegistrationsPreempted),
                                                     tells(kC, codes::kRegistrationsPreempted)));
      EXPECT_THAT(preempted(result), UnorderedElementsAre(kA.initiator, kC.initiator));
    }
    // With a key, it is about that registration alone, although it is a holder's.
    auto reservations = reserved(held);
    const auto result = reservations.preempt(kB, 0xb, 0xa, std::nullopt);
    EXPECT_THAT(keys(reservations), ElementsAre(0xb, 0xc));
    EXPECT_EQ(reservations.type(), held);
    EXPECT_THAT(told(result), ElementsAre(tells(kA, codes::kRegistrationsPreempted)));
    EXPECT_THAT(preempted(result), ElementsAre(kA.initiator));
    expect_conflict(reservations.preempt(kB, 0xb, 0x99, held));
  }
}

TEST(PersistentReservations, PreemptOfOtherRegistrations) {
  for (const ReservationType held : kAllTypes) {
    auto reservations = reserved(held);
    const auto result = reservations.preempt(kA, 0xa, 0xc, std::nullopt);  // SCOPE and TYPE are ignored
    EXPECT_THAT(keys(reservations), ElementsAre(0xa, 0xb));
    EXPECT_EQ(reservations.type(), held);
    EXPECT_EQ(reservations.conflicts(kA), 0u);
    EXPECT_THAT(told(result), ElementsAre(tells(kC, codes::kRegistrationsPreempted)));
  }
  auto free = registered();
  EXPECT_TRUE(free.preempt(kA, 0xa, 0xc, ReservationType::kExclusiveAccess));
  EXPECT_FALSE(free.type()) << "nothing was held, so nothing is taken";
}

TEST(PersistentReservations, PreemptOfSeveralWithOneKey) {
  auto reservations = reserved(ReservationType::kWriteExclusive);
  EXPECT_TRUE(reservations.register_key(kC, {.key = 0xc, .action_key = 0xa}));
  EXPECT_TRUE(reservations.register_key(kB, {.key = 0xb, .action_key = 0xa}));
  // The requester has that key itself, and keeps it; so a holder can preempt itself.
  const auto result = reservations.preempt(kB, 0xa, 0xa, ReservationType::kWriteExclusive);
  EXPECT_THAT(keys(reservations), ElementsAre(0xa));
  EXPECT_THAT(holders(reservations), ElementsAre(kB.initiator));
  EXPECT_THAT(preempted(result), UnorderedElementsAre(kA.initiator, kC.initiator));
  EXPECT_THAT(told(reservations.preempt(kB, 0xa, 0xa, ReservationType::kExclusiveAccess)), IsEmpty());
  EXPECT_EQ(reservations.type(), ReservationType::kExclusiveAccess);
}

TEST(PersistentReservations, PreemptOfOnesOwnRegistration) {
  auto reservations = reserved(ReservationType::kWriteExclusive);
  const auto result = reservations.preempt(kB, 0xb, 0xb, ReservationType::kWriteExclusive);
  EXPECT_THAT(keys(reservations), ElementsAre(0xa, 0xc));
  EXPECT_THAT(told(result), IsEmpty());
  EXPECT_THAT(preempted(result), IsEmpty());
  // The last registrant of all takes their reservation with it.
  PersistentReservations alone;
  EXPECT_TRUE(alone.register_key(kA, {.key = 0, .action_key = 0xa}));
  EXPECT_TRUE(alone.reserve(kA, 0xa, ReservationType::kExclusiveAccessAllRegistrants));
  EXPECT_TRUE(alone.preempt(kA, 0xa, 0xa, std::nullopt));
  EXPECT_FALSE(alone.type());
  EXPECT_EQ(alone.conflicts(kD), 0u);
}

TEST(PersistentReservations, PreemptThatIsRefused) {
  const auto before = reserved(ReservationType::kExclusiveAccess);
  auto after = before;
  expect_conflict(after.preempt(kD, 0, 0xa, ReservationType::kExclusiveAccess));
  expect_conflict(after.preempt(kB, 0xc, 0xa, ReservationType::kExclusiveAccess));
  expect_conflict(after.preempt(kB, 0xb, 0x99, ReservationType::kExclusiveAccess));
  expect_refused(after.preempt(kB, 0xb, 0, ReservationType::kExclusiveAccess), codes::kInvalidFieldInParameterList, 8);
  expect_refused(after.preempt(kB, 0xb, 0xa, std::nullopt), codes::kInvalidFieldInCdb, 2);
  expect_same(before, after);
}

// --- REGISTER AND MOVE ---

TEST(PersistentReservations, MoveToARegisteredNexus) {
  for (const ReservationType type : kAllTypes) {
    if (scsi::is_all_registrants(type)) continue;
    auto reservations = reserved(type);
    const auto generation = reservations.generation();
    const auto result = reservations.move(kA, {.key = 0xa, .action_key = 0xbb, .persist = true, .to = kB});
    EXPECT_THAT(told(result), IsEmpty());
    EXPECT_THAT(keys(reservations), ElementsAre(0xa, 0xbb, 0xc));
    EXPECT_THAT(holders(reservations), ElementsAre(kB.initiator));
    EXPECT_EQ(reservations.type(), type);
    EXPECT_TRUE(reservations.persist());
    EXPECT_EQ(reservations.generation(), generation + 1);
  }
}

TEST(PersistentReservations, MoveToANewNexusAndOut) {
  auto reservations = reserved(ReservationType::kWriteExclusiveRegistrantsOnly);
  const auto result = reservations.move(kA, {.key = 0xa, .action_key = 0xd, .unregister = true, .to = kD});
  EXPECT_THAT(told(result), IsEmpty()) << "the reservation is still there";
  EXPECT_THAT(keys(reservations), ElementsAre(0xb, 0xc, 0xd));
  EXPECT_THAT(holders(reservations), ElementsAre(kD.initiator));
  EXPECT_EQ(reservations.type(), ReservationType::kWriteExclusiveRegistrantsOnly);
}

TEST(PersistentReservations, MoveThatIsRefused) {
  for (const ReservationType type :
       {ReservationType::kWriteExclusiveAllRegistrants, ReservationType::kExclusiveAccessAllRegistrants}) {
    auto reservations = reserved(type);
    expect_conflict(reservations.move(kA, {.key = 0xa, .action_key = 0xb, .to = kB}));
  }
  const auto before = reserved(ReservationType::kExclusiveAccess);
  auto after = before;
  expect_conflict(after.move(kB, {.key = 0xb, .action_key = 0xb, .to = kC}));
  expect_conflict(after.move(kA, {.key = 0xb, .action_key = 0xb, .to = kC}));
  expect_conflict(after.move(kD, {.key = 0, .action_key = 0xb, .to = kC}));
  expect_refused(after.move(kA, {.key = 0xa, .action_key = 0, .to = kC}), codes::kInvalidFieldInParameterList, 8);
  expect_refused(after.move(kA, {.key = 0xa, .action_key = 0xb, .to = kA}), codes::kInvalidFieldInParameterList, 24);
  expect_same(before, after);
  auto free = registered();
  expect_conflict(free.move(kA, {.key = 0xa, .action_key = 0xb, .to = kB}));
}

// --- PRGENERATION ---

TEST(PersistentReservations, ReserveAndReleaseDoNotCount) {
  auto reservations = registered();
  EXPECT_EQ(reservations.generation(), 3u);
  EXPECT_TRUE(reservations.reserve(kA, 0xa, ReservationType::kExclusiveAccess));
  EXPECT_TRUE(reservations.release(kA, 0xa, ReservationType::kExclusiveAccess));
  EXPECT_EQ(reservations.generation(), 3u);
}

// --- What was kept ---

TEST(PersistentReservations, RestoresWhatMakesSense) {
  using Registration = PersistentReservations::Registration;
  const auto good = [](std::vector<Registration> registrations, std::optional<ReservationType> type) {
    return PersistentReservations::restore(std::move(registrations), type).has_value();
  };
  using enum ReservationType;
  EXPECT_TRUE(good({}, std::nullopt));
  EXPECT_TRUE(good({{kA, 1, false}, {kB, 1, false}}, std::nullopt));
  EXPECT_TRUE(good({{kA, 1, true}, {kB, 1, false}}, kExclusiveAccess));
  EXPECT_TRUE(good({{kA, 1, false}, {kB, 1, false}}, kWriteExclusiveAllRegistrants));
  EXPECT_FALSE(good({}, kWriteExclusiveAllRegistrants));
  EXPECT_FALSE(good({{kA, 1, true}}, std::nullopt));
  EXPECT_FALSE(good({{kA, 1, false}}, kExclusiveAccess));
  EXPECT_FALSE(good({{kA, 1, true}, {kB, 1, true}}, kExclusiveAccess));
  EXPECT_FALSE(good({{kA, 1, true}}, kExclusiveAccessAllRegistrants));
  EXPECT_FALSE(good({{kA, 0, false}}, std::nullopt));
  EXPECT_FALSE(good({{kA, 1, false}, {kA, 2, false}}, std::nullopt));
  std::vector<Registration> many(limits::kRegistrations + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = {nexus(std::to_string(i)), 1, false};
  EXPECT_FALSE(good(many, std::nullopt));
  const auto restored = PersistentReservations::restore({{kA, 1, true}, {kB, 2, false}}, kExclusiveAccess);
  EXPECT_TRUE(restored->persist());
  EXPECT_EQ(restored->generation(), 0u);
  EXPECT_EQ(restored->conflicts(kA), 0u);
  EXPECT_NE(restored->conflicts(kB), 0u);
}

}  // namespace
}  // namespace peerlane::target
