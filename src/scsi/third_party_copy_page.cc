#include "scsi/third_party_copy_page.h"

#include <algorithm>
#include <array>

#include "scsi/vpd_page.h"

namespace peerlane::scsi {
namespace {

// Every descriptor: its type, and the length of what follows, a multiple of four. Offsets below are from its beginning.
constexpr std::size_t kLength = 2;
constexpr std::size_t kHeaderBytes = 4;

enum class DescriptorType : std::uint16_t {
  kTokenLimits = 0x0000,
  kCommands = 0x0001,
  kParameterData = 0x0004,
  kDescriptors = 0x0008,
  kCscdIds = 0x000c,
  kTokenFeatures = 0x0106,
  kRods = 0x0108,
  kGeneral = 0x8001,
  kHeldData = 0xc001,
};

// 0000h (SBC-3).
constexpr std::size_t kMaxRanges = 10;
constexpr std::size_t kMaxInactivity = 12;
constexpr std::size_t kDefaultInactivity = 16;
constexpr std::size_t kMaxBlocks = 20;
constexpr std::size_t kOptimalBlocks = 28;
constexpr std::size_t kTokenLimitsBytes = 36;

// 0001h: a list's length of one byte, then for each command its operation code, a length, and service actions.
// 0008h: a list's length of one byte, then type codes.
constexpr std::size_t kByteList = 5;
constexpr std::size_t kMostByteList = 255;
constexpr std::size_t kCommandHeaderBytes = 2;

// 0004h.
constexpr std::size_t kMaxCscds = 8;
constexpr std::size_t kMaxSegments = 10;
constexpr std::size_t kMaxDescriptorBytes = 12;
constexpr std::size_t kMaxInlineBytes = 16;
constexpr std::size_t kParameterDataBytes = 32;

// 000Ch: a list's length of two bytes, then IDs.
constexpr std::size_t kCscdIds = 6;

// 0106h, and of the list in it the descriptor of block devices.
constexpr std::size_t kRemoteTokens = 4;
constexpr std::uint8_t kRemoteTokensMask = 0x0f;
constexpr std::size_t kMinLifetime = 16;
constexpr std::size_t kMaxLifetime = 20;
constexpr std::size_t kMaxTokenInactivity = 24;
constexpr std::size_t kFeaturesLength = 46;
constexpr std::size_t kFeatures = 48;
constexpr std::size_t kFeaturesBytes = 48;
constexpr std::uint8_t kFeaturesOfBlockDevices = 0;  // device type 0, format 0
constexpr std::size_t kOptimalGranularity = 6;
constexpr std::size_t kMaxRodBytes = 8;
constexpr std::size_t kOptimalBytes = 16;
constexpr std::size_t kOptimalToToken = 24;
constexpr std::size_t kOptimalFromToken = 32;

// 0108h, and each of its ROD type descriptors.
constexpr std::size_t kRodsLength = 6;
constexpr std::size_t kRods = 8;
constexpr std::size_t kRodBytes = 64;
constexpr std::size_t kRodFlags = 4;
constexpr std::uint8_t kEcpyInt = 0x80;
constexpr std::uint8_t kTokenIn = 0x02;
constexpr std::uint8_t kTokenOut = 0x01;
constexpr std::size_t kPreference = 6;

// 8001h.
constexpr std::size_t kTotalCopies = 4;
constexpr std::size_t kIdentifiedCopies = 8;
constexpr std::size_t kMaxSegmentBytes = 12;
constexpr std::size_t kDataGranularity = 16;
constexpr std::size_t kInlineGranularity = 17;
constexpr std::size_t kGeneralBytes = 36;

// C001h.
constexpr std::size_t kHeldLimit = 4;
constexpr std::size_t kHeldGranularity = 8;
constexpr std::size_t kHeldDataBytes = 32;

/// Puts descriptors into the body of a page, as long as there is room.
class DescriptorWriter {
 public:
  explicit DescriptorWriter(ByteSpan out) : out_(out) {}

  /// A descriptor of `bytes` with its header, zeroed but for that; `bytes` is filled up to a multiple of four. Nothing
  /// if there is no room for it.
  std::optional<ByteSpan> add(DescriptorType type, std::size_t bytes) {
    const std::size_t padded = (bytes + 3) / 4 * 4;
    if (padded > out_.size() - size_) return std::nullopt;
    const ByteSpan descriptor = out_.subspan(size_, padded);
    std::ranges::fill(descriptor, std::uint8_t{0});
    put_be16(descriptor, 0, static_cast<std::uint16_t>(type));
    put_be16(descriptor, kLength, static_cast<std::uint16_t>(padded - kHeaderBytes));
    size_ += padded;
    return descriptor;
  }

