// PREVENT ALLOW MEDIUM REMOVAL (SPC-4 §6.26), READ DEFECT DATA (SBC-4 §5.19, §5.20), as a disk answers them whose
// medium cannot be removed and has no defects that anybody knows of.

#include "scsi/defect_list.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::size_t kDefectLists10 = 2;
constexpr std::size_t kDefectLists12 = 1;

}  // namespace

/// The medium stays where it is whatever PREVENT says, so there is nothing to keep.
Answer prevent_allow_medium_removal(const CommandContext&, ByteSpan) {
  return std::size_t{0};
}

Answer read_defect_data_10(const CommandContext& context, ByteSpan out) {
  return scsi::encode_no_defects10(context.cdb()[kDefectLists10], out);
}

Answer read_defect_data_12(const CommandContext& context, ByteSpan out) {
  return scsi::encode_no_defects12(context.cdb()[kDefectLists12], out);
}

}  // namespace peerlane::target
