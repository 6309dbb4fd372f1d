#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "scsi/persistent_reservation.h"
#include "target/commands.h"
#include "target/testing/fake_state_store.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::ReservationType;
using scsi::ReserveOutAction;
using scsi::SenseKey;
using ::testing::ElementsAre;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;
using testing::FakeView;
using ::testing::IsEmpty;

constexpr std::uint64_t kIsid = 0x800000000001;

NexusName named(const std::string& name, std::uint16_t port = 1) {
  return {"iqn.2026-11.test:" + name, kIsid, port};
}

/// A command whose CDB is its operation code.
FakeCommand bare(unsigned operation) {
  return FakeCommand({operation, 0});
}
FakeCommand test_unit_ready() {
  return bare(0x00);
}
FakeCommand read_one() {
  return FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512);
}
FakeCommand write_one() {
  return FakeCommand({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 0, std::vector<std::uint8_t>(512));
}
FakeCommand reserve_in(unsigned action, unsigned allocation = 0xffff) {
  return FakeCommand({0x5e, action, 0, 0, 0, 0, 0, allocation >> 8, allocation & 0xff, 0}, allocation);
}
/// PERSISTENT RESERVE OUT with a parameter list as it is.
FakeCommand reserve_out(unsigned action, const std::vector<std::uint8_t>& list, unsigned scope_and_type = 0) {
  const auto size = static_cast<unsigned>(list.size());
  return FakeCommand({0x5f, action, scope_and_type, 0, 0, 0, size >> 16, size >> 8 & 0xff, size & 0xff, 0}, 0, list);
}
FakeCommand reserve_out(ReserveOutAction action, const scsi::ReserveOutParameters& parameters, unsigned type = 0) {
  return reserve_out(static_cast<unsigned>(action), scsi::encode_reserve_out(parameters), type);
}

void expect_conflict(const Completion& completion) {
  EXPECT_EQ(completion.status, scsi::Status::kReservationConflict);
  EXPECT_FALSE(completion.sense);
}

/// Two initiators, A and B, with sessions through target port 1; nothing is pending for them.
class ReservationTest : public testing::UnitTest {
 protected:
  void start_two(LogicalUnitOptions options = {}) {
    start(std::move(options));
    a = attach(view_a);
    b = attach(view_b);
  }
  std::unique_ptr<ItlNexus> attach(FakeView& who) {
    auto attached = unit->attach(who);
    while (attached->attentions().take()) {
    }
    return attached;
  }
  Completion run(ItlNexus& through, FakeCommand& command) { return execute(through, command); }
  Completion run(ItlNexus& through, FakeCommand&& command) { return run(through, command); }

  Completion register_key(ItlNexus& through, std::uint64_t key, bool persist = false) {
    return run(through,
               reserve_out(ReserveOutAction::kRegisterAndIgnoreExistingKey, {.action_key = key, .persist = persist}));
  }
  Completion reserve(ItlNexus& through, std::uint64_t key, ReservationType type) {
    return run(through, reserve_out(ReserveOutAction::kReserve, {.key = key}, static_cast<unsigned>(type)));
  }
  scsi::FullStatus full_status() {
    auto command = reserve_in(3);
    expect_good(run(*a, command));
    return scsi::decode_full_status(command.data_in()).value_or(scsi::FullStatus{});
  }
  std::vector<std::uint64_t> keys() {
    auto command = reserve_in(0);
    expect_good(run(*a, command));
    return scsi::decode_reservation_keys(command.data_in()).value_or(scsi::ReservationKeys{}).keys;
  }
  scsi::ReservationCapabilities capabilities() {
    auto command = reserve_in(2);
    expect_good(run(*a, command));
    return scsi::decode_reservation_capabilities(command.data_in()).value_or(scsi::ReservationCapabilities{});
  }

  LogicalUnitOptions kept() {
    LogicalUnitOptions options;
    options.state = &store;
    return options;
  }

  testing::FakeStateStore store;
  FakeView view_a{named("a")};
  FakeView view_b{named("b")};
  std::unique_ptr<ItlNexus> a;
  std::unique_ptr<ItlNexus> b;
};

// --- The check that all commands go through ---

TEST(ReservationClasses, AreThoseOfTheStandards) {
  using enum ReservationClass;
  // SPC-4 table 67, SBC-4 table 13, SPC-2 table 10.
  const std::map<std::string_view, ReservationClass> expected = {
      {"TEST UNIT READY", kUnreserved},
      {"REQUEST SENSE", kAllowed},
      {"INQUIRY", kAllowed},
      {"REPORT LUNS", kAllowed},
      {"REPORT SUPPORTED OPERATION CODES", kRead},
      {"MODE SENSE(6)", kRead},
      {"MODE SENSE(10)", kRead},
      {"START STOP UNIT", kWrite},
      {"READ CAPACITY(10)", kAllowed},
      {"READ CAPACITY(16)", kAllowed},
      {"READ(6)", kRead},
      {"READ(10)", kRead},
      {"READ(12)", kRead},
      {"READ(16)", kRead},
      {"WRITE(6)", kWrite},
      {"WRITE(10)", kWrite},
      {"WRITE(12)", kWrite},
      {"WRITE(16)", kWrite},
      {"WRITE AND VERIFY(10)", kWrite},
      {"WRITE AND VERIFY(12)", kWrite},
      {"WRITE AND VERIFY(16)", kWrite},
      {"VERIFY(10)", kRead},
      {"VERIFY(16)", kRead},
      {"SYNCHRONIZE CACHE(10)", kWrite},
      {"SYNCHRONIZE CACHE(16)", kWrite},
      {"WRITE SAME(10)", kWrite},
      {"WRITE SAME(16)", kWrite},
      {"UNMAP", kWrite},
      {"GET LBA STATUS(16)", kRead},
      {"RESERVE(6)", kAllowed},
      {"RELEASE(10)", kAllowed},
      {"PERSISTENT RESERVE IN, READ KEYS", kExclusive},
      {"PERSISTENT RESERVE OUT, REGISTER", kExclusive},
      {"PERSISTENT RESERVE OUT, CLEAR", kExclusive},
  };
  std::size_t found = 0;
  for (const CommandDescription& row : command_table()) {
    const auto at = expected.find(row.name);
    if (at == expected.end()) continue;
    ++found;
    EXPECT_EQ(row.reservation, at->second) << row.name;
  }
  EXPECT_EQ(found, expected.size());
}

TEST_F(ReservationTest, OthersFindOutWithTheirNextCommand) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(run(*b, write_one()));
  expect_good(reserve(*a, 1, ReservationType::kWriteExclusive));
  expect_conflict(run(*b, write_one()));
  expect_good(run(*b, read_one()));
  expect_good(run(*a, write_one()));
  expect_good(run(*a, reserve_out(ReserveOutAction::kRelease, {.key = 1}, 1)));
  expect_good(run(*b, write_one()));
  expect_good(reserve(*a, 1, ReservationType::kExclusiveAccess));
  expect_conflict(run(*b, read_one()));
  expect_good(run(*b, test_unit_ready()));
  EXPECT_TRUE(device->log.size() == 4) << "what conflicts does nothing";
}

