// A session with a peer, and what has been learned of its logical units: which there are, by which designators they are
// known (REPORT LUNS, VPD page 83h), and those that are open.
//
// Belongs to one reactor, as its initiator::Session does. The disks that it lends work on every reactor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "initiator/lun.h"
#include "initiator/session.h"
#include "io/event.h"
#include "io/reactor.h"
#include "peers/local_disks.h"
#include "peers/shared_disk.h"
#include "scsi/designator.h"
#include "target/declaration.h"

namespace peerlane::peers {

/// What is looked for at a peer: a name of a unit, or a LUN.
using Wanted = std::variant<scsi::Designator, std::uint32_t>;

class PeerSession final : public std::enable_shared_from_this<PeerSession>, private initiator::SessionUser {
 public:
  /// Logs in once, at no other place than the one declared. `declaration` and `local_disks` outlive the session; the
  /// former has the name of the initiator. Errors: as initiator::Session::open().
  static io::Task<Result<std::shared_ptr<PeerSession>>> open(io::Reactor& reactor,
                                                             const target::PeerDeclaration& declaration,
                                                             LocalDisks& local_disks);
  /// Requires that end() has completed.
  ~PeerSession();
  PeerSession(const PeerSession&) = delete;
  PeerSession& operator=(const PeerSession&) = delete;

  struct Found {
    std::shared_ptr<initiator::Lun> lun;  // to be let go of before end() completes; from any thread
    std::vector<scsi::Designator> designators;
    std::shared_ptr<SharedDisk> shared;  // as `lun`; null: this machine does not have its disk, or may not use it
  };

  /// The unit, after it has been asked whether it is still who it was. One call at a time. Errors: ENOENT, no unit has
  /// this name; ENODEV, there is no such LUN; ENOTBLK; ENOBUFS, limits::kPeerLuns are open; ESTALE, another unit
  /// answers in place of one that is open: a new session is needed; those of initiator::Session::execute().
  io::Task<Result<Found>> find(Wanted wanted);

  /// Whether a unit of this name has been seen.
  bool knows(const scsi::Designator& designator) const;

  /// Whether commands are of any use: there is a connection, or one may come.
  bool usable() const;
  /// Whether no disk is lent and nothing asked for, and since when.
  bool idle() const { return lent_.inside() == 0; }
  io::TimePoint last_use() const { return last_use_; }

  /// Waits until all disks are back, and logs out. Once; nothing is asked for any more.
  io::Task<void> end();
  /// Has that happen soon: commands of disks that are lent end with ECANCELED.
  void cut_short();

 private:
  struct Entry {
    std::uint32_t lun = 0;
    std::vector<scsi::Designator> designators;
  };
  struct Loan;
  /// What was found when this machine was looked through for a place that a unit had stated.
  struct Looked {
    scsi::DiskPlace place;
    std::shared_ptr<LocalDisk> disk;  // null: it has no such disk
    io::TimePoint when;
  };
  struct Open {
    std::unique_ptr<initiator::Lun> lun;
    std::optional<Looked> looked = {};
  };

  PeerSession(io::Reactor& reactor, const target::PeerDeclaration& declaration, LocalDisks& local_disks,
              std::unique_ptr<initiator::Session> session);

  io::Task<Result<Found>> find_named(scsi::Designator designator);
  io::Task<Result<Found>> open_lun(std::uint32_t number);
  io::Task<Result<void>> recognise(initiator::Lun& lun);
  bool may_share(const scsi::DiskPlace& place) const;
  io::Task<std::shared_ptr<LocalDisk>> local_disk(Open& unit);
  io::Task<Result<void>> learn();
  const Entry* entry_of(const scsi::Designator& designator) const;
  std::shared_ptr<initiator::Lun> lend(initiator::Lun& lun);
  io::Task<void> log_out();

  // SessionUser: after a new login, and when the peer says so, what was learned may not hold any more.
  io::Task<Result<void>> restore() override;
  void scsi_event(iscsi::LunField lun, const scsi::Sense& sense) override;

  io::Reactor& reactor_;
  const target::PeerDeclaration& declaration_;
  LocalDisks& local_disks_;
  std::shared_ptr<initiator::Session> session_;
  std::optional<std::vector<Entry>> directory_;  // nothing: to be learned
  io::TimePoint learned_;
  std::map<std::uint32_t, Open> luns_;
  io::TimePoint last_use_;
  io::Gate lent_;  // disks, and questions under way
  bool closing_ = false;
  io::Gate logging_out_;
};

}  // namespace peerlane::peers
