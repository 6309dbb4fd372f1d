#include "iscsi/url.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "iscsi/name.h"
#include "iscsi/text.h"

namespace peerlane::iscsi {
namespace {

constexpr std::string_view kScheme = "iscsi://";
constexpr std::string_view kForm = "an iSCSI URL is iscsi://[user[%password]@]host[:port]/target-name/lun";
constexpr std::string_view kSecretOption = "target_password";

std::unexpected<Error> wrong(std::string_view what) {
  return fail(EINVAL, fmt::format("{}; {}", what, kForm));
}

template <typename T>
std::optional<T> parse_decimal(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// Cuts `text` at the first `mark`: what is before it, and after it; all and nothing if it is not there.
std::pair<std::string_view, std::string_view> cut(std::string_view text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || stop != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

bool has_only(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
constexpr std::string_view kAddressCharacters = "ABCDEFabcdef0123456789:.";

// What stands in brackets, as far as its characters tell: an address, and maybe a zone (RFC 4007 §11).
bool is_ipv6(std::string_view text) {
  const auto [address, zone] = cut(text, '%');
  return address.find(':') != std::string_view::npos && has_only(address, kAddressCharacters) &&
         has_only(zone, kNameCharacters) && zone.empty() == (address.size() == text.size());
}

Result<void> parse_portal(std::string_view text, Url& url) {
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return wrong("']' is missing after an IPv6 address");
    url.host = text.substr(1, close - 1);
    if (!is_ipv6(url.host)) return wrong("what stands in brackets is no IPv6 address");
    port = text.substr(close + 1);
    has_port = !port.empty();
    if (has_port && port.front() != ':') return wrong("only :port may follow the ']' of an IPv6 address");
    if (has_port) port.remove_prefix(1);
  } else {
    if (text.find('%') != std::string_view::npos) return wrong("'@' is missing between the password and the host");
    if (std::ranges::count(text, ':') > 1) return wrong("an IPv6 address is written in brackets");
    has_port = text.find(':') != std::string_view::npos;
    const auto [host, after] = cut(text, ':');
    url.host = host;
    port = after;
  }
  if (url.host.empty()) return wrong("the host is missing");
  if (!text.starts_with('[') && !has_only(url.host, kNameCharacters)) {
    return wrong("the host is neither a name nor an address");
  }
  if (!has_port) return {};
  const auto number = parse_decimal<std::uint16_t>(port);
  if (!number || *number == 0) return wrong(fmt::format("\"{}\" is no port number", printable(port)));
  url.port = *number;
  return {};
}

Result<void> parse_path(std::string_view path, Url& url) {
  if (path.empty()) return {};
  const auto [target, lun] = cut(path, '/');
  const auto decoded = percent_decode(target);
  if (!decoded) return wrong(fmt::format("\"{}\" has a '%' without two hexadecimal digits", printable(target)));
  auto name = normalise_name(*decoded);
  if (!name) return std::unexpected(std::move(name.error()));
  url.target = std::move(*name);
  const auto number = parse_decimal<std::uint32_t>(lun);
  if (!number) return wrong(lun.empty() ? "the LUN is missing" : fmt::format("\"{}\" is no LUN", printable(lun)));
  url.lun = *number;
  return {};
}

Result<void> parse_options(std::string_view text, Url& url) {
  while (!text.empty()) {
    const auto [option, rest] = cut(text, '&');
    text = rest;
    if (option.empty()) continue;
    const auto [key, value] = cut(option, '=');
    if (key.empty()) return wrong("an option has no name before its '='");
    url.options.emplace_back(key, value);
  }
  return {};
}

}  // namespace

std::string_view Url::option(std::string_view key) const {
  const auto found = std::ranges::find(options, key, [](const auto& option) { return std::string_view(option.first); });
  return found == options.end() ? std::string_view{} : std::string_view(found->second);
}

Result<Url> parse_url(std::string_view text) {
  if (!text.starts_with(kScheme)) return wrong("it does not begin with iscsi://");
  text.remove_prefix(kScheme.size());
  if (text.find('\0') != std::string_view::npos) return wrong("it has a NUL");

  Url url;
  const std::size_t slash = text.find('/');
  std::string_view portal = text.substr(0, slash);
  const std::size_t at = portal.rfind('@');
  if (at != std::string_view::npos) {
    const auto [user, password] = cut(portal.substr(0, at), '%');
    if (user.empty()) return wrong("the user is missing before the '@'");
    url.user = user;
    url.password = password;
    portal.remove_prefix(at + 1);
  }
  if (auto done = parse_portal(portal, url); !done) return std::unexpected(std::move(done.error()));
  if (slash == std::string_view::npos) return url;

  const auto [path, options] = cut(text.substr(slash + 1), '?');
  if (path.find('@') != std::string_view::npos)
    return wrong("a '@' stands after the first '/': a password has no '/' here");
  if (auto done = parse_path(path, url); !done) return std::unexpected(std::move(done.error()));
  if (auto done = parse_options(options, url); !done) return std::unexpected(std::move(done.error()));
  return url;
}

std::string to_string(const Url& url) {
  std::string out(kScheme);
  if (!url.user.empty()) out += url.user + '@';
  out += url.host.find(':') == std::string::npos ? url.host : fmt::format("[{}]", url.host);
  if (url.port != kDefaultPort) out += fmt::format(":{}", url.port);
  if (!url.target.empty()) out += fmt::format("/{}/{}", url.target, url.lun);
  char mark = '?';
  for (const auto& [key, value] : url.options) {
    if (key == kSecretOption || url.target.empty()) continue;
    out += fmt::format("{}{}={}", mark, key, value);
    mark = '&';
  }
  return out;
}

}  // namespace peerlane::iscsi