TEST_F(ReservationTest, ANexusThatComesLaterIsBoundAsWell) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kExclusiveAccess));
  FakeView view_c(named("c"));
  const auto c = attach(view_c);
  expect_conflict(run(*c, read_one()));
  // The holder's session ends, and comes back: registration and reservation are its own still.
  a.reset();
  expect_conflict(run(*b, read_one()));
  a = attach(view_a);
  expect_good(run(*a, read_one()));
}

TEST_F(ReservationTest, StartingTheUnitNeverConflicts) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kExclusiveAccess));
  expect_good(run(*b, FakeCommand({0x1b, 0, 0, 0, 0x01, 0})));
  expect_conflict(run(*b, FakeCommand({0x1b, 0, 0, 0, 0x00, 0})));
  expect_conflict(run(*b, FakeCommand({0x1b, 0, 0, 0, 0x11, 0})));
  EXPECT_TRUE(unit->started());
}

TEST_F(ReservationTest, ResetsComeBeforeConflictsAndOtherAttentionsAfter) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kExclusiveAccess));
  b->attentions().establish(codes::kNexusLoss);
  b->attentions().establish(codes::kCapacityChanged);
  expect_check(run(*b, read_one()), SenseKey::kUnitAttention, codes::kNexusLoss);
  expect_conflict(run(*b, read_one()));
  expect_conflict(run(*b, read_one()));
  expect_check(run(*b, test_unit_ready()), SenseKey::kUnitAttention, codes::kCapacityChanged);
  expect_good(run(*b, test_unit_ready()));
}

