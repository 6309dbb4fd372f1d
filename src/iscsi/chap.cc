#include "iscsi/chap.h"

#include <algorithm>
#include <climits>
#include <memory>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "iscsi/keys.h"

namespace peerlane::iscsi {
namespace {

struct AlgorithmSpec {
  ChapAlgorithm algorithm;
  const char* name;  // OpenSSL's
  std::size_t digest_bytes;
};

// Strongest first.
constexpr std::array<AlgorithmSpec, 4> kAlgorithms{{
    {ChapAlgorithm::kSha3Of256, "SHA3-256", 32},
    {ChapAlgorithm::kSha256, "SHA2-256", 32},
    {ChapAlgorithm::kSha1, "SHA1", 20},
    {ChapAlgorithm::kMd5, "MD5", 16},
}};

const AlgorithmSpec& spec_of(ChapAlgorithm algorithm) {
  return *std::ranges::find(kAlgorithms, algorithm, &AlgorithmSpec::algorithm);
}

struct DigestDeleter {
  void operator()(EVP_MD* md) const { EVP_MD_free(md); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Digest = std::unique_ptr<EVP_MD, DigestDeleter>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestDeleter>;

// FIPS providers have no MD5.
Digest fetch(ChapAlgorithm algorithm) {
  return Digest(EVP_MD_fetch(nullptr, spec_of(algorithm).name, nullptr));
}

std::optional<std::string_view> value_of(std::span<const KeyValue> pairs, Key key) {
  const auto found = std::ranges::find(pairs, spec_of(key).name, &KeyValue::key);
  if (found == pairs.end()) return std::nullopt;
  return found->value;
}

std::string_view name_of(Key key) {
  return spec_of(key).name;
}

std::string_view text_of(ChapAlgorithm algorithm) {
  switch (algorithm) {
    case ChapAlgorithm::kMd5:
      return "5";
    case ChapAlgorithm::kSha1:
      return "6";
    case ChapAlgorithm::kSha256:
      return "7";
    case ChapAlgorithm::kSha3Of256:
      return "8";
  }
  return "";
}

std::optional<std::uint8_t> parse_identifier(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number > UCHAR_MAX) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

struct ReceivedChallenge {
  std::uint8_t identifier = 0;
  std::array<std::uint8_t, kChapMaxChallengeBytes> bytes{};
  std::size_t size = 0;
  ByteView view() const { return ByteView(bytes).first(size); }
};

Result<ReceivedChallenge> parse_challenge(std::string_view identifier, std::string_view challenge) {
  ReceivedChallenge out;
  const auto number = parse_identifier(identifier);
  if (!number) return fail(EPROTO, fmt::format("CHAP_I is \"{}\", no number up to 255", printable(identifier)));
  const auto size = decode_binary(challenge, out.bytes);
  if (!size) return fail(EPROTO, "CHAP_C is no binary value of 1 to 1024 bytes");
  out.identifier = *number;
  out.size = *size;
  return out;
}

// A response as it came; an empty one, which never fits, if it is no binary value.
ChapDigest parse_response(std::string_view text) {
  ChapDigest out;
  out.size = decode_binary(text, out.bytes).value_or(0);
  return out;
}

bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<void> SystemRandom::fill(ByteSpan out) {
  if (out.size() > INT_MAX || RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    return fail(EIO, "the cryptographic library has no random numbers to give");
  }
  return {};
}

Result<void> check_chap_secret(std::string_view secret) {
  if (secret.size() >= kChapMinSecretBytes) return {};
  return fail(EINVAL, fmt::format("a CHAP secret has at least {} bytes (RFC 7143 §9.2.1); this one has {}",
                                  kChapMinSecretBytes, secret.size()));
}

Result<ChapDigest> chap_response(ChapAlgorithm algorithm, std::uint8_t identifier, std::string_view secret,
                                 ByteView challenge) {
  const Digest md = fetch(algorithm);
  const DigestContext context(EVP_MD_CTX_new());
  ChapDigest out;
  unsigned size = 0;
  if (!md || !context || EVP_DigestInit_ex2(context.get(), md.get(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), &identifier, 1) != 1 ||
      EVP_DigestUpdate(context.get(), secret.data(), secret.size()) != 1 ||
      EVP_DigestUpdate(context.get(), challenge.data(), challenge.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), out.bytes.data(), &size) != 1) {
    return fail(ENOTSUP, fmt::format("the cryptographic library cannot compute {}", spec_of(algorithm).name));
  }
  out.size = size;
  return out;
}

Result<ChapChallenge> ChapChallenge::make(ChapAlgorithm algorithm, RandomSource& random) {
  ChapChallenge out;
  out.algorithm_ = algorithm;
  out.size_ = spec_of(algorithm).digest_bytes;
  if (auto done = random.fill(ByteSpan(out.bytes_).first(out.size_)); !done) return std::unexpected(done.error());
  if (auto done = random.fill(ByteSpan(&out.identifier_, 1)); !done) return std::unexpected(done.error());
  return out;
}

Result<bool> ChapChallenge::is_answered_by(ByteView response, std::string_view secret) const {
  auto expected = chap_response(algorithm_, identifier_, secret, bytes());
  if (!expected) return std::unexpected(std::move(expected.error()));
  const bool same = equal(response, expected->view());
  OPENSSL_cleanse(expected->bytes.data(), expected->bytes.size());
  return same;
}

Result<void> ChapTarget::handle(std::span<const KeyValue> pairs, TextWriter& answers) {
  const auto algorithms = value_of(pairs, Key::kChapA);
  const bool has_response = value_of(pairs, Key::kChapN) || value_of(pairs, Key::kChapR) ||
                            value_of(pairs, Key::kChapI) || value_of(pairs, Key::kChapC);
  switch (state_) {
    case State::kAlgorithm:
      if (has_response) return fail(EPROTO, "a CHAP response came before the challenge");
      return algorithms ? choose(*algorithms, answers) : Result<void>{};
    case State::kResponse:
      if (algorithms) return fail(EPROTO, "CHAP_A came again after the challenge");
      return has_response ? check(pairs, answers) : Result<void>{};
    case State::kDone:
      break;
  }
  if (algorithms || has_response) return fail(EPROTO, "CHAP keys came after authentication was complete");
  return {};
}

Result<void> ChapTarget::choose(std::string_view offered, TextWriter& answers) {
  const auto list = parse_list(offered);
  const auto usable = [&](const AlgorithmSpec& spec) {
    return std::ranges::find(list, text_of(spec.algorithm)) != list.end() && fetch(spec.algorithm) != nullptr;
  };
  const auto best = std::ranges::find_if(kAlgorithms, usable);
  if (best == kAlgorithms.end()) {
    return fail(EACCES, fmt::format("none of its CHAP algorithms ({}) is known here; known are 5 (MD5), 6 (SHA1), 7 "
                                    "(SHA-256) and 8 (SHA3-256)",
                                    printable(offered)));
  }
  algorithm_ = best->algorithm;
  auto challenge = ChapChallenge::make(algorithm_, random_);
  if (!challenge) return std::unexpected(std::move(challenge.error()));
  challenge_ = *challenge;
  answers.add(name_of(Key::kChapA), text_of(algorithm_));
  answers.add(name_of(Key::kChapI), challenge_.identifier());
  answers.add(name_of(Key::kChapC), encode_hex(challenge_.bytes()));
  state_ = State::kResponse;
  return {};
}

Result<void> ChapTarget::check(std::span<const KeyValue> pairs, TextWriter& answers) {
  const auto user = value_of(pairs, Key::kChapN);
  const auto response = value_of(pairs, Key::kChapR);
  const auto identifier = value_of(pairs, Key::kChapI);
  const auto challenge = value_of(pairs, Key::kChapC);
  if (!user || !response) return fail(EPROTO, "CHAP_N and CHAP_R do not come together");
  if (identifier.has_value() != challenge.has_value()) return fail(EPROTO, "CHAP_I and CHAP_C do not come together");

  const ChapDigest received = parse_response(*response);
  // A reflected challenge is refused before it could be answered: with the answer the peer could log in here (RFC 7143
  // §9.2.1).
  if (challenge) {
    const auto theirs = parse_challenge(*identifier, *challenge);
    if (!theirs) return std::unexpected(theirs.error());
    if (equal(theirs->view(), challenge_.bytes())) return fail(EACCES, "it sent the target's own challenge back");
  }

  // For a user that does not exist the digest is computed as well, so that the time does not tell which users exist.
  const auto account = std::ranges::find(accounts_, *user, &ChapAccountView::name);
  const bool known = account != accounts_.end();
  const auto answered = challenge_.is_answered_by(received.view(), known ? account->secret : "no such account");
  if (!answered) return std::unexpected(answered.error());
  if (!known) return fail(EACCES, fmt::format("CHAP user \"{}\" has no account here", printable(*user)));
  if (!*answered) return fail(EACCES, fmt::format("the secret of CHAP user \"{}\" is wrong", printable(*user)));

  if (challenge) {
    if (auto done = prove(*identifier, *challenge, account->secret, answers); !done) return done;
  }
  user_ = *user;
  state_ = State::kDone;
  return {};
}

Result<void> ChapTarget::prove(std::string_view identifier, std::string_view challenge, std::string_view peer_secret,
                               TextWriter& answers) {
  if (!own_) {
    return fail(EACCES, "it asks the target to prove itself, but no account for mutual CHAP is configured here");
  }
  if (equal(as_bytes(own_->secret), as_bytes(peer_secret))) {
    return fail(EACCES,
                "the secrets of both directions are equal, which RFC 7143 §9.2.1 forbids: give mutual CHAP another");
  }
  const auto theirs = parse_challenge(identifier, challenge);
  if (!theirs) return std::unexpected(theirs.error());
  const auto proof = chap_response(algorithm_, theirs->identifier, own_->secret, theirs->view());
  if (!proof) return std::unexpected(proof.error());
  answers.add(name_of(Key::kChapN), own_->name);
  answers.add(name_of(Key::kChapR), encode_hex(proof->view()));
  return {};
}

void ChapInitiator::start(TextWriter& text, std::optional<ChapAlgorithm> without) {
  without_ = without;
  std::string offered;
  for (const AlgorithmSpec& spec : kAlgorithms) {
    if (!fetch(spec.algorithm) || spec.algorithm == without) continue;
    if (!offered.empty()) offered += ',';
    offered += text_of(spec.algorithm);
  }
  text.add(name_of(Key::kChapA), offered);
}

Result<void> ChapInitiator::handle(std::span<const KeyValue> pairs, TextWriter& answers) {
  switch (state_) {
    case State::kAlgorithm:
      return respond(pairs, answers);
    case State::kProof:
      return check(pairs);
    case State::kDone:
      break;
  }
  return {};
}

Result<void> ChapInitiator::respond(std::span<const KeyValue> pairs, TextWriter& answers) {
  const auto chosen = value_of(pairs, Key::kChapA);
  const auto identifier = value_of(pairs, Key::kChapI);
  const auto challenge = value_of(pairs, Key::kChapC);
  if (!chosen || !identifier || !challenge) return fail(EPROTO, "CHAP_A, CHAP_I and CHAP_C do not come together");
  const auto spec = std::ranges::find(kAlgorithms, *chosen, [](const auto& s) { return text_of(s.algorithm); });
  if (spec == kAlgorithms.end() || spec->algorithm == without_) {
    return fail(EPROTO, fmt::format("the target chose CHAP algorithm {}, which was not offered", printable(*chosen)));
  }
  algorithm_ = spec->algorithm;
  const auto theirs = parse_challenge(*identifier, *challenge);
  if (!theirs) return std::unexpected(theirs.error());
  const auto response = chap_response(spec->algorithm, theirs->identifier, own_.secret, theirs->view());
  if (!response) return std::unexpected(response.error());
  if (target_ && equal(as_bytes(target_->secret), as_bytes(own_.secret))) {
    return fail(EINVAL, "the secrets of both directions are equal, which RFC 7143 §9.2.1 forbids");
  }
  answers.add(name_of(Key::kChapN), own_.name);
  answers.add(name_of(Key::kChapR), encode_hex(response->view()));
  state_ = State::kDone;
  if (!target_) return {};

  auto mine = ChapChallenge::make(spec->algorithm, random_);
  if (!mine) return std::unexpected(std::move(mine.error()));
  challenge_ = *mine;
  answers.add(name_of(Key::kChapI), challenge_.identifier());
  answers.add(name_of(Key::kChapC), encode_hex(challenge_.bytes()));
  state_ = State::kProof;
  return {};
}

Result<void> ChapInitiator::check(std::span<const KeyValue> pairs) {
  const auto name = value_of(pairs, Key::kChapN);
  const auto response = value_of(pairs, Key::kChapR);
  if (!name || !response) return fail(EACCES, "the target did not prove itself");
  const auto answered = challenge_.is_answered_by(parse_response(*response).view(), target_->secret);
  if (!answered) return std::unexpected(answered.error());
  if (!*answered || *name != target_->name) return fail(EACCES, "the target's proof is wrong");
  state_ = State::kDone;
  return {};
}

}  // namespace peerlane::iscsi
