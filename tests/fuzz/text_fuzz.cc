// Text: its form, the values in it, and the negotiation of the keys that it has.
//
// Input: one byte of flags (stage, discovery, leading connection), one that says in how many pieces the text comes, the
// text.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "harness.h"
#include "iscsi/keys.h"
#include "iscsi/name.h"
#include "iscsi/negotiation.h"
#include "iscsi/pdu.h"
#include "iscsi/text.h"
#include "iscsi/url.h"

namespace {

using namespace peerlane;
using fuzz::require;
using iscsi::KeyValue;
using iscsi::Stage;

void check_parameters(const iscsi::Parameters& p, const iscsi::Preferences& mine) {
  const auto within = [](std::uint32_t value, std::uint32_t low, std::uint32_t high) {
    return low <= value && value <= high;
  };
  require(within(p.peer_max_recv_data_segment_length, 512, iscsi::kMaxDataSegmentLength), "MaxRecvDataSegmentLength");
  require(within(p.max_burst_length, 512, std::max(mine.max_burst_length, iscsi::kDefaultMaxBurstLength)),
          "MaxBurstLength");
  require(within(p.first_burst_length, 512, p.max_burst_length), "FirstBurstLength <= MaxBurstLength");
  require(p.max_connections == 1 && p.error_recovery_level == 0, "what is not offered is not agreed to");
  require(within(p.max_outstanding_r2t, 1, mine.max_outstanding_r2t), "MaxOutstandingR2T");
  require(within(p.default_time2wait, 0, 3600) && within(p.default_time2retain, 0, 3600), "DefaultTime2Wait, Retain");
  require(p.data_pdu_in_order && p.data_sequence_in_order, "Yes wins over No");
  require(within(p.protocol_level, 0, mine.protocol_level), "iSCSIProtocolLevel");
}

// Every answer is to a key that was offered, and is one that its kind allows.
void check_answers(const std::vector<KeyValue>& offered, ByteView text) {
  const auto answers = iscsi::parse_text(text);
  require(answers.has_value(), "answers are a text themselves");
  for (const KeyValue& answer : *answers) {
    const auto offer = std::ranges::find(offered, answer.key, &KeyValue::key);
    require(offer != offered.end(), "only what was offered is answered");
    const iscsi::KeySpec* const spec = iscsi::find_key(answer.key);
    if (spec == nullptr) {
      require(answer.value == iscsi::kAnswerNotUnderstood, "unknown keys are not understood");
      continue;
    }
    require(answer.value != iscsi::kAnswerNotUnderstood, "known keys are understood");
    if (answer.value == iscsi::kAnswerReject || answer.value == iscsi::kAnswerIrrelevant) continue;
    require(spec->kind != iscsi::Kind::kDeclarative, "declarations are not answered");
    if (spec->kind == iscsi::Kind::kMinimum) {
      const auto low = iscsi::parse_number(answer.value);
      require(low && *low >= spec->low && *low <= iscsi::parse_number(offer->value).value(), "a minimum");
    }
    if (spec->kind == iscsi::Kind::kMaximum) {
      const auto high = iscsi::parse_number(answer.value);
      require(high && *high <= spec->high && *high >= iscsi::parse_number(offer->value).value(), "a maximum");
    }
    if (spec->kind == iscsi::Kind::kList) {
      const auto list = iscsi::parse_list(offer->value);
      require(std::ranges::find(list, answer.value) != list.end(), "the chosen value was offered");
    }
  }
}

void negotiate(const std::vector<KeyValue>& pairs, std::uint8_t flags) {
  const iscsi::Preferences mine;
  const Stage stage = std::array{Stage::kSecurityNegotiation, Stage::kOperationalNegotiation, Stage::kFullFeature,
                                 Stage::kOperationalNegotiation}[flags & 3u];
  iscsi::Negotiator negotiator(mine);
  negotiator.set_discovery((flags & 4u) != 0);
  negotiator.set_leading((flags & 8u) == 0);
  iscsi::TextWriter answers;
  const bool ended = !negotiator.answer(stage, pairs, answers).has_value();
  check_parameters(negotiator.parameters(), mine);
  if (iscsi::duplicate_key(pairs).empty()) {
    require(!ended, "without a key that comes twice a negotiation goes on");
    check_answers(pairs, answers.next_segment(1u << 20));
  }
  // Again, as if the initiator had sent it all twice: whatever that is, it leaves no parameter out of its range.
  answers.clear();
  if (!negotiator.answer(Stage::kOperationalNegotiation, pairs, answers)) answers.clear();
  check_parameters(negotiator.parameters(), mine);
}

void check_value(std::string_view value) {
  std::array<std::uint8_t, 1024> bytes{};
  if (const auto size = iscsi::decode_binary(value, bytes)) {
    const ByteView decoded = ByteView(bytes).first(*size);
    for (const std::string& text : {iscsi::encode_hex(decoded), iscsi::encode_base64(decoded)}) {
      std::array<std::uint8_t, 1024> again{};
      const auto same = iscsi::decode_binary(text, again);
      require(same == size && again == bytes, "binary values survive encoding");
    }
  }
  if (const auto range = iscsi::parse_range(value)) require(range->low <= range->high, "a range goes up");
  if (const auto name = iscsi::normalise_name(value)) {
    require(name->size() <= iscsi::kMaxNameBytes && iscsi::normalise_name(*name).value_or("") == *name,
            "a normalised name is normal");
  }
  if (const auto url = iscsi::parse_url(value)) {
    iscsi::Url shown = *url;
    shown.password.clear();
    std::erase_if(shown.options, [&](const auto& option) { return option.first == "target_password"; });
    if (shown.target.empty()) shown.options.clear();
    require(iscsi::parse_url(iscsi::to_string(*url)).value() == shown, "a URL shown is the same URL");
  }
  const std::string shown = iscsi::printable(value);
  require(std::ranges::all_of(shown, [](char c) { return c >= ' ' && c <= '~'; }), "what is logged is printable");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t flags = input.byte();
  const std::size_t pieces = input.byte() % 8u + 1u;
  const ByteView text = input.rest();

  iscsi::TextAssembler assembler;
  const std::size_t piece = text.size() / pieces + 1;
  for (std::size_t at = 0; at <= text.size(); at += piece) {
    const ByteView part = text.subspan(at, std::min(piece, text.size() - at));
    const auto whole = assembler.add(part, at + piece <= text.size());
    require(whole.has_value() == (assembler.text().size() == at + part.size()), "the assembler refuses or keeps");
    if (!whole) return 0;
  }
  require(std::ranges::equal(assembler.text(), text), "a text in pieces is the same text");

  const auto pairs = iscsi::parse_text(assembler.text());
  if (!pairs) return 0;
  require(pairs->size() <= limits::kTextKeys, "the number of keys has a limit");
  for (const KeyValue& pair : *pairs) check_value(pair.value);
  negotiate(*pairs, flags);
  return 0;
}
