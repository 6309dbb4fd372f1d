// Where unpredictable bytes come from. A seam: tests, the simulation and the fuzzers give bytes that they know.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace peerlane::iscsi {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  /// Fills `out` with bytes that no peer can predict. Errors: the system has none to give.
  virtual Result<void> fill(ByteSpan out) = 0;
};

/// OpenSSL's generator, seeded by the system. Thread-safe.
class SystemRandom final : public RandomSource {
 public:
  Result<void> fill(ByteSpan out) override;
};

}  // namespace peerlane::iscsi