TEST_F(ReservationTest, ConflictsComeBeforeWhatIsWrongWithTheCdb) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kExclusiveAccess));
  FakeCommand bad({0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 512);
  expect_conflict(run(*b, bad));
  FakeCommand unknown({0xc0});
  expect_check(run(*b, unknown), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
}

// --- RESERVE and RELEASE ---

TEST_F(ReservationTest, ReserveKeepsOthersOut) {
  start_two();
  for (const unsigned reserve : {0x16u, 0x56u}) {
    const unsigned release = reserve + 1;
    expect_good(run(*a, bare(reserve)));
    expect_good(run(*a, bare(reserve)));
    expect_conflict(run(*b, bare(reserve)));
    expect_conflict(run(*b, test_unit_ready()));
    expect_conflict(run(*b, read_one()));
    expect_conflict(run(*b, write_one()));
    expect_conflict(run(*b, FakeCommand({0x1a, 0, 0x3f, 0, 255, 0}, 255)));
    expect_good(run(*b, FakeCommand({0x12, 0, 0, 0, 96, 0}, 96)));
    expect_good(run(*b, FakeCommand({0x03, 0, 0, 0, 252, 0}, 252)));
    expect_good(run(*b, FakeCommand({0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0}, 64)));
    expect_good(run(*b, bare(release)));  // of what is another's: nothing happens
    expect_conflict(run(*b, read_one()));
    expect_good(run(*a, write_one()));
    expect_good(run(*a, bare(release)));
    expect_good(run(*b, write_one()));
  }
}

TEST_F(ReservationTest, ReserveExcludesPersistentReservationsOfAnybody) {
  start_two();
  expect_good(run(*a, bare(0x16)));
  for (ItlNexus* through : {a.get(), b.get()}) {
    expect_conflict(run(*through, reserve_in(0)));
    expect_conflict(register_key(*through, 1));
  }
  expect_good(run(*a, bare(0x17)));
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(ReservationTest, ReserveEndsWithTheSession) {
  start_two();
  expect_good(run(*a, bare(0x16)));
  expect_conflict(run(*b, read_one()));
  a.reset();
  expect_good(run(*b, read_one()));
}

TEST_F(ReservationTest, ReserveEndsWhenTheInitiatorPortComesAnew) {
  start_two();
  expect_good(run(*a, bare(0x16)));
  const auto again = attach(view_a);
  expect_good(run(*b, bare(0x16)));
  expect_conflict(run(*again, read_one()));
  a.reset();  // the old one takes nothing with it
  expect_conflict(run(*again, read_one()));
}

TEST_F(ReservationTest, ReserveEndsWithAReset) {
  start_two();
  expect_good(run(*a, bare(0x16)));
  io::spawn(unit->reset(codes::kBusDeviceReset, nullptr));
  expect_check(run(*b, read_one()), SenseKey::kUnitAttention, codes::kBusDeviceReset);
  expect_good(run(*b, read_one()));
}

TEST_F(ReservationTest, PersistentReservationsSurviveAReset) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kExclusiveAccess));
  io::spawn(unit->reset(codes::kBusDeviceReset, nullptr));
  expect_check(run(*b, read_one()), SenseKey::kUnitAttention, codes::kBusDeviceReset);
  expect_conflict(run(*b, read_one()));
}

TEST_F(ReservationTest, ThirdPartiesAndExtentsAreRefused) {
  start_two();
  expect_invalid_field(run(*a, FakeCommand({0x16, 0x10, 0, 0, 0, 0})), 1, 4);
  expect_invalid_field(run(*a, FakeCommand({0x16, 0x01, 0, 0, 8, 0})), 1, 0);
  expect_invalid_field(run(*a, FakeCommand({0x56, 0x10, 0, 3, 0, 0, 0, 0, 0, 0})), 1, 4);
  expect_invalid_field(run(*a, FakeCommand({0x57, 0x02, 0, 0, 0, 0, 0, 0, 8, 0})), 1, 1);
}