  std::size_t size() const { return size_; }

 private:
  ByteSpan out_;
  std::size_t size_ = 0;
};

// --- One pair of functions for each descriptor. Readers have at least the bytes that the type demands. ---

void put_token_limits(const TokenLimits& limits, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kTokenLimits, kTokenLimitsBytes);
  if (!out) return;
  put_be16(*out, kMaxRanges, limits.max_ranges);
  put_be32(*out, kMaxInactivity, limits.max_inactivity);
  put_be32(*out, kDefaultInactivity, limits.default_inactivity);
  put_be64(*out, kMaxBlocks, limits.max_blocks);
  put_be64(*out, kOptimalBlocks, limits.optimal_blocks);
}

void get_token_limits(ByteView bytes, ThirdPartyCopyPage& page) {
  page.token_limits = TokenLimits{.max_ranges = get_be16(bytes, kMaxRanges),
                                  .max_inactivity = get_be32(bytes, kMaxInactivity),
                                  .default_inactivity = get_be32(bytes, kDefaultInactivity),
                                  .max_blocks = get_be64(bytes, kMaxBlocks),
                                  .optimal_blocks = get_be64(bytes, kOptimalBlocks)};
}

void put_commands(std::span<const SupportedCopyCommand> commands, DescriptorWriter& writer) {
  std::vector<std::uint8_t> list;
  for (const SupportedCopyCommand& command : commands) {
    if (list.size() + kCommandHeaderBytes + command.service_actions.size() > kMostByteList) break;
    list.push_back(command.operation_code);
    list.push_back(static_cast<std::uint8_t>(command.service_actions.size()));
    list.insert(list.end(), command.service_actions.begin(), command.service_actions.end());
  }
  const auto out = writer.add(DescriptorType::kCommands, kByteList + list.size());
  if (!out) return;
  (*out)[kHeaderBytes] = static_cast<std::uint8_t>(list.size());
  std::ranges::copy(list, out->subspan(kByteList).begin());
}

/// The list of a descriptor that has one with a length of one byte.
ByteView byte_list(ByteView bytes) {
  const ByteView rest = bytes.subspan(kByteList);
  return rest.first(std::min<std::size_t>(rest.size(), bytes[kHeaderBytes]));
}

void get_commands(ByteView bytes, ThirdPartyCopyPage& page) {
  ByteView list = byte_list(bytes);
  while (list.size() >= kCommandHeaderBytes) {
    const std::size_t size = list[1];
    if (size > list.size() - kCommandHeaderBytes) break;
    const ByteView actions = list.subspan(kCommandHeaderBytes, size);
    page.commands.push_back({list[0], {actions.begin(), actions.end()}});
    list = list.subspan(kCommandHeaderBytes + size);
  }
}

void put_parameter_data(const CopyParameterLimits& limits, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kParameterData, kParameterDataBytes);
  if (!out) return;
  put_be16(*out, kMaxCscds, limits.max_cscds);
  put_be16(*out, kMaxSegments, limits.max_segments);
  put_be32(*out, kMaxDescriptorBytes, limits.max_descriptor_bytes);
  put_be32(*out, kMaxInlineBytes, limits.max_inline_bytes);
}

void get_parameter_data(ByteView bytes, ThirdPartyCopyPage& page) {
  page.parameters = CopyParameterLimits{.max_cscds = get_be16(bytes, kMaxCscds),
                                        .max_segments = get_be16(bytes, kMaxSegments),
                                        .max_descriptor_bytes = get_be32(bytes, kMaxDescriptorBytes),
                                        .max_inline_bytes = get_be32(bytes, kMaxInlineBytes)};
}

void put_descriptor_types(ByteView types, DescriptorWriter& writer) {
  const ByteView list = types.first(std::min(types.size(), kMostByteList));
  const auto out = writer.add(DescriptorType::kDescriptors, kByteList + list.size());
  if (!out) return;
  (*out)[kHeaderBytes] = static_cast<std::uint8_t>(list.size());
  std::ranges::copy(list, out->subspan(kByteList).begin());
}

void get_descriptor_types(ByteView bytes, ThirdPartyCopyPage& page) {
  const ByteView list = byte_list(bytes);
  page.descriptor_types.assign(list.begin(), list.end());
}

void put_cscd_ids(std::span<const std::uint16_t> ids, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kCscdIds, kCscdIds + 2 * ids.size());
  if (!out) return;
  put_be16(*out, kHeaderBytes, static_cast<std::uint16_t>(2 * ids.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) put_be16(*out, kCscdIds + 2 * i, ids[i]);
}

