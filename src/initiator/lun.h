// A logical unit of a target as a block::Device: reading it is a matter of READ commands over a session.
//
// As any Device it may be used from every reactor. On its session's own reactor, its home, a read or a write is one
// command without a heap allocation; from elsewhere it is carried out at home.
//
// All commands of a Device are repeatable, so that the session sends them again after a reconnect. Two writes of the
// same blocks that are under way at the same time have no order, on this as on any Device.
//
// After each new login, and before any command goes on, the unit is asked who it is: if another one answers at this LUN
// now, all further commands fail (ESTALE) rather than go to the wrong disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/device.h"
#include "initiator/request.h"
#include "initiator/session.h"
#include "initiator/unit_access.h"
#include "initiator/unit_copy.h"
#include "initiator/unit_facts.h"
#include "io/event.h"
#include "scsi/cdb.h"
#include "scsi/lun.h"

namespace peerlane::initiator {

struct LunOptions {
  std::string spec;                                        // for Identity: as the user named it, without secrets
  std::size_t piece_bytes = limits::kInitiatorPieceBytes;  // a longer read or write becomes several commands
  unsigned pieces = limits::kInitiatorPieces;              // of these in flight
  bool read_only = false;
  bool without_size = false;  // open it, with a size of 0, if a reservation forbids to ask how large it is
  /// For a further path to a logical unit that is open already: its facts. The unit is only asked who it is then, since
  /// in some access states it tells nothing else (SPC-4 §5.16.2.4).
  std::optional<UnitFacts> known = {};
};

class Lun final : public block::Device,
                  public RemoteDisk,
                  private SessionUser,
                  private AttentionObserver,
                  private UnitGuard {
 public:
  /// Asks `lun` of `session`'s target what it is. On the session's reactor, which is the Lun's home. The last Lun of a
  /// session closes it. Errors: as probe(); ENXIO, a LUN above 16383; ESTALE, not the unit whose facts are known.
  static io::Task<Result<std::unique_ptr<Lun>>> open(std::shared_ptr<Session> session, std::uint32_t lun,
                                                     LunOptions options);
  /// Requires that close() has completed.
  ~Lun() override;

  // --- block::Device ---

  block::Geometry geometry() const override;
  block::Capabilities capabilities() const override { return capabilities_; }
  block::Identity identity() const override { return {options_.spec, stable_}; }
  std::uint32_t memory_alignment() const override { return 1; }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override;
  /// Takes over the size that the target told last, and has it asked again: a change is seen by the next call at the
  /// latest.
  Result<bool> refresh_size() override;
  block::CopyOffload* copy_offload() override { return this; }
  io::Task<Result<void>> close() override;

  // --- RemoteDisk ---

  Lun& path() override { return *this; }
  bool has_portal(const std::string& host, std::uint16_t port) const override {
    const LinkOptions& link = session_->options().link;
    return link.host == host && link.port == port;
  }

  // --- Beyond Device; on any reactor ---

  /// COMPARE AND WRITE (SBC-4 §5.3): writes `write` at `offset` if `compare`, which is as long, is there; false if it
  /// is not, and nothing is written. At most facts().limits.max_compare_and_write blocks. Not sent again after a
  /// reconnect: ECONNABORTED then means that it may have been done.
  io::Task<Result<bool>> compare_and_write(std::uint64_t offset, ByteView compare, ByteView write);

  /// VERIFY of the medium only: true, or the error that reading the blocks would have.
  io::Task<Result<bool>> verify(std::uint64_t offset, std::uint64_t length);
  /// VERIFY with BYTCHK 01b: whether they are equal to `data`. Not every target can be believed: LIO takes the data and
  /// says that they are.
  io::Task<Result<bool>> verify(std::uint64_t offset, ByteView data);

  /// PERSISTENT RESERVE IN; decoders are in scsi/persistent_reservation.h.
  io::Task<Result<Bytes>> reserve_in(scsi::ReserveInAction action);
  /// PERSISTENT RESERVE OUT with a parameter list of scsi/persistent_reservation.h; scope is the logical unit. `type`
  /// is without meaning to registrations. EBADE: RESERVATION CONFLICT.
  io::Task<Result<void>> reserve_out(scsi::ReserveOutAction action, std::optional<scsi::ReservationType> type,
                                     Bytes parameters);

  /// A VPD page as it comes; decoders are in scsi/vpd.h.
  io::Task<Result<Bytes>> vpd(scsi::VpdPage page);
  /// Mode pages with the ten-byte header before them.
  io::Task<Result<Bytes>> mode_sense(scsi::ModePageCode page, scsi::PageControl control);

  /// Any command, its LUN set to this one. Any status is a result. On the home reactor only.
  io::Task<Result<ScsiResult>> execute(Request request);

  /// LOGICAL UNIT RESET. On the home reactor only.
  io::Task<Result<void>> reset();

  const UnitFacts& facts() const { return facts_; }
  scsi::Lun lun() const { return lun_; }
  Session& session() const { return *session_; }

 private:
  Lun(std::shared_ptr<Session> session, scsi::Lun lun, UnitFacts facts, LunOptions options);

  UnitAccess access() { return {*session_, field_, this, false, this}; }
  std::uint32_t block_size() const { return facts_.capacity.block_size; }
  bool at_home() const { return session_->reactor().here(); }
  template <typename T>
  io::Task<T> elsewhere(std::function<io::Task<T>()> make);

  // What the public ones do, at home (lun.cc, lun_provisioning.cc, lun_commands.cc).
  io::Task<Result<void>> read_here(std::uint64_t offset, ByteSpan into);
  io::Task<Result<void>> write_here(std::uint64_t offset, ByteView from, block::WriteFlags flags);
  io::Task<Result<void>> flush_here();
  io::Task<Result<void>> unmap_here(std::uint64_t offset, std::uint64_t length);
  io::Task<Result<void>> write_zeroes_here(std::uint64_t offset, std::uint64_t length, bool may_unmap);
  io::Task<Result<std::vector<block::Extent>>> allocation_here(std::uint64_t offset, std::uint64_t length,
                                                               std::size_t most);
  io::Task<Result<void>> close_here();
  io::Task<Result<bool>> compare_and_write_here(std::uint64_t offset, ByteView compare, ByteView write);
  io::Task<Result<bool>> verify_here(std::uint64_t offset, std::uint64_t length, ByteView data);
  io::Task<Result<Bytes>> reserve_in_here(scsi::ReserveInAction action);
  io::Task<Result<Bytes>> vpd_here(scsi::VpdPage page);
  io::Task<Result<Bytes>> mode_sense_here(scsi::ModePageCode page, scsi::PageControl control);
  io::Task<Result<void>> reserve_out_here(scsi::ReserveOutAction action, std::optional<scsi::ReservationType> type,
                                          Bytes parameters);

  io::Task<Result<void>> read_pieces(std::uint64_t offset, ByteSpan into);
  io::Task<Result<void>> write_pieces(std::uint64_t offset, ByteView from, bool fua, bool flush);

  // One command each.
  io::Task<Result<void>> read_piece(std::uint64_t offset, ByteSpan into);
  io::Task<Result<void>> write_piece(std::uint64_t offset, ByteView from, bool fua);
  io::Task<Result<void>> unmap_piece(std::uint64_t offset, std::uint64_t length);
  io::Task<Result<void>> verify_piece(std::uint64_t offset, std::uint64_t length, ByteView data);
  io::Task<Result<void>> write_same_piece(std::uint64_t offset, std::uint64_t length, bool unmap);
  Request request_for(const scsi::BlockCdb& cdb);
  io::Task<Result<std::size_t>> command(const Request& request, const char* doing);
  io::Task<Result<void>> transfer(const Request& request, const char* doing);

  std::uint64_t unmap_piece_bytes() const;
  std::uint64_t write_same_piece_bytes() const;

  bool usable() const override { return known_ && !stale_; }
  io::Task<Result<void>> make_usable() override;
  io::Task<Result<void>> recognise(bool restoring);
  io::Task<Result<void>> restore() override;
  void unit_attention(const scsi::Sense& sense) override;
  void scsi_event(iscsi::LunField lun, const scsi::Sense& sense) override;
  void measure_soon();
  io::Task<void> measure_again();

  const std::shared_ptr<Session> session_;
  const scsi::Lun lun_;
  const iscsi::LunField field_;
  const UnitFacts facts_;  // the capacity is that of the opening
  const LunOptions options_;
  const std::string stable_;
  block::Capabilities capabilities_;
  std::size_t piece_bytes_;
  std::atomic<std::uint64_t> size_;    // as geometry() tells it
  std::atomic<std::uint64_t> newest_;  // as the target told it last
  bool measuring_ = false;
  bool stale_ = false;     // another unit is at this LUN now
  bool known_ = true;      // since the last login the unit has said who it is
  bool no_flush_ = false;  // the unit has no SYNCHRONIZE CACHE
  io::Gate background_;
};

}  // namespace peerlane::initiator
