#include "cli/serve.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/service_manager.h"
#include "cli/stop_signals.h"
#include "cli/version.h"
#include "target/server.h"

namespace peerlane::cli {
namespace {

constexpr const char* kFooter =
    R"(Prints the URL of each LUN to standard output as soon as it can be used, one a line, and logs to standard error.
Ends on SIGTERM or SIGINT: initiators are asked to log out and get a few seconds; a second SIGINT ends it at once.
Exit codes: 0 stopped as asked, 1 it could not start or go on, 2 the command line or the configuration is wrong.

Examples:
  peerlane serve ram:1G
      A disk of 1 GiB in memory, for initiators of this host.
  peerlane serve data=/srv/data.img /dev/vg0/lv1
      A file as LUN 0, named "data", and a block device as LUN 1.
  peerlane serve --listen 192.0.2.7 --chap-user backup --chap-secret-file /etc/peerlane/backup.secret /srv/data.img
      For other hosts, which must know the account's secret.
  peerlane serve --listen 127.0.0.1:0 --listen [::1]:0 ram:64M
      On two ports that the system chooses; the URLs tell which.
  peerlane serve --config /etc/peerlane.toml
      What the file says: several targets, portals, access lists; see `peerlane check`.
)";

std::string json_line(const target::LunAddress& lun) {
  const nlohmann::ordered_json line = {
      {"url", lun.url}, {"host", lun.host}, {"port", lun.port}, {"target", lun.target},
      {"lun", lun.lun}, {"disk", lun.disk}, {"size", lun.size}, {"block_size", lun.block_size}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Runs the service until it is told to stop.
ExitCode run_service(const target::Declaration& declaration, bool json) {
  StopSignals signals;
  target::StartOptions options;
  options.inherited_sockets = inherited_sockets();
  const auto server = target::Server::start(declaration, options);
  if (!server) {
    log::error("{}", server.error().text());
    return ExitCode::kFailure;
  }
  for (const target::LunAddress& lun : (*server)->luns()) fmt::print("{}\n", json ? json_line(lun) : lun.url);
  std::fflush(stdout);
  log::info("peerlane {} is ready; {}", version(), (*server)->features());
  notify_ready();

  const char* const signal = signals.wait();
  log::info("{}: stopping; initiators are asked to log out", signal);
  notify_stopping();
  if ((*server)->stop()) return ExitCode::kOk;
  log::error("a disk did not let go of a command in time: ending without it");
  // The server still belongs to the threads that wait for that disk.
  _exit(static_cast<int>(ExitCode::kFailure));
}

}  // namespace

ServeCommand::ServeCommand(CLI::App& app)
    : command_(app.add_subcommand("serve", "Serve disks over iSCSI until told to stop")) {
  command_->footer(kFooter);
  add_options(*command_, arguments_);
}

bool ServeCommand::chosen() const {
  return command_->parsed();
}

ExitCode ServeCommand::run() const {
  const admin::Configuration configuration = to_configuration(arguments_, admin::SecretSource::system());
  const std::string source = arguments_.config.empty() ? "peerlane serve" : arguments_.config;
  for (const admin::Finding& finding : configuration.findings)
    fmt::print(stderr, "{}\n", admin::to_line(source, finding));
  if (admin::has_errors(configuration.findings)) return ExitCode::kUsage;
  log::init(configuration.log_level, configuration.json_log);
  return run_service(configuration.declaration, arguments_.json);
}

}  // namespace peerlane::cli
