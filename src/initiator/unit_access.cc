#include "initiator/unit_access.h"

#include <utility>

#include "initiator/scsi_error.h"
#include "scsi/lba_status.h"
#include "scsi/lun.h"
#include "scsi/opcodes.h"
#include "scsi/supported_opcodes.h"

namespace peerlane::initiator {
namespace {

using scsi::OperationCode;

constexpr std::size_t kInquiryBytes = 96;
constexpr std::size_t kModeBytes = 252;              // MODE SENSE(6) has one byte for it
constexpr std::size_t kSupportBytes = 64;            // one command: 4 bytes, and its CDB's
constexpr std::size_t kLunListBytes = 8 + 8 * 1024;  // what REPORT LUNS may tell at most
constexpr std::size_t kReserveInBytes = 32u << 10;

Cdb cdb_of(OperationCode operation) {
  Cdb cdb{};
  cdb[0] = static_cast<std::uint8_t>(operation);
  return cdb;
}

}  // namespace

Request UnitAccess::request(const Cdb& cdb) const {
  Request request;
  request.lun = lun_;
  request.cdb = cdb;
  request.repeatable = true;
  request.observer = observer_;
  request.guard = guard_;
  return request;
}

io::Task<Result<ScsiResult>> UnitAccess::execute(const Request& request) {
  if (!restoring_) {
    auto result = co_await session_.execute(request);
    co_return result;
  }
  for (unsigned tries = 0;; ++tries) {
    auto result = co_await session_.execute_now(request);
    const bool attention = result && result->status == scsi::Status::kCheckCondition && result->sense &&
                           result->sense->key == scsi::SenseKey::kUnitAttention;
    const bool busy = result && (result->status == scsi::Status::kBusy || result->status == scsi::Status::kTaskSetFull);
    if ((!attention && !busy) || tries == limits::kAttentionRetries) co_return result;
    if (busy) {
      co_await io::sleep(session_.reactor(), limits::kBusyLeast * (tries + 1));
    } else if (observer_ != nullptr) {
      observer_->unit_attention(*result->sense);
    }
  }
}

io::Task<Result<Bytes>> UnitAccess::fetch(Cdb cdb, std::size_t most, const char* doing) {
  Bytes data(most);
  Request command = request(cdb);
  command.data_in = data;
  auto result = co_await execute(command);
  if (!result) co_return std::unexpected(std::move(result.error()));
  if (!succeeded(*result)) co_return std::unexpected(to_error(*result, doing));
  data.resize(result->transferred);
  co_return data;
}

io::Task<Result<Bytes>> UnitAccess::inquiry() {
  Cdb cdb = cdb_of(OperationCode::kInquiry);
  put_be16(cdb, 3, kInquiryBytes);
  return fetch(cdb, kInquiryBytes, "INQUIRY");
}

io::Task<Result<Bytes>> UnitAccess::vpd(scsi::VpdPage page) {
  Cdb cdb = cdb_of(OperationCode::kInquiry);
  cdb[1] = 1;  // EVPD
  cdb[2] = static_cast<std::uint8_t>(page);
  put_be16(cdb, 3, scsi::kMaxVpdBytes);
  return fetch(cdb, scsi::kMaxVpdBytes, "INQUIRY for a VPD page");
}

io::Task<Result<Bytes>> UnitAccess::capacity16() {
  Cdb cdb = cdb_of(OperationCode::kServiceActionIn16);
  cdb[1] = static_cast<std::uint8_t>(scsi::kReadCapacity16);
  put_be32(cdb, 10, scsi::kCapacity16Bytes);
  return fetch(cdb, scsi::kCapacity16Bytes, "READ CAPACITY(16)");
}

io::Task<Result<Bytes>> UnitAccess::capacity10() {
  const Cdb cdb = cdb_of(OperationCode::kReadCapacity10);
  return fetch(cdb, scsi::kCapacity10Bytes, "READ CAPACITY(10)");
}

io::Task<Result<Bytes>> UnitAccess::mode_sense10(scsi::ModePageCode page, scsi::PageControl control) {
  Cdb cdb = cdb_of(OperationCode::kModeSense10);
  cdb[2] = static_cast<std::uint8_t>(static_cast<unsigned>(control) << 6 | page.page);
  cdb[3] = page.subpage;
  put_be16(cdb, 7, kModeBytes);
  return fetch(cdb, kModeBytes, "MODE SENSE(10)");
}

io::Task<Result<Bytes>> UnitAccess::mode_sense6(scsi::ModePageCode page, scsi::PageControl control) {
  Cdb cdb = cdb_of(OperationCode::kModeSense6);
  cdb[2] = static_cast<std::uint8_t>(static_cast<unsigned>(control) << 6 | page.page);
  cdb[3] = page.subpage;
  cdb[4] = kModeBytes;
  return fetch(cdb, kModeBytes, "MODE SENSE(6)");
}

io::Task<Result<Bytes>> UnitAccess::supported(OperationCode operation) {
  Cdb cdb = cdb_of(OperationCode::kMaintenanceIn);
  cdb[1] = static_cast<std::uint8_t>(scsi::kReportSupportedOperationCodes);
  cdb[2] = static_cast<std::uint8_t>(scsi::ReportingOptions::kOperationCode);
  cdb[3] = static_cast<std::uint8_t>(operation);
  put_be32(cdb, 6, kSupportBytes);
  return fetch(cdb, kSupportBytes, "REPORT SUPPORTED OPERATION CODES");
}

io::Task<Result<Bytes>> UnitAccess::lba_status(std::uint64_t lba, std::size_t descriptors) {
  const std::size_t size = scsi::kLbaStatusHeaderBytes + descriptors * scsi::kLbaStatusDescriptorBytes;
  Cdb cdb = cdb_of(OperationCode::kServiceActionIn16);
  cdb[1] = static_cast<std::uint8_t>(scsi::kGetLbaStatus);
  put_be64(cdb, 2, lba);
  put_be32(cdb, 10, static_cast<std::uint32_t>(size));
  return fetch(cdb, size, "GET LBA STATUS");
}

io::Task<Result<Bytes>> UnitAccess::report_luns() {
  Cdb cdb = cdb_of(OperationCode::kReportLuns);
  put_be32(cdb, 6, kLunListBytes);
  return fetch(cdb, kLunListBytes, "REPORT LUNS");
}

io::Task<Result<Bytes>> UnitAccess::reserve_in(scsi::ReserveInAction action) {
  Cdb cdb = cdb_of(OperationCode::kPersistentReserveIn);
  cdb[1] = static_cast<std::uint8_t>(action);
  put_be16(cdb, 7, kReserveInBytes);
  return fetch(cdb, kReserveInBytes, "PERSISTENT RESERVE IN");
}

}  // namespace peerlane::initiator
