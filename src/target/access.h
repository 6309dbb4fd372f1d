// Access lists: which initiators, from which addresses.
#pragma once

#include <string>
#include <string_view>

namespace peerlane::target {

/// Whether a (normalised) iSCSI name matches an entry: the same name, or one that begins as an entry that ends in '*'
/// does.
bool matches_initiator(std::string_view entry, std::string_view name);

/// Whether a numeric address matches an entry: the same address, or one within a prefix ("192.0.2.0/24",
/// "2001:db8::/32"). An IPv4 address mapped into IPv6 is taken for the IPv4 address. False for an entry that is
/// neither.
bool matches_address(const std::string& entry, const std::string& address);

/// The host of "host:port" or "[host]:port", without brackets.
std::string host_of(std::string_view address);

}  // namespace peerlane::target
