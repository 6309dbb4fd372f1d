#include "scsi/persistent_reservation.h"

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

const std::string kAliceBytes = "45 00 00 18 69 71 6e 2e 61 2c 69 2c 30 78 38 30 30 30 30 30 30 30 30 30 30 31 00 00";
const TransportId kAlice{"iqn.a", 0x800000000001};

TEST(ReservationType, KnowsTheSixAndNoOther) {
  unsigned known = 0;
  for (unsigned code = 0; code < 256; ++code) known += reservation_type(static_cast<std::uint8_t>(code)) ? 1u : 0u;
  EXPECT_EQ(known, 6u);
  for (const unsigned code : {1u, 3u, 5u, 6u, 7u, 8u}) {
    const auto type = reservation_type(static_cast<std::uint8_t>(code));
    ASSERT_TRUE(type);
    EXPECT_EQ(static_cast<unsigned>(*type), code);
    EXPECT_EQ(is_write_exclusive(*type), code == 1 || code == 5 || code == 7);
    EXPECT_EQ(is_registrants_only(*type), code == 5 || code == 6);
    EXPECT_EQ(is_all_registrants(*type), code == 7 || code == 8);
  }
}

TEST(ReadKeys, EncodesAsInTheStandardAndReadsBack) {
  const ReservationKeys keys{0x01020304, {0x1122334455667788, 0x99}};
  const auto wire = bytes("01 02 03 04 00 00 00 10 11 22 33 44 55 66 77 88 00 00 00 00 00 00 00 99");
  EXPECT_EQ(encode_reservation_keys(keys), wire);
  EXPECT_EQ(decode_reservation_keys(wire), keys);
  EXPECT_EQ(encode_reservation_keys({7, {}}), bytes("00 00 00 07 00 00 00 00"));
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const auto part = decode_reservation_keys(ByteView(wire).first(size));
    ASSERT_EQ(part.has_value(), size >= 8) << size;
    if (part) {
      EXPECT_EQ(part->keys.size(), size / 8 - 1) << size;
    }
  }
}

TEST(ReadReservation, EncodesAsInTheStandardAndReadsBack) {
  const ReservationState state{5, {{0x1122334455667788, ReservationType::kExclusiveAccessRegistrantsOnly}}};
  const auto wire = bytes("00 00 00 05 00 00 00 10 11 22 33 44 55 66 77 88 00 00 00 00 00 06 00 00");
  EXPECT_EQ(encode_reservation_state(state), wire);
  EXPECT_EQ(decode_reservation_state(wire), state);
  EXPECT_EQ(encode_reservation_state({5}), bytes("00 00 00 05 00 00 00 00"));
  EXPECT_EQ(decode_reservation_state(bytes("00 00 00 05 00 00 00 00")), ReservationState{5});
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const auto part = decode_reservation_state(ByteView(wire).first(size));
    EXPECT_EQ(part.has_value(), size == 8) << size;
  }
  for (const unsigned bad : {0x00u, 0x02u, 0x04u, 0x09u, 0x16u, 0x26u}) {
    auto other = wire;
    other[21] = static_cast<std::uint8_t>(bad);
    EXPECT_FALSE(decode_reservation_state(other)) << bad;
  }
}

TEST(ReportCapabilities, EncodesAsInTheStandardAndReadsBack) {
  const auto check = [](const ReservationCapabilities& capabilities, std::string_view wire) {
    EXPECT_EQ(encode_reservation_capabilities(capabilities), bytes(wire));
    EXPECT_EQ(decode_reservation_capabilities(bytes(wire)), capabilities);
  };
  check({}, "00 08 00 00 00 00 00 00");
  check({.compatible_handling = true}, "00 08 10 00 00 00 00 00");
  check({.specify_initiator_ports = true}, "00 08 08 00 00 00 00 00");
  check({.all_target_ports = true}, "00 08 04 00 00 00 00 00");
  check({.persist_capable = true}, "00 08 01 00 00 00 00 00");
  check({.persist_active = true}, "00 08 00 01 00 00 00 00");
  check({.allow_commands = 3}, "00 08 00 30 00 00 00 00");
  check({.all_types = true}, "00 08 00 80 ea 01 00 00");
  EXPECT_FALSE(decode_reservation_capabilities(bytes("00 08 10 00 00 00 00")));
  EXPECT_FALSE(decode_reservation_capabilities(bytes("00 07 10 00 00 00 00 00")));
}

TEST(ReadFullStatus, EncodesAsInTheStandardAndReadsBack) {
  FullStatus status{9, {}};
  status.registrations.push_back({0xabcd, false, ReservationType::kWriteExclusive, 2, kAlice});
  status.registrations.push_back({0x1234, true, std::nullopt, 0x0102, kAlice});
  const auto wire = bytes(std::string("00 00 00 09 00 00 00 68") +
                          "00 00 00 00 00 00 ab cd 00 00 00 00 01 01 00 00 00 00 00 02 00 00 00 1c" + kAliceBytes +
                          "00 00 00 00 00 00 12 34 00 00 00 00 02 00 00 00 00 00 01 02 00 00 00 1c" + kAliceBytes);
  EXPECT_EQ(encode_full_status(status), wire);
  EXPECT_EQ(decode_full_status(wire), status);
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const auto part = decode_full_status(ByteView(wire).first(size));
    ASSERT_EQ(part.has_value(), size >= 8) << size;
    if (part) {
      EXPECT_EQ(part->registrations.size(), size >= 60 ? 1u : 0u) << size;
    }
  }
}

