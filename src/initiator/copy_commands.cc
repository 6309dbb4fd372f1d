#include "initiator/copy_commands.h"

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "initiator/scsi_error.h"
#include "scsi/third_party_copy.h"

namespace peerlane::initiator {

std::uint64_t whole_pieces(std::uint64_t most, std::uint64_t unit) {
  const std::uint64_t step = most >= 2 * kCopyPieceAlignment ? std::max(kCopyPieceAlignment, unit) : unit;
  return most / step * step;
}

const std::string& target_of(const Lun& lun) {
  return lun.session().options().login.target_name;
}

Cdb copy_cdb(scsi::OperationCode operation, std::uint16_t service_action, std::uint32_t list_identifier,
             std::size_t length) {
  scsi::CopyCdb copy;
  copy.operation = operation;
  copy.service_action = service_action;
  copy.list_identifier = list_identifier;
  copy.length = static_cast<std::uint32_t>(length);
  Cdb cdb{};
  scsi::encode_copy_cdb(copy, cdb);
  return cdb;
}

io::Task<Result<Bytes>> fetch(Lun& lun, Cdb cdb, const char* doing) {
  Bytes data(kCopyParameterBytes);
  Request request;
  request.cdb = cdb;
  request.data_in = data;
  request.repeatable = true;
  auto result = co_await lun.execute(request);
  if (!result) co_return std::unexpected(result.error());
  if (!succeeded(*result)) co_return std::unexpected(to_error(*result, doing));
  data.resize(std::min(result->transferred, data.size()));
  co_return data;
}

io::Task<Result<ScsiResult>> execute_copy(Lun& lun, Cdb cdb, ByteView list, const CopyPart& part) {
  Request request;
  request.cdb = cdb;
  request.data_out = list;
  request.timeout = limits::kThirdPartyTimeout + std::chrono::seconds(part.range.length / limits::kThirdPartyRate);
  request.canceled = &part.watch.canceled;
  return lun.execute(request);
}

Result<void> outcome_of(const Result<ScsiResult>& result, const block::CopyWatch& watch, const char* doing) {
  if (result && succeeded(*result)) return {};
  if (watch.canceled.load(std::memory_order_relaxed)) return fail(ECANCELED, "interrupted");
  if (!result) return std::unexpected(result.error());
  Error error = to_error(*result, doing);
  // A copy manager may tell no more than that it failed. An error of a disk is told better by who reads it.
  const bool check = result->status == scsi::Status::kCheckCondition;
  const bool refused = check && (!result->sense || result->sense->key == scsi::SenseKey::kIllegalRequest ||
                                 result->sense->key == scsi::SenseKey::kCopyAborted);
  if (refused) error.code = ENOTSUP;
  return std::unexpected(std::move(error));
}

io::Task<scsi::ThirdPartyCopyPage> third_party_page(Lun& lun) {
  const auto page = co_await lun.vpd(scsi::VpdPage::kThirdPartyCopy);
  const auto decoded = page ? scsi::decode_third_party_copy(*page) : std::nullopt;
  co_return decoded.value_or(scsi::ThirdPartyCopyPage());
}

CopyStatusWatch::CopyStatusWatch(Lun& lun, const Cdb& cdb, CopyPart part, Reading bytes_of)
    : lun_(lun), cdb_(cdb), part_(part), bytes_of_(std::move(bytes_of)), timer_(lun.session().reactor(), [this] {
        wake_.wake_all();
      }) {}

io::Task<void> CopyStatusWatch::run() {
  const io::Gate::Pass inside(running_);
  while (!stopped_) {
    timer_.arm_after(limits::kThirdPartyAsk);
    co_await wake_;
    if (stopped_) break;
    const auto data = co_await fetch(lun_, cdb_, "asking for the progress of a copy");
    if (!data || stopped_) break;
    const auto bytes = bytes_of_(*data);
    // A copy that is named anew after its connection was lost begins anew, too.
    if (!bytes) continue;
    const std::uint64_t moved = part_.before + std::min(*bytes, part_.range.length);
    part_.watch.moved.store(moved, std::memory_order_relaxed);
  }
}

io::Task<void> CopyStatusWatch::stop() {
  stopped_ = true;
  timer_.disarm();
  wake_.wake_all();
  co_await running_.drained();
}

}  // namespace peerlane::initiator
