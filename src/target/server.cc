#include "target/server.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/log.h"
#include "io/listener.h"
#include "target/access.h"

namespace peerlane::target {
namespace {

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
}

/// Every connection is a descriptor; the usual soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

unsigned thread_count(const Declaration& declaration) {
  if (declaration.threads != 0) return declaration.threads;
  return std::clamp(std::thread::hardware_concurrency(), 1u, limits::kThreads);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const Declaration& declaration, const StartOptions& options) {
  raise_descriptor_limit();
  std::unique_ptr<Server> server(new Server());
  auto service = Service::create(declaration, options.peers);
  if (!service) return std::unexpected(service.error());
  server->service_ = std::move(*service);
  for (unsigned number = 0; number < thread_count(declaration); ++number) {
    auto worker = Worker::start(*server->service_, number, declaration.poll);
    if (!worker) {
      server->stop();
      return std::unexpected(worker.error());
    }
    server->workers_.push_back(std::move(*worker));
  }
  auto opened = server->open_portals(declaration, options);
  if (!opened) {
    server->stop();
    return std::unexpected(opened.error());
  }
  server->workers_.front()->watch_sizes();
  return server;
}

Server::~Server() = default;

Result<void> Server::open_portals(const Declaration& declaration, const StartOptions& options) {
  std::vector<PortalDeclaration> portals;
  std::vector<int> sockets = options.inherited_sockets;
  if (sockets.empty()) {
    for (const PortalDeclaration& portal : declaration.portals) {
      auto fd = io::listen_on(portal.host, portal.port);
      if (!fd) {
        for (const int open : sockets) io::close_socket(open);
        return std::unexpected(fd.error());
      }
      sockets.push_back(*fd);
    }
  }
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const std::string address = io::local_address(sockets[i]);
    // Sockets that were inherited beyond the portals that are declared are of the first one's group.
    const std::uint16_t group = declaration.portals[i < declaration.portals.size() ? i : 0].group_tag;
    portals.push_back({host_of(address), port_of(address), group});
  }
  service_->set_portals(portals);
  std::vector<Worker*> workers;
  for (const auto& worker : workers_) workers.push_back(worker.get());
  for (std::size_t i = 0; i < sockets.size(); ++i) workers_.front()->listen(sockets[i], portals[i].group_tag, workers);
  return {};
}

std::vector<LunAddress> Server::luns() const {
  std::vector<LunAddress> addresses;
  for (const auto& node : service_->nodes()) {
    for (const PortalDeclaration& portal : service_->portals()) {
      if (!node->in_portal_group(portal.group_tag)) continue;
      for (const LunDeclaration& lun : node->declaration.luns) {
        const LogicalUnit& unit = node->device.unit(scsi::Lun{lun.number});
        addresses.push_back(
            {fmt::format("iscsi://{}:{}/{}/{}", bracketed(portal.host), portal.port, node->name(), lun.number),
             portal.host, portal.port, node->name(), lun.number, lun.disk, unit.capacity().value * unit.block_size(),
             unit.block_size()});
      }
    }
  }
  return addresses;
}

bool Server::stop() {
  const auto deadline =
      std::chrono::steady_clock::now() + limits::kLogoutTimeout + limits::kAbortGrace + limits::kStopMargin;
  for (const auto step : {&Worker::stop_listening, &Worker::end_connections}) {
    std::vector<std::future<void>> ending;
    for (const auto& worker : workers_) ending.push_back((*worker.*step)());
    for (const auto& ended : ending) {
      if (ended.wait_until(deadline) == std::future_status::ready) continue;
      log::error("a disk has not answered for too long; commands that were sent to it are lost");
      return false;
    }
  }
  // Their work goes on, on the workers, until now.
  if (!service_->end_background_work(deadline)) {
    log::error("a disk has not answered for too long; what went on in the background is lost");
    return false;
  }
  if (!workers_.empty()) {
    const auto closed = workers_.front()->close_disks();
    if (closed.wait_for(limits::kCloseTimeout) != std::future_status::ready) {
      log::error("a disk does not take what its cache still holds; that is lost");
      return false;
    }
  }
  workers_.clear();
  return true;
}

}  // namespace peerlane::target
