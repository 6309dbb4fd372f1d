// iSCSI names (RFC 7143 §4.2.7): iqn.2004-10.org.example:disk, eui.02004567A425678D,
// naa.62004567BA64678D0123456789ABCDEF.
//
// Names are compared byte by byte after normalisation. Of the stringprep profile of RFC 3722 this does what names in
// use need: ASCII letters become lower case, and what the profile prohibits in ASCII is refused. Other characters are
// taken as they are if they are well-formed UTF-8.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace peerlane::iscsi {

inline constexpr std::size_t kMaxNameBytes = 223;  // RFC 7143 §4.2.7.1

/// The normalised form of `name`. Errors, EINVAL, with a sentence that says what a name looks like: anything that is
/// not one. Taken though the RFCs do not allow them, because names in the field have them: an underscore, and iqn.
/// without a date (libiscsi's own examples: iqn.ronnie.test).
Result<std::string> normalise_name(std::string_view name);

}  // namespace peerlane::iscsi