TEST_F(ReservationTest, RegistrationsKeepReserveOutButForHolders) {
  start_two();
  expect_good(register_key(*a, 1));
  for (const unsigned operation : {0x16u, 0x17u, 0x56u, 0x57u}) {
    expect_conflict(run(*a, bare(operation)));
    expect_conflict(run(*b, bare(operation)));
  }
  // SPC-4 §5.12.3: it succeeds for a holder, and for a registrant where registrants have access; and does nothing.
  expect_good(register_key(*b, 2));
  for (const unsigned type : {1u, 3u, 5u, 6u, 7u, 8u}) {
    expect_good(reserve(*a, 1, static_cast<ReservationType>(type)));
    for (const unsigned operation : {0x16u, 0x17u, 0x56u, 0x57u}) {
      expect_good(run(*a, bare(operation)));
      const Completion other = run(*b, bare(operation));
      if (type >= 5) {
        expect_good(other);
      } else {
        expect_conflict(other);
      }
    }
    expect_good(run(*a, test_unit_ready()));
    EXPECT_EQ(full_status().registrations.at(0).holds, static_cast<ReservationType>(type));
    expect_good(run(*a, reserve_out(ReserveOutAction::kRelease, {.key = 1}, type)));
    while (b->attentions().take()) {
    }
  }
}

// --- PERSISTENT RESERVE IN ---

TEST_F(ReservationTest, FullStatusNamesNexuses) {
  start_two();
  expect_good(register_key(*a, 0x11));
  expect_good(register_key(*b, 0x22));
  expect_good(reserve(*b, 0x22, ReservationType::kWriteExclusiveRegistrantsOnly));
  const auto status = full_status();
  EXPECT_EQ(status.generation, 2u);
  ASSERT_EQ(status.registrations.size(), 2u);
  EXPECT_EQ(status.registrations[0],
            (scsi::FullStatus::Registration{0x11, false, std::nullopt, 1, {"iqn.2026-11.test:a", kIsid}}));
  EXPECT_EQ(status.registrations[1],
            (scsi::FullStatus::Registration{
                0x22, false, ReservationType::kWriteExclusiveRegistrantsOnly, 1, {"iqn.2026-11.test:b", kIsid}}));
}

TEST_F(ReservationTest, ReadReservation) {
  start_two();
  const auto state = [&] {
    auto command = reserve_in(1);
    expect_good(run(*b, command));
    return scsi::decode_reservation_state(command.data_in());
  };
  EXPECT_EQ(state(), scsi::ReservationState{0});
  expect_good(register_key(*a, 0x11));
  expect_good(reserve(*a, 0x11, ReservationType::kExclusiveAccess));
  EXPECT_EQ(state(), (scsi::ReservationState{1, {{0x11, ReservationType::kExclusiveAccess}}}));
}

TEST_F(ReservationTest, TheAllocationLengthCutsTheDataAndNotWhatTheySay) {
  start_two();
  expect_good(register_key(*a, 0x11));
  auto command = reserve_in(0, 8);
  expect_good(run(*a, command));
  ASSERT_EQ(command.data_in().size(), 8u);
  EXPECT_EQ(get_be32(command.data_in(), 4), 8u);
  auto none = reserve_in(0, 0);
  expect_good(run(*a, none));
  EXPECT_TRUE(none.data_in().empty());
}

TEST_F(ReservationTest, AnswersLongerThanTheAllocationLengthCanSay) {
  start_two();
  scsi::ReserveOutParameters parameters{.action_key = 1, .initiators = {{}}};
  for (unsigned i = 1; i < limits::kRegistrations; ++i) parameters.initiators->push_back({"iqn.2026-11.test:c", i});
  expect_good(run(*a, reserve_out(ReserveOutAction::kRegister, parameters)));
  auto command = reserve_in(3);
  expect_good(run(*a, command));
  EXPECT_EQ(command.data_in().size(), 0xffffu);
  EXPECT_EQ(get_be32(command.data_in(), 4), limits::kRegistrations * (24 + 40));
}

TEST_F(ReservationTest, Capabilities) {
  start_two();
  scsi::ReservationCapabilities expected{.compatible_handling = true,
                                         .specify_initiator_ports = true,
                                         .all_target_ports = true,
                                         .allow_commands = 3,
                                         .all_types = true};
  EXPECT_EQ(capabilities(), expected);
  a.reset();
  b.reset();
  nexus.reset();
  prepare();
  start_two(kept());
  expected.persist_capable = true;
  EXPECT_EQ(capabilities(), expected);
  expect_good(register_key(*a, 1, true));
  expected.persist_active = true;
  EXPECT_EQ(capabilities(), expected);
}

