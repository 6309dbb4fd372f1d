#include "initiator/discovery.h"

#include <string>
#include <utility>

#include "initiator/connection.h"
#include "initiator/unit_access.h"
#include "scsi/lun.h"

namespace peerlane::initiator {
namespace {

/// A discovery session has no logical units.
class NoHost final : public ConnectionHost {
 public:
  void scsi_event(iscsi::LunField, const scsi::Sense&) override {}
};

io::Task<void> serve(Connection& connection, io::Gate& gate) {
  const io::Gate::Pass pass(gate);
  co_await connection.serve();
}

io::Task<Result<std::string>> ask(Connection& connection, io::Gate& serving) {
  io::spawn(serve(connection, serving));
  auto text = co_await connection.exchange_text("SendTargets", "All");
  co_await connection.logout();
  co_await serving.drained();
  co_return text;
}

Result<std::vector<iscsi::DiscoveredTarget>> targets_in(const std::string& text, const LinkOptions& link) {
  const auto pairs = iscsi::parse_text(as_bytes(text), limits::kSendTargetsKeys);
  if (!pairs) return std::unexpected(pairs.error());
  auto targets = iscsi::parse_targets(*pairs);
  if (!targets) return targets;
  for (iscsi::DiscoveredTarget& target : *targets) {
    // A target without addresses is where it was asked for (RFC 7143 appendix C).
    if (target.addresses.empty()) target.addresses.push_back({link.host, link.port, std::nullopt});
  }
  return targets;
}

}  // namespace

io::Task<Result<std::vector<iscsi::DiscoveredTarget>>> discover(io::Reactor& reactor, LinkOptions link,
                                                                LoginTerms login) {
  login.target_name.clear();
  if (login.isid == iscsi::Isid{}) {
    iscsi::SystemRandom random;
    if (auto filled = random.fill(login.isid); !filled) co_return std::unexpected(std::move(filled.error()));
    login.isid[0] = 0x80;
  }
  auto opened = co_await open_link(reactor, link, login);
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  NoHost host;
  ConnectionOptions options;
  options.depth = 1;
  auto connection =
      std::make_unique<Connection>(host, reactor, *opened->stream, *opened->reader, opened->login, options);
  Result<std::string> text = fail(EIO);
  {
    io::Gate serving;
    bool late = false;
    io::Timer timer(reactor, [&] {
      late = true;
      connection->close(ETIMEDOUT, "the target does not answer to SendTargets in time");
    });
    timer.arm_after(link.login_timeout);
    text = co_await ask(*connection, serving);
  }
  co_await io::yield(reactor);
  connection.reset();
  co_await opened->stream->close();
  if (!text) co_return std::unexpected(std::move(text.error()));
  co_return targets_in(*text, link);
}

io::Task<Result<std::vector<std::uint32_t>>> report_luns(Session& session) {
  UnitAccess unit(session, iscsi::LunField{}, nullptr, false);
  auto bytes = co_await unit.report_luns();
  if (!bytes) co_return std::unexpected(std::move(bytes.error()));
  std::vector<std::uint32_t> luns;
  for (std::size_t i = 0;; ++i) {
    const auto field = scsi::lun_list_entry(*bytes, i);
    if (!field) break;
    if (const auto lun = scsi::decode_lun(*field)) luns.push_back(lun->value);
  }
  co_return luns;
}

}  // namespace peerlane::initiator
