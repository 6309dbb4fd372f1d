// The keys of a [[target.lun]] that put filters around its disk (block/filters.h): cache, limits, and for tests delays
// and errors; and the rules that hold for them however they were written.
#pragma once

#include <optional>
#include <vector>

#include "admin/finding.h"
#include "target/declaration.h"

namespace peerlane::admin {

class Section;

/// Reads the keys of `lun`, a [[target.lun]]; what is wrong is added to its findings, and to `findings` where it lies
/// in a table below.
block::FilterOptions read_filter_keys(Section& lun, std::vector<Finding>& findings);

/// What is to be said of a LUN's filters, as a whole.
struct FilterRemark {
  Severity severity;
  Problem problem;
};
std::optional<FilterRemark> check_filters(const target::LunDeclaration& lun);

/// Checks that a disk with a cache is served once, or only read: two LUNs would not see what the other one writes.
Verdict check_cached_once(const target::Declaration& declaration);

}  // namespace peerlane::admin
