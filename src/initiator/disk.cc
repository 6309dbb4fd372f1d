#include "initiator/disk.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace peerlane::initiator {
namespace {

Result<void> take_digest(const iscsi::Url& url, std::string_view key, iscsi::DigestOffer& offer) {
  const std::string_view value = url.option(key);
  if (value.empty()) return {};
  if (value == "none") {
    offer = iscsi::DigestOffer::kNone;
  } else if (value == "accept") {
    offer = iscsi::DigestOffer::kAccepted;
  } else if (value == "prefer") {
    offer = iscsi::DigestOffer::kPreferred;
  } else if (value == "require" || value == "crc32c") {
    offer = iscsi::DigestOffer::kRequired;
  } else {
    return fail(EINVAL,
                fmt::format("{}={} in the URL: it is none, accept, prefer or require", key, iscsi::printable(value)));
  }
  return {};
}

Result<void> take_tokens(const iscsi::Url& url, bool& tokens) {
  const std::string_view value = url.option("tokens");
  if (value.empty()) return {};
  if (value != "yes" && value != "no") {
    return fail(EINVAL, fmt::format("tokens={} in the URL: it is yes or no", iscsi::printable(value)));
  }
  tokens = value == "yes";
  return {};
}

}  // namespace

Result<SessionOptions> session_options_for(const iscsi::Url& url, SessionOptions options,
                                           const Environment& environment) {
  options.link.host = url.host;
  options.link.port = url.port;
  options.login.target_name = url.target;
  if (options.login.initiator_name.empty()) {
    auto name = initiator_name(environment);
    if (!name) return std::unexpected(std::move(name.error()));
    options.login.initiator_name = std::move(*name);
  }
  if (!options.login.account) {
    auto credentials = credentials_for(url, environment);
    if (!credentials) return std::unexpected(std::move(credentials.error()));
    options.login.account = std::move(credentials->account);
    options.login.target_account = std::move(credentials->target_account);
  }
  if (auto taken = take_digest(url, "header_digest", options.login.offers.header_digest); !taken) {
    return std::unexpected(std::move(taken.error()));
  }
  if (auto taken = take_digest(url, "data_digest", options.login.offers.data_digest); !taken) {
    return std::unexpected(std::move(taken.error()));
  }
  if (auto taken = take_tokens(url, options.tokens); !taken) return std::unexpected(std::move(taken.error()));
  return options;
}

io::Task<Result<std::unique_ptr<Lun>>> open_disk(io::Reactor& reactor, iscsi::Url url, DiskOptions options) {
  if (url.target.empty()) {
    co_return fail(EINVAL, fmt::format("{} names no target: give iscsi://host[:port]/target-name/lun, see what "
                                       "discovery finds there",
                                       iscsi::to_string(url)));
  }
  auto session_options = session_options_for(url, std::move(options.session), options.environment);
  if (!session_options) co_return std::unexpected(std::move(session_options.error()));
  auto opening = Session::open(reactor, std::move(*session_options));
  auto opened = co_await std::move(opening);
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  std::shared_ptr<Session> session = std::move(*opened);
  LunOptions lun_options = std::move(options.lun);
  lun_options.spec = iscsi::to_string(url);
  auto asking = Lun::open(session, url.lun, std::move(lun_options));
  auto lun = co_await std::move(asking);
  if (!lun) co_await session->close();
  co_return lun;
}

}  // namespace peerlane::initiator