// --- PERSISTENT RESERVE OUT: parameter lists ---

TEST_F(ReservationTest, ListsOfTheWrongLengthAreRefused) {
  start_two();
  std::vector<std::uint8_t> list = scsi::encode_reserve_out({.action_key = 1});
  for (unsigned action = 0; action < 8; ++action) {
    for (const std::size_t size : {0u, 1u, 8u, 23u, 25u, 28u, 100u}) {
      list.resize(size);
      expect_check(run(*a, reserve_out(action, list, 1)), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
    }
  }
  // Longer than anything that is taken; and than what the initiator sends.
  FakeCommand huge({0x5f, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0});
  huge.sends(std::vector<std::uint8_t>(24));
  expect_check(run(*a, huge), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  FakeCommand more({0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0});
  more.sends(std::vector<std::uint8_t>(20));
  expect_check(run(*a, more), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(ReservationTest, OptionsWhereTheyDoNotBelongAreRefused) {
  start_two();
  expect_good(register_key(*a, 1));
  const auto refused_at = [&](FakeCommand&& command, unsigned byte) {
    const Completion completion = run(*a, command);
    expect_check(completion, SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
    ASSERT_TRUE(completion.sense->field);
    EXPECT_FALSE(completion.sense->field->in_cdb);
    EXPECT_EQ(completion.sense->field->byte, byte);
  };
  const scsi::TransportId c{"iqn.2026-11.test:c", kIsid};
  for (const auto action : {ReserveOutAction::kReserve, ReserveOutAction::kRelease, ReserveOutAction::kClear,
                            ReserveOutAction::kPreempt, ReserveOutAction::kRegisterAndIgnoreExistingKey}) {
    refused_at(reserve_out(action, {.key = 1, .action_key = 1, .initiators = {{c}}}, 1), 20);
  }
  // On a registered nexus nobody else can be registered.
  refused_at(reserve_out(ReserveOutAction::kRegister, {.key = 1, .action_key = 2, .initiators = {{c}}}), 20);
  // Without a place to keep them, nothing can be kept.
  refused_at(reserve_out(ReserveOutAction::kRegister, {.key = 1, .action_key = 2, .persist = true}), 20);
  const auto move = [&](const scsi::MoveParameters& parameters) {
    return reserve_out(7, scsi::encode_register_and_move(parameters));
  };
  refused_at(move({.key = 1, .action_key = 2, .persist = true, .relative_target_port = 1, .initiator = c}), 17);
  refused_at(move({.key = 1, .action_key = 2, .relative_target_port = 9, .initiator = c}), 18);
  refused_at(move({.key = 1, .action_key = 2, .relative_target_port = 1, .initiator = {"iqn.2026-11.test:c"}}), 24);
  refused_at(move({.key = 1, .action_key = 2, .relative_target_port = 1, .initiator = {"nobody", kIsid}}), 24);
  EXPECT_THAT(keys(), ElementsAre(1));
}

TEST_F(ReservationTest, TypesAndScopesThatDoNotExistAreRefused) {
  start_two();
  expect_good(register_key(*a, 1));
  for (const auto action : {ReserveOutAction::kReserve, ReserveOutAction::kRelease}) {
    for (const unsigned bad : {0x00u, 0x02u, 0x04u, 0x09u, 0x0fu, 0x11u, 0x21u, 0xf1u}) {
      expect_invalid_field(run(*a, reserve_out(action, {.key = 1}, bad)), 2, std::nullopt);
    }
  }
  // They say nothing in the other service actions.
  expect_good(run(*a, reserve_out(ReserveOutAction::kRegister, {.key = 1, .action_key = 2}, 0xff)));
  expect_good(run(*a, reserve_out(ReserveOutAction::kClear, {.key = 2}, 0xff)));
}

TEST_F(ReservationTest, AnAbortedCommandChangesNothing) {
  start_two();
  auto command = reserve_out(ReserveOutAction::kRegister, {.action_key = 1});
  command.aborted_after(0);
  run(*a, command);
  EXPECT_THAT(keys(), IsEmpty());
}

// --- SPEC_I_PT, ALL_TG_PT, REGISTER AND MOVE ---

TEST_F(ReservationTest, SpecifiedPortsAndDevicesAreRegisteredToo) {
  start_two();
  FakeView second_port_of_b({"iqn.2026-11.test:b", 0x23d, 3});
  const auto b2 = attach(second_port_of_b);
  const scsi::ReserveOutParameters parameters{
      .action_key = 7, .initiators = {{{"IQN.2026-11.test:C", 0x55}, {"iqn.2026-11.test:b"}, {"iqn.2026-11.test:x"}}}};
  expect_good(run(*a, reserve_out(ReserveOutAction::kRegister, parameters)));
  std::vector<NexusName> names;
  for (const auto& entry : full_status().registrations) {
    EXPECT_EQ(entry.key, 7u);
    names.push_back({entry.initiator.name, entry.initiator.isid.value_or(0), entry.relative_target_port});
  }
  EXPECT_THAT(names, ElementsAre(named("a"), NexusName{"iqn.2026-11.test:c", 0x55, 1}, named("b"),
                                 NexusName{"iqn.2026-11.test:b", 0x23d, 1}));
}

TEST_F(ReservationTest, AllTargetPorts) {
  LogicalUnitOptions options;
  options.port_groups = {{.tag = 1}, {.tag = 2}, {.tag = 3}};
  start_two(options);
  FakeView other_path(named("a", 2));
  const auto a2 = attach(other_path);
  expect_good(register_key(*a2, 0x99));
  const scsi::ReserveOutParameters parameters{.action_key = 7, .all_target_ports = true};
  expect_good(run(*a, reserve_out(ReserveOutAction::kRegister, parameters)));
  EXPECT_THAT(keys(), ElementsAre(0x99, 7, 7)) << "the one that was registered is left alone";
  expect_good(run(*a, reserve_out(ReserveOutAction::kRegisterAndIgnoreExistingKey, parameters)));
  EXPECT_THAT(keys(), ElementsAre(7, 7, 7));
  expect_good(reserve(*a2, 7, ReservationType::kExclusiveAccessRegistrantsOnly));
  expect_good(run(*a, read_one()));
  expect_conflict(run(*b, read_one()));
}

TEST_F(ReservationTest, RegisterAndMoveHandsTheReservationOver) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kWriteExclusive));
  const scsi::MoveParameters move{.key = 1,
                                  .action_key = 2,
                                  .unregister = true,
                                  .relative_target_port = 1,
                                  .initiator = {"iqn.2026-11.test:b", kIsid}};
  expect_good(run(*a, reserve_out(7, scsi::encode_register_and_move(move))));
  EXPECT_THAT(keys(), ElementsAre(2));
  expect_good(run(*b, write_one()));
  expect_conflict(run(*a, write_one()));
}

// --- PREEMPT ---

TEST_F(ReservationTest, PreemptTellsThePreempted) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(register_key(*b, 2));
  expect_good(reserve(*a, 1, ReservationType::kWriteExclusive));
  auto preempt = reserve_out(ReserveOutAction::kPreempt, {.key = 2, .action_key = 1}, 1);
  expect_good(run(*b, preempt));
  EXPECT_THAT(preempt.aborted_nexuses(), IsEmpty());
  expect_check(run(*a, test_unit_ready()), SenseKey::kUnitAttention, codes::kRegistrationsPreempted);
  expect_conflict(run(*a, write_one()));
  expect_good(run(*b, write_one()));
}

TEST_F(ReservationTest, PreemptAndAbortEndsTheTasksOfThePreempted) {
  start_two();
  expect_good(register_key(*a, 1));
  expect_good(register_key(*b, 2));
  auto preempt = reserve_out(ReserveOutAction::kPreemptAndAbort, {.key = 2, .action_key = 1});
  expect_good(run(*b, preempt));
  EXPECT_THAT(preempt.aborted_nexuses(), ElementsAre(named("a")));
  auto in_vain = reserve_out(ReserveOutAction::kPreemptAndAbort, {.key = 2, .action_key = 1});
  expect_conflict(run(*b, in_vain));
  EXPECT_THAT(in_vain.aborted_nexuses(), IsEmpty());
}

// --- APTPL ---

TEST_F(ReservationTest, AptplSurvivesTheUnit) {
  start_two(kept());
  expect_good(register_key(*a, 1, true));
  expect_good(register_key(*b, 2, true));
  expect_good(reserve(*a, 1, ReservationType::kWriteExclusive));
  EXPECT_EQ(store.saves, 3u);
  expect_good(reserve(*a, 1, ReservationType::kWriteExclusive));
  EXPECT_EQ(store.saves, 3u) << "nothing new to keep";
  a.reset();
  b.reset();
  nexus.reset();
  prepare();
  start(kept());
  ASSERT_TRUE(unit->load_state());
  a = attach(view_a);
  b = attach(view_b);
  const auto status = full_status();
  EXPECT_EQ(status.generation, 0u);
  ASSERT_EQ(status.registrations.size(), 2u);
  EXPECT_EQ(status.registrations[0].holds, ReservationType::kWriteExclusive);
  expect_good(run(*a, write_one()));
  expect_conflict(run(*b, write_one()));
  EXPECT_TRUE(capabilities().persist_active);
  expect_good(run(*b, reserve_out(ReserveOutAction::kPreempt, {.key = 2, .action_key = 1}, 1)));
  EXPECT_EQ(store.saves, 4u);
}

TEST_F(ReservationTest, WithoutAptplNothingSurvives) {
  start_two(kept());
  expect_good(register_key(*a, 1));
  expect_good(reserve(*a, 1, ReservationType::kWriteExclusive));
  EXPECT_EQ(store.saves, 0u);
  expect_good(register_key(*b, 2, true));
  EXPECT_EQ(store.saves, 1u);
  expect_good(register_key(*b, 2, false));
  EXPECT_EQ(store.saves, 2u);
  a.reset();
  b.reset();
  nexus.reset();
  prepare();
  start(kept());
  ASSERT_TRUE(unit->load_state());
  a = attach(view_a);
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(ReservationTest, WhatCannotBeKeptIsNotDone) {
  start_two(kept());
  expect_good(register_key(*a, 1, true));
  store.save_error = ENOSPC;
  expect_check(register_key(*b, 2, true), SenseKey::kHardwareError, codes::kInternalTargetFailure);
  expect_check(reserve(*a, 1, ReservationType::kExclusiveAccess), SenseKey::kHardwareError,
               codes::kInternalTargetFailure);
  EXPECT_THAT(keys(), ElementsAre(1));
  expect_good(run(*b, read_one()));
  // What the failed save has left there is not known: the next one writes, though nothing differs from the last.
  store.save_error.reset();
  store.kept.begin()->second = "rubbish";
  expect_good(register_key(*a, 1, true));
  EXPECT_THAT(store.kept.begin()->second, ::testing::HasSubstr("\"0x1\""));
}

TEST_F(ReservationTest, ADamagedRecordIsAnErrorThatNamesIt) {
  start_two(kept());
  expect_good(register_key(*a, 1, true));
  const std::string key = store.kept.begin()->first;
  EXPECT_THAT(key, ::testing::MatchesRegex("reservations-3[0-9a-f]{15}"));
  store.kept.begin()->second = "{}";
  a.reset();
  b.reset();
  nexus.reset();
  prepare();
  start(kept());
  const auto loaded = unit->load_state();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, EBADMSG);
  EXPECT_THAT(loaded.error().message, ::testing::HasSubstr(key));
}

TEST_F(ReservationTest, ReserveDoesNotComeBetweenAChangeAndItsSaving) {
  start_two(kept());
  io::Event saved;
  store.hold = &saved;
  auto command = reserve_out(ReserveOutAction::kRegister, {.action_key = 1, .persist = true});
  std::optional<Completion> completion;
  io::spawn(testing::keep_result(unit->execute(*a, command), completion));
  EXPECT_FALSE(completion) << "not before it is durable";
  EXPECT_THAT(keys(), IsEmpty());
  EXPECT_EQ(run(*b, bare(0x16)).status, scsi::Status::kBusy);
  saved.set();
  ASSERT_TRUE(completion);
  expect_good(*completion);
  EXPECT_THAT(keys(), ElementsAre(1));
  expect_conflict(run(*b, bare(0x16)));
}

}  // namespace
}  // namespace peerlane::target
