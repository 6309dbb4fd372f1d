#include "cli/serve.h"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "admin/state_directory.h"
#include "cli/peer_thread.h"
#include "cli/service_manager.h"
#include "cli/stop_signals.h"
#include "cli/version.h"
#include "target/server.h"

namespace peerlane::cli {
namespace {

std::string json_line(const target::LunAddress& lun) {
  const nlohmann::ordered_json line = {
      {"url", lun.url}, {"host", lun.host}, {"port", lun.port}, {"target", lun.target},
      {"lun", lun.lun}, {"disk", lun.disk}, {"size", lun.size}, {"block_size", lun.block_size}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Runs the service until it is told to stop.
ExitCode run_service(const target::Declaration& declaration, bool json) {
  StopSignals signals;
  const auto peers = PeerThread::start(declaration.peers);
  if (!peers) {
    log::error("{}", peers.error().text());
    return ExitCode::kFailure;
  }
  PeerThread* const peer_thread = peers->get();
  target::StartOptions options;
  options.inherited_sockets = inherited_sockets();
  if (peer_thread != nullptr) options.peers = peer_thread->units();
  const auto server = target::Server::start(declaration, options);
  if (!server) {
    log::error("{}", server.error().text());
    if (peer_thread != nullptr) peer_thread->stop();
    return ExitCode::kFailure;
  }
  for (const target::LunAddress& lun : (*server)->luns()) fmt::print("{}\n", json ? json_line(lun) : lun.url);
  std::fflush(stdout);
  log::info("peerlane {} is ready; {}", version(), (*server)->features());
  notify_ready();

  const char* const signal = signals.wait();
  log::info("{}: stopping; initiators are asked to log out", signal);
  notify_stopping();
  if (peer_thread != nullptr) peer_thread->begin_stop();
  if ((*server)->stop() && (peer_thread == nullptr || peer_thread->stop())) return ExitCode::kOk;
  log::error("a disk did not let go of a command in time: ending without it");
  // The server still belongs to the threads that wait for that disk.
  _exit(static_cast<int>(ExitCode::kFailure));
}

}  // namespace

ExitCode serve(const ServeArguments& arguments) {
  const admin::SecretSource system = admin::SecretSource::system();
  admin::Configuration configuration = to_configuration(arguments, system);
  const std::string source = arguments.config.empty() ? "peerlane serve" : arguments.config;
  for (const admin::Finding& finding : configuration.findings)
    fmt::print(stderr, "{}\n", admin::to_line(source, finding));
  if (admin::has_errors(configuration.findings)) return ExitCode::kUsage;
  target::Declaration& declaration = configuration.declaration;
  if (declaration.state.empty()) declaration.state = admin::default_state_directory(system.environment, geteuid() == 0);
  log::init(configuration.log_level, configuration.json_log);
  return run_service(configuration.declaration, arguments.json);
}

}  // namespace peerlane::cli
