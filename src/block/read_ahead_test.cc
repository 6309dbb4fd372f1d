#include "block/read_ahead.h"

#include <random>

#include <gtest/gtest.h>

namespace peerlane::block {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kDisk = 64 * kGiB;

/// What a reader of a stretch of a disk gets read ahead, and how far beyond its end.
struct Outcome {
  std::uint64_t bytes = 0;
  std::uint64_t end = 0;
};
Outcome read_stretch(ReadAhead& ahead, std::uint64_t begin, std::uint64_t end, std::uint64_t step) {
  Outcome outcome;
  for (std::uint64_t at = begin; at < end; at += step) {
    const auto advice = ahead.note(at, step, kDisk);
    if (!advice.ahead) continue;
    EXPECT_EQ(advice.ahead->offset % ReadAhead::kUnit, 0u);
    EXPECT_EQ(advice.ahead->length % ReadAhead::kUnit, 0u);
    // Without gaps and nothing twice.
    if (outcome.end != 0) {
      EXPECT_EQ(advice.ahead->offset, outcome.end);
    }
    outcome.bytes += advice.ahead->length;
    outcome.end = advice.ahead->offset + advice.ahead->length;
  }
  return outcome;
}

TEST(ReadAhead, GrowsUpToItsMostAndIsAlwaysBefore) {
  ReadAhead ahead(kMiB);
  const Outcome outcome = read_stretch(ahead, kGiB, kGiB + 64 * kMiB, 64 * kKiB);
  EXPECT_GT(outcome.end, kGiB + 64 * kMiB);
  EXPECT_LE(outcome.end, kGiB + 65 * kMiB);
  EXPECT_GT(outcome.bytes, 63 * kMiB);
}

TEST(ReadAhead, WhatIsReadInVainIsAtMostHalfOfWhatWasRead) {
  for (const std::uint64_t run : {16 * kKiB, 128 * kKiB, 256 * kKiB, 1 * kMiB, 3 * kMiB}) {
    for (const std::uint64_t step : {512ul, 4 * kKiB, 16 * kKiB, 128 * kKiB}) {
      ReadAhead ahead(8 * kMiB);
      const Outcome outcome = read_stretch(ahead, kGiB, kGiB + run, step);
      const std::uint64_t read = std::max(run, step);
      if (outcome.end > kGiB + read) {
        EXPECT_LE(outcome.end - kGiB - read, read / 2) << run << " by " << step;
      }
    }
  }
}

TEST(ReadAhead, TellsInterleavedStreamsApart) {
  ReadAhead ahead(kMiB);
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < 64; ++i) {
    for (std::uint64_t stream = 0; stream < limits::kReadAheadStreams; ++stream) {
      const auto advice = ahead.note(stream * kGiB + i * 64 * kKiB, 64 * kKiB, kDisk);
      EXPECT_EQ(advice.goes_on, i != 0);
      if (advice.ahead) bytes += advice.ahead->length;
    }
  }
  EXPECT_GT(bytes, limits::kReadAheadStreams * 4 * kMiB);
}

TEST(ReadAhead, RandomReadsAreLeftAlone) {
  ReadAhead ahead(kMiB);
  std::mt19937_64 random(1);
  unsigned advised = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (ahead.note(random() % (kGiB / 4096) * 4096, 4096, kDisk).ahead) ++advised;
  }
  EXPECT_EQ(advised, 0u);
}

TEST(ReadAhead, StopsWhenThePatternChanges) {
  ReadAhead ahead(kMiB);
  read_stretch(ahead, 0, 16 * kMiB, 64 * kKiB);
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(ahead.note(kGiB + random() % 4096 * kMiB, 64 * kKiB, kDisk).ahead);
  // A reader that turns round, or strides.
  for (std::uint64_t i = 1000; i-- > 0;) EXPECT_FALSE(ahead.note(20 * kGiB + i * 64 * kKiB, 64 * kKiB, kDisk).ahead);
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_FALSE(ahead.note(30 * kGiB + i * kMiB, 64 * kKiB, kDisk).ahead);
}

TEST(ReadAhead, BearsSomeDisorder) {
  ReadAhead ahead(kMiB);
  read_stretch(ahead, 0, kMiB, 16 * kKiB);
  std::uint64_t end = 0;
  for (std::uint64_t i = 64; i < 640; ++i) {
    const auto advice = ahead.note((i ^ 1) * 16 * kKiB, 16 * kKiB, kDisk);
    EXPECT_TRUE(advice.goes_on);
    if (advice.ahead) end = advice.ahead->offset + advice.ahead->length;
  }
  EXPECT_GT(end, 640 * 16 * kKiB);
}

TEST(ReadAhead, EndsWhereTheDiskEnds) {
  ReadAhead ahead(kMiB);
  const std::uint64_t size = 4 * kMiB + 512;
  std::uint64_t end = 0;
  for (std::uint64_t at = 0; at < 4 * kMiB; at += 64 * kKiB) {
    const auto advice = ahead.note(at, 64 * kKiB, size);
    if (advice.ahead) end = advice.ahead->offset + advice.ahead->length;
  }
  EXPECT_EQ(end, 4 * kMiB) << "whole units only";
}

TEST(ReadAhead, CanBeSwitchedOff) {
  ReadAhead ahead(0);
  EXPECT_FALSE(ahead.enabled());
}

}  // namespace
}  // namespace peerlane::block