void get_cscd_ids(ByteView bytes, ThirdPartyCopyPage& page) {
  const ByteView rest = bytes.subspan(kCscdIds);
  const std::size_t end = std::min<std::size_t>(rest.size(), get_be16(bytes, kHeaderBytes));
  for (std::size_t at = 0; at + 2 <= end; at += 2) page.cscd_ids.push_back(get_be16(rest, at));
}

void put_token_features(const RodTokenFeatures& features, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kTokenFeatures, kFeatures + kFeaturesBytes);
  if (!out) return;
  (*out)[kRemoteTokens] = features.remote_tokens & kRemoteTokensMask;
  put_be32(*out, kMinLifetime, features.min_lifetime);
  put_be32(*out, kMaxLifetime, features.max_lifetime);
  put_be32(*out, kMaxTokenInactivity, features.max_inactivity);
  put_be16(*out, kFeaturesLength, kFeaturesBytes);
  const ByteSpan disks = out->subspan(kFeatures);
  disks[0] = kFeaturesOfBlockDevices;
  put_be16(disks, kLength, kFeaturesBytes - kHeaderBytes);
  put_be16(disks, kOptimalGranularity, features.optimal_granularity);
  put_be64(disks, kMaxRodBytes, features.max_bytes);
  put_be64(disks, kOptimalBytes, features.optimal_bytes);
  put_be64(disks, kOptimalToToken, features.optimal_bytes_to_token);
  put_be64(disks, kOptimalFromToken, features.optimal_bytes_from_token);
}

void get_token_features(ByteView bytes, ThirdPartyCopyPage& page) {
  RodTokenFeatures features{.remote_tokens = static_cast<std::uint8_t>(bytes[kRemoteTokens] & kRemoteTokensMask),
                            .min_lifetime = get_be32(bytes, kMinLifetime),
                            .max_lifetime = get_be32(bytes, kMaxLifetime),
                            .max_inactivity = get_be32(bytes, kMaxTokenInactivity)};
  ByteView list = bytes.subspan(kFeatures);
  list = list.first(std::min<std::size_t>(list.size(), get_be16(bytes, kFeaturesLength)));
  while (list.size() >= kHeaderBytes) {
    const std::size_t size = kHeaderBytes + get_be16(list, kLength);
    if (size > list.size()) break;
    if (list[0] == kFeaturesOfBlockDevices && size >= kFeaturesBytes) {
      features.optimal_granularity = get_be16(list, kOptimalGranularity);
      features.max_bytes = get_be64(list, kMaxRodBytes);
      features.optimal_bytes = get_be64(list, kOptimalBytes);
      features.optimal_bytes_to_token = get_be64(list, kOptimalToToken);
      features.optimal_bytes_from_token = get_be64(list, kOptimalFromToken);
    }
    list = list.subspan(size);
  }
  page.token_features = features;
}

void put_rods(std::span<const SupportedRod> rods, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kRods, kRods + rods.size() * kRodBytes);
  if (!out) return;
  put_be16(*out, kRodsLength, static_cast<std::uint16_t>(rods.size() * kRodBytes));
  for (std::size_t i = 0; i < rods.size(); ++i) {
    const ByteSpan rod = out->subspan(kRods + i * kRodBytes, kRodBytes);
    put_be32(rod, 0, static_cast<std::uint32_t>(rods[i].type));
    rod[kRodFlags] = static_cast<std::uint8_t>((rods[i].internal ? unsigned{kEcpyInt} : 0u) |
                                               (rods[i].token_in ? unsigned{kTokenIn} : 0u) |
                                               (rods[i].token_out ? unsigned{kTokenOut} : 0u));
    put_be16(rod, kPreference, rods[i].preference);
  }
}

void get_rods(ByteView bytes, ThirdPartyCopyPage& page) {
  ByteView list = bytes.subspan(kRods);
  list = list.first(std::min<std::size_t>(list.size(), get_be16(bytes, kRodsLength)));
  for (; list.size() >= kRodBytes; list = list.subspan(kRodBytes)) {
    page.rods.push_back({.type = rod_type(list),
                         .internal = (list[kRodFlags] & kEcpyInt) != 0,
                         .token_in = (list[kRodFlags] & kTokenIn) != 0,
                         .token_out = (list[kRodFlags] & kTokenOut) != 0,
                         .preference = get_be16(list, kPreference)});
  }
}

