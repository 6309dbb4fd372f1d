#include "initiator/link.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "io/connect.h"
#include "transport/send_queue.h"

namespace peerlane::initiator {
namespace {

using iscsi::LoginStatus;

io::Task<Result<void>> send_request(io::Stream& stream, const Login& login) {
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
  login.request().encode(bhs);
  const ByteView data = login.data();
  static constexpr std::array<std::uint8_t, 3> kPadding{};
  const auto vector_of = [](ByteView bytes) { return iovec{const_cast<std::uint8_t*>(bytes.data()), bytes.size()}; };
  std::array<iovec, 3> vectors{vector_of(bhs), vector_of(data),
                               vector_of(ByteView(kPadding).first(iscsi::padded(data.size()) - data.size()))};
  auto sent = co_await stream.send(vectors);
  co_return sent;
}

/// Reads a response's PDU; its data segment goes to `data`.
io::Task<Result<void>> read_response(transport::PduReader& reader, std::vector<std::uint8_t>& data) {
  auto read = co_await reader.next();
  if (!read) co_return std::unexpected(std::move(read.error()));
  // MaxRecvDataSegmentLength is not declared yet: the default holds.
  if (reader.data_left() > iscsi::kDefaultMaxRecvDataSegmentLength) {
    co_return fail(EPROTO, "the target answers the login with a PDU that is too long");
  }
  data.resize(reader.data_left());
  auto got = co_await reader.read(data);
  if (!got) co_return std::unexpected(std::move(got.error()));
  auto finished = co_await reader.finish();
  if (!finished) co_return std::unexpected(std::move(finished.error()));
  co_return Result<void>();
}

std::unexpected<Error> lost(const Error& error, const LoginTerms& terms) {
  if (error.code == EPROTO) return std::unexpected(error);
  if (error.code != ENODATA) {
    return fail(error.code, fmt::format("the connection is lost during the login: {}", error.text()));
  }
  // LIO gives no other answer to who offers no CHAP where that is wanted.
  return fail(ECONNRESET, fmt::format("the target closes the connection during the login{}",
                                      terms.account ? "" : "; if it wants CHAP, give a user and a secret"));
}

/// Connects and logs in at one place.
io::Task<Result<Link>> open_at(io::Reactor& reactor, const LinkOptions& options, const iscsi::TargetAddress& place,
                               const LoginTerms& terms, LoginRefusal& refusal, io::Interrupt* interrupt) {
  auto connecting = io::connect(reactor, place.host, place.port, options.connect_timeout, interrupt);
  const auto connected = co_await std::move(connecting);
  if (!connected) co_return std::unexpected(connected.error());
  Link link;
  link.stream = std::make_unique<io::SocketStream>(reactor, *connected);
  link.reader = std::make_unique<transport::PduReader>(*link.stream);
  bool late = false;
  iscsi::SystemRandom random;
  Result<LoginOutcome> outcome = fail(EIO);
  {
    io::Timer timer(reactor, [&] {
      late = true;
      link.stream->shutdown();
    });
    timer.arm_after(options.login_timeout);
    const io::Interrupt::Scope scope(interrupt, [&] { link.stream->shutdown(); });
    outcome = co_await log_in(*link.stream, *link.reader, terms, random, refusal);
  }
  if (outcome) {
    link.login = std::move(*outcome);
    co_return link;
  }
  co_await link.stream->close();
  if (interrupt != nullptr && interrupt->raised()) co_return fail(ECANCELED);
  if (late) co_return fail(ETIMEDOUT, "the target does not complete the login in time");
  co_return std::unexpected(std::move(outcome.error()));
}

}  // namespace

io::Task<Result<LoginOutcome>> log_in(io::Stream& stream, transport::PduReader& reader, const LoginTerms& terms,
                                      iscsi::RandomSource& random, LoginRefusal& refusal) {
  Login login(random, terms);
  std::vector<std::uint8_t> data;
  Login::Step step = login.start();
  while (step == Login::Step::kSend) {
    auto sent = co_await send_request(stream, login);
    if (!sent) co_return lost(sent.error(), terms);
    auto read = co_await read_response(reader, data);
    if (!read) co_return lost(read.error(), terms);
    step = login.take(reader.bhs(), data);
  }
  if (step == Login::Step::kDone) co_return login.outcome();
  refusal = login.refusal();
  co_return std::unexpected(refusal.error);
}

io::Task<Result<Link>> open_link(io::Reactor& reactor, LinkOptions& options, LoginTerms& terms,
                                 io::Interrupt* interrupt) {
  iscsi::TargetAddress place{options.host, options.port, std::nullopt};
  for (unsigned redirections = 0;; ++redirections) {
    LoginRefusal refusal;
    auto link = co_await open_at(reactor, options, place, terms, refusal, interrupt);
    const bool misunderstood = !link && refusal.status == LoginStatus::kInitiatorError && !terms.chap_without &&
                               refusal.chap == iscsi::ChapAlgorithm::kSha256;
    if (misunderstood) {
      terms.chap_without = refusal.chap;
      continue;
    }
    if (link || !refusal.moved || !options.follow) co_return link;
    if (redirections == limits::kRedirections) {
      co_return fail(ELOOP, "the target sends us from one address to another; check its configuration");
    }
    place = *refusal.moved;
    const bool for_good = refusal.status == LoginStatus::kMovedPermanently;
    log::info("{} at {} has moved {} to {}", terms.target_name, options.host, for_good ? "for good" : "for a while",
              iscsi::to_string(place));
    if (for_good) {
      options.host = place.host;
      options.port = place.port;
    }
  }
}

}  // namespace peerlane::initiator