TEST(ReadFullStatus, RefusesATransportIdThatIsNone) {
  auto wire = encode_full_status({9, {{1, false, std::nullopt, 1, kAlice}}});
  wire[32] = 0x46;
  EXPECT_FALSE(decode_full_status(wire));
}

TEST(ReserveOut, EncodesAsInTheStandardAndReadsBack) {
  const auto check = [](const ReserveOutParameters& parameters, const std::string& wire) {
    EXPECT_EQ(encode_reserve_out(parameters), bytes(wire));
    EXPECT_EQ(decode_reserve_out(bytes(wire)), parameters);
  };
  const std::string keys = "11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00 00 00 00 00";
  const ReserveOutParameters plain{0x1122334455667788, 0x99aabbccddeeff00};
  check(plain, keys + "00 00 00 00");
  ReserveOutParameters parameters = plain;
  parameters.persist = true;
  check(parameters, keys + "01 00 00 00");
  parameters = plain;
  parameters.all_target_ports = true;
  check(parameters, keys + "04 00 00 00");
  parameters = plain;
  parameters.initiators.emplace();
  check(parameters, keys + "08 00 00 00 00 00 00 00");
  parameters.initiators->push_back(kAlice);
  parameters.initiators->push_back(kAlice);
  check(parameters, keys + "08 00 00 00 00 00 00 38" + kAliceBytes + kAliceBytes);
}

TEST(ReserveOut, RefusesLengthsThatDisagree) {
  ReserveOutParameters parameters{1, 2};
  parameters.initiators = {{kAlice}};
  const auto wire = encode_reserve_out(parameters);
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const auto decoded = decode_reserve_out(ByteView(wire).first(size));
    ASSERT_FALSE(decoded) << size;
    EXPECT_EQ(decoded.error().code, sense_codes::kParameterListLengthError) << size;
  }
  auto longer = wire;
  longer.push_back(0);
  EXPECT_EQ(decode_reserve_out(longer).error().code, sense_codes::kParameterListLengthError);
  auto plain = encode_reserve_out({1, 2});
  plain.resize(28);
  EXPECT_EQ(decode_reserve_out(plain).error().code, sense_codes::kParameterListLengthError);
}

TEST(ReserveOut, PointsAtATransportIdThatIsNone) {
  ReserveOutParameters parameters{1, 2};
  parameters.initiators = {{kAlice, kAlice}};
  auto wire = encode_reserve_out(parameters);
  wire[56] = 0x40;
  const auto decoded = decode_reserve_out(wire);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, sense_codes::kInvalidFieldInParameterList);
  EXPECT_EQ(decoded.error().field->byte, 56);
  EXPECT_FALSE(decoded.error().field->in_cdb);
}

TEST(RegisterAndMove, EncodesAsInTheStandardAndReadsBack) {
  const auto check = [](const MoveParameters& parameters, std::string_view flags) {
    const auto wire = bytes("11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00 00" + std::string(flags) +
                            "01 02 00 00 00 1c" + kAliceBytes);
    EXPECT_EQ(encode_register_and_move(parameters), wire);
    EXPECT_EQ(decode_register_and_move(wire), parameters);
  };
  check({0x1122334455667788, 0x99aabbccddeeff00, false, false, 0x0102, kAlice}, "00");
  check({0x1122334455667788, 0x99aabbccddeeff00, true, false, 0x0102, kAlice}, "02");
  check({0x1122334455667788, 0x99aabbccddeeff00, false, true, 0x0102, kAlice}, "01");
}

TEST(RegisterAndMove, RefusesWhatIsNotWhole) {
  const auto wire = encode_register_and_move({1, 2, false, false, 1, kAlice});
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const auto decoded = decode_register_and_move(ByteView(wire).first(size));
    ASSERT_FALSE(decoded) << size;
    EXPECT_EQ(decoded.error().code, sense_codes::kParameterListLengthError) << size;
  }
  auto two = wire;
  two.insert(two.end(), wire.begin() + 24, wire.end());
  two[23] = static_cast<std::uint8_t>(two.size() - 24);
  EXPECT_EQ(decode_register_and_move(two).error().code, sense_codes::kInvalidFieldInParameterList)
      << "two TransportIDs";
  auto none = wire;
  none.resize(24);
  none[23] = 0;
  const auto decoded = decode_register_and_move(none);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, sense_codes::kParameterListLengthError) << "there is no field to point at";
}

}  // namespace
}  // namespace peerlane::scsi