void put_general(const GeneralCopyOperations& general, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kGeneral, kGeneralBytes);
  if (!out) return;
  put_be32(*out, kTotalCopies, general.total_copies);
  put_be32(*out, kIdentifiedCopies, general.identified_copies);
  put_be32(*out, kMaxSegmentBytes, general.max_segment_bytes);
  (*out)[kDataGranularity] = general.data_granularity;
  (*out)[kInlineGranularity] = general.inline_granularity;
}

void get_general(ByteView bytes, ThirdPartyCopyPage& page) {
  page.general = GeneralCopyOperations{.total_copies = get_be32(bytes, kTotalCopies),
                                       .identified_copies = get_be32(bytes, kIdentifiedCopies),
                                       .max_segment_bytes = get_be32(bytes, kMaxSegmentBytes),
                                       .data_granularity = bytes[kDataGranularity],
                                       .inline_granularity = bytes[kInlineGranularity]};
}

void put_held_data(const HeldDataLimits& held, DescriptorWriter& writer) {
  const auto out = writer.add(DescriptorType::kHeldData, kHeldDataBytes);
  if (!out) return;
  put_be32(*out, kHeldLimit, held.limit);
  (*out)[kHeldGranularity] = held.granularity;
}

void get_held_data(ByteView bytes, ThirdPartyCopyPage& page) {
  page.held_data = HeldDataLimits{.limit = get_be32(bytes, kHeldLimit), .granularity = bytes[kHeldGranularity]};
}

/// The readers, and what they need to have.
struct Reader {
  DescriptorType type;
  std::size_t least;
  void (*read)(ByteView bytes, ThirdPartyCopyPage& page);
};
constexpr std::array kReaders = std::to_array<Reader>({
    {DescriptorType::kTokenLimits, kTokenLimitsBytes, get_token_limits},
    {DescriptorType::kCommands, kByteList, get_commands},
    {DescriptorType::kParameterData, kMaxInlineBytes + 4, get_parameter_data},
    {DescriptorType::kDescriptors, kByteList, get_descriptor_types},
    {DescriptorType::kCscdIds, kCscdIds, get_cscd_ids},
    {DescriptorType::kTokenFeatures, kFeatures, get_token_features},
    {DescriptorType::kRods, kRods, get_rods},
    {DescriptorType::kGeneral, kInlineGranularity + 1, get_general},
    {DescriptorType::kHeldData, kHeldGranularity + 1, get_held_data},
});

}  // namespace

bool ThirdPartyCopyPage::supports(std::uint8_t operation_code, std::uint8_t service_action) const {
  return std::ranges::find_if(commands, [&](const SupportedCopyCommand& command) {
           const auto& actions = command.service_actions;
           return command.operation_code == operation_code &&
                  std::ranges::find(actions, service_action) != actions.end();
         }) != commands.end();
}

std::size_t encode_third_party_copy(Peripheral peripheral, const ThirdPartyCopyPage& page, ByteSpan out) {
  DescriptorWriter writer(out.subspan(kVpdHeaderBytes, kMaxVpdBytes - kVpdHeaderBytes));
  if (page.token_limits) put_token_limits(*page.token_limits, writer);
  if (!page.commands.empty()) put_commands(page.commands, writer);
  if (page.parameters) put_parameter_data(*page.parameters, writer);
  if (!page.descriptor_types.empty()) put_descriptor_types(page.descriptor_types, writer);
  if (!page.cscd_ids.empty()) put_cscd_ids(page.cscd_ids, writer);
  if (page.token_features) put_token_features(*page.token_features, writer);
  if (!page.rods.empty()) put_rods(page.rods, writer);
  if (page.general) put_general(*page.general, writer);
  if (page.held_data) put_held_data(*page.held_data, writer);
  put_vpd_header(peripheral, VpdPage::kThirdPartyCopy, writer.size(), out);
  return kVpdHeaderBytes + writer.size();
}

std::optional<ThirdPartyCopyPage> decode_third_party_copy(ByteView bytes) {
  const auto body = body_of(bytes, VpdPage::kThirdPartyCopy, 0);
  if (!body) return std::nullopt;
  ThirdPartyCopyPage page;
  for (ByteView rest = *body; rest.size() >= kHeaderBytes;) {
    const std::size_t size = kHeaderBytes + get_be16(rest, kLength);
    if (size > rest.size()) break;
    const auto type = static_cast<DescriptorType>(get_be16(rest, 0));
    const auto* const reader = std::ranges::find(kReaders, type, &Reader::type);
    if (reader != kReaders.end() && size >= reader->least) reader->read(rest.first(size), page);
    rest = rest.subspan(size);
  }
  return page;
}

}  // namespace peerlane::scsi
