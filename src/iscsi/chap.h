// CHAP (RFC 1994, RFC 7143 §12.1.3): one side sends an identifier and a challenge, the other answers with a digest over
// identifier, secret and challenge. The target always authenticates the initiator; if the initiator sends a challenge
// of its own, the target proves itself as well (mutual authentication).
//
//   initiator                            target
//   CHAP_A=8,7,6,5             →
//                              ←         CHAP_A=8 CHAP_I=i CHAP_C=c
//   CHAP_N=n CHAP_R=r [CHAP_I=i2 CHAP_C=c2] →
//                              ←         [CHAP_N=n2 CHAP_R=r2]
//
// Secrets are only borrowed: the accounts outlive the exchange. Errors are sentences for the log which hold no secret.
// Their code is EPROTO where the peer does not follow the RFC, EACCES where it does not prove itself, others where we
// cannot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "iscsi/random.h"
#include "iscsi/text.h"

namespace peerlane::iscsi {

/// The value of CHAP_A: IANA's PPP authentication algorithms.
enum class ChapAlgorithm : std::uint8_t { kMd5 = 5, kSha1 = 6, kSha256 = 7, kSha3Of256 = 8 };

inline constexpr std::size_t kChapMinSecretBytes = 12;       // 96 bits, RFC 7143 §9.2.1
inline constexpr std::size_t kChapMaxChallengeBytes = 1024;  // RFC 7143 §12.1.3
inline constexpr std::size_t kChapMaxDigestBytes = 32;

/// Borrowed.
struct ChapAccountView {
  std::string_view name;
  std::string_view secret;
};

/// Errors, EINVAL, with a sentence: a secret that RFC 7143 §9.2.1 finds too short.
Result<void> check_chap_secret(std::string_view secret);

/// A digest, as long as its algorithm makes it.
struct ChapDigest {
  std::array<std::uint8_t, kChapMaxDigestBytes> bytes{};
  std::size_t size = 0;
  ByteView view() const { return ByteView(bytes).first(size); }
};

/// The response to a challenge. Errors: ENOTSUP, the cryptographic library does not offer the algorithm.
Result<ChapDigest> chap_response(ChapAlgorithm algorithm, std::uint8_t identifier, std::string_view secret,
                                 ByteView challenge);

/// A challenge that was sent, and the check of its answer.
class ChapChallenge {
 public:
  /// Makes a new one, as long as the digest of `algorithm`. Errors: the random source's.
  static Result<ChapChallenge> make(ChapAlgorithm algorithm, RandomSource& random);

  std::uint8_t identifier() const { return identifier_; }
  ByteView bytes() const { return ByteView(bytes_).first(size_); }
  /// Whether `response` is the answer of one who knows `secret`. Takes the same time whatever is wrong in it.
  Result<bool> is_answered_by(ByteView response, std::string_view secret) const;

 private:
  ChapAlgorithm algorithm_ = ChapAlgorithm::kMd5;
  std::uint8_t identifier_ = 0;
  std::array<std::uint8_t, kChapMaxDigestBytes> bytes_{};
  std::size_t size_ = 0;
};

/// The target's side. Not thread-safe.
class ChapTarget {
 public:
  /// `accounts` are those that may log in, `own` is what the target proves itself with if it is asked to.
  ChapTarget(RandomSource& random, std::vector<ChapAccountView> accounts, std::optional<ChapAccountView> own)
      : random_(random), accounts_(std::move(accounts)), own_(own) {}

  /// Takes the CHAP keys of one text and writes what is to be answered. Other keys are not noticed. Refuses what the
  /// initiator must not do: our challenge sent back to us, one secret for both directions.
  Result<void> handle(std::span<const KeyValue> pairs, TextWriter& answers);

  /// Whether the initiator has proved who it is, and by which account.
  bool done() const { return state_ == State::kDone; }
  const std::string& user() const { return user_; }

 private:
  enum class State { kAlgorithm, kResponse, kDone };

  Result<void> choose(std::string_view offered, TextWriter& answers);
  Result<void> check(std::span<const KeyValue> pairs, TextWriter& answers);
  Result<void> prove(std::string_view identifier, std::string_view challenge, std::string_view peer_secret,
                     TextWriter& answers);

  RandomSource& random_;
  std::vector<ChapAccountView> accounts_;
  std::optional<ChapAccountView> own_;
  State state_ = State::kAlgorithm;
  ChapAlgorithm algorithm_ = ChapAlgorithm::kMd5;
  ChapChallenge challenge_;
  std::string user_;
};

/// The initiator's side. Not thread-safe.
class ChapInitiator {
 public:
  /// `own` is what the initiator logs in with. With `target`, the target must prove that it knows that secret, too.
  ChapInitiator(RandomSource& random, ChapAccountView own, std::optional<ChapAccountView> target)
      : random_(random), own_(own), target_(target) {}

  /// Writes the algorithms offered, the strongest first, `without` one.
  void start(TextWriter& text, std::optional<ChapAlgorithm> without = std::nullopt);
  /// Takes the CHAP keys of one answer and writes what comes next.
  Result<void> handle(std::span<const KeyValue> pairs, TextWriter& answers);
  /// Whether all is said, and the target proved, where it was to.
  bool done() const { return state_ == State::kDone; }
  /// The one that the target chose, if it has.
  std::optional<ChapAlgorithm> algorithm() const { return algorithm_; }

 private:
  enum class State { kAlgorithm, kProof, kDone };

  Result<void> respond(std::span<const KeyValue> pairs, TextWriter& answers);
  Result<void> check(std::span<const KeyValue> pairs);

  RandomSource& random_;
  ChapAccountView own_;
  std::optional<ChapAccountView> target_;
  State state_ = State::kAlgorithm;
  std::optional<ChapAlgorithm> without_;
  std::optional<ChapAlgorithm> algorithm_;
  ChapChallenge challenge_;
};

}  // namespace peerlane::iscsi
