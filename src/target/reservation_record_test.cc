#include "target/reservation_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::target {
namespace {

using ::testing::HasSubstr;
using Registration = PersistentReservations::Registration;

const NexusName kA{"iqn.2026-11.test:a", 0x800000000001, 1};
const NexusName kB{"iqn.2026-11.test:b", 0x23d000001, 65535};

constexpr const char* kRecord = R"({
 "version": 1,
 "registrations": [
  {
   "initiator": "iqn.2026-11.test:a",
   "isid": "0x800000000001",
   "target_port": 1,
   "key": "0xffffffffffffffff",
   "holder": true
  },
  {
   "initiator": "iqn.2026-11.test:b",
   "isid": "0x23d000001",
   "target_port": 65535,
   "key": "0x1"
  }
 ],
 "reservation_type": 6
}
)";
constexpr const char* kNothing = "{\n \"version\": 1,\n \"registrations\": []\n}\n";

PersistentReservations two() {
  return *PersistentReservations::restore({{kA, 0xffffffffffffffff, true}, {kB, 1, false}},
                                          scsi::ReservationType::kExclusiveAccessRegistrantsOnly);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(ReservationRecord, IsAsDocumentedAndReadsBack) {
  EXPECT_EQ(encode_reservation_record(two()), kRecord);
  const auto decoded = decode_reservation_record(kRecord);
  ASSERT_TRUE(decoded) << decoded.error().text();
  EXPECT_TRUE(std::ranges::equal(decoded->registrations(), two().registrations()));
  EXPECT_EQ(decoded->type(), two().type());
  EXPECT_TRUE(decoded->persist());
}

TEST(ReservationRecord, WithoutAptplThereIsNothingToKeep) {
  EXPECT_EQ(encode_reservation_record({}), kNothing);
  auto reservations = two();
  EXPECT_TRUE(reservations.register_key(kB, {.key = 1, .action_key = 1, .persist = false}));
  EXPECT_EQ(encode_reservation_record(reservations), kNothing);
  const auto decoded = decode_reservation_record(kNothing);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->registrations().empty());
  EXPECT_FALSE(decoded->persist());
}

TEST(ReservationRecord, WhatIsWrongIsNeverTakenForLess) {
  const std::string record = kRecord;
  const std::string bad[] = {
      "",
      "x",
      "[]",
      "null",
      record.substr(0, record.size() / 2),
      replaced(record, "\"version\": 1", "\"version\": 2"),
      replaced(record, "\"version\": 1", "\"version\": \"1\""),
      replaced(record, "\"version\"", "\"versio\""),
      replaced(record, "\"registrations\"", "\"x\""),
      replaced(kNothing, "[]", "{}"),
      replaced(kNothing, "[]", "[1]"),
      replaced(record, "\"initiator\"", "\"x\""),
      replaced(record, "\"iqn.2026-11.test:a\"", "\"IQN.2026-11.test:a\""),
      replaced(record, "\"iqn.2026-11.test:a\"", "\"\""),
      replaced(record, "\"iqn.2026-11.test:a\"", "7"),
      replaced(record, "0x800000000001", "0x1800000000001"),
      replaced(record, "0x800000000001", "800000000001"),
      replaced(record, "0x800000000001", "0x80000000000g"),
      replaced(record, "\"target_port\": 1,", "\"target_port\": 65536,"),
      replaced(record, "\"target_port\": 1,", "\"target_port\": -1,"),
      replaced(record, "\"target_port\": 1,", ""),
      replaced(record, "0xffffffffffffffff", "0x1ffffffffffffffff"),
      replaced(record, "0xffffffffffffffff", "0x0"),
      replaced(record, "0xffffffffffffffff", "0x"),
      replaced(record, "\"holder\": true", "\"holder\": 1"),
      replaced(record, "\"holder\": true", "\"holder\": false"),
      replaced(record, "\"reservation_type\": 6", "\"reservation_type\": 4"),
      replaced(record, "\"reservation_type\": 6", "\"reservation_type\": 262"),
      replaced(record, "\"reservation_type\": 6", "\"reservation_type\": \"6\""),
      replaced(record, "\"reservation_type\": 6", "\"reservation_type\": 8"),
      replaced(record, "test:b\",\n   \"isid\": \"0x23d000001\",\n   \"target_port\": 65535",
               "test:a\",\n   \"isid\": \"0x800000000001\",\n   \"target_port\": 1"),
  };
  for (const std::string& text : bad) {
    const auto decoded = decode_reservation_record(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code, EBADMSG);
  }
  EXPECT_THAT(decode_reservation_record(bad[5]).error().message, HasSubstr("version"));
}

}  // namespace
}  // namespace peerlane::target
