#include "block/fault_device.h"

#include <utility>

#include "block/chance.h"

namespace peerlane::block {
namespace {

bool overlap(const FaultRule& rule, std::uint64_t offset, std::uint64_t length) {
  return offset < rule.offset ? length > rule.offset - offset : offset - rule.offset < rule.length;
}

}  // namespace

FaultDevice::FaultDevice(std::unique_ptr<Device> inner, std::span<const FaultRule> rules)
    : FilterDevice(std::move(inner)), rules_(rules.size()) {
  for (std::size_t i = 0; i < rules.size(); ++i) rules_[i].rule = rules[i];
}

int FaultDevice::strike(FaultOperation operation, std::uint64_t offset, std::uint64_t length) {
  for (State& state : rules_) {
    const FaultRule& rule = state.rule;
    if (rule.operation != FaultOperation::kAny && rule.operation != operation) continue;
    if (operation != FaultOperation::kFlush && !overlap(rule, offset, length)) continue;
    const std::uint64_t before = state.matched.fetch_add(1, std::memory_order_relaxed);
    if (before < rule.after || chance(rule.seed, before) >= rule.probability) continue;
    const std::uint64_t struck = state.struck.fetch_add(1, std::memory_order_relaxed);
    if (rule.count == 0 || struck < rule.count) return rule.error;
    state.struck.fetch_sub(1, std::memory_order_relaxed);
  }
  return 0;
}

io::Task<Result<void>> FaultDevice::failed(int error) {
  co_return fail(error);
}

io::Task<Result<void>> FaultDevice::read(std::uint64_t offset, ByteSpan into) {
  const int error = strike(FaultOperation::kRead, offset, into.size());
  return error != 0 ? failed(error) : inner().read(offset, into);
}

io::Task<Result<void>> FaultDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  const int error = strike(FaultOperation::kWrite, offset, from.size());
  return error != 0 ? failed(error) : inner().write(offset, from, flags);
}

io::Task<Result<void>> FaultDevice::flush() {
  const int error = strike(FaultOperation::kFlush, 0, 0);
  return error != 0 ? failed(error) : inner().flush();
}

io::Task<Result<void>> FaultDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  const int error = strike(FaultOperation::kUnmap, offset, length);
  return error != 0 ? failed(error) : inner().unmap(offset, length);
}

io::Task<Result<void>> FaultDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  const int error = strike(FaultOperation::kWriteZeroes, offset, length);
  return error != 0 ? failed(error) : inner().write_zeroes(offset, length, may_unmap);
}

Statistics FaultDevice::statistics() const {
  Statistics all = inner().statistics();
  for (const State& state : rules_) all.fault.injected += state.struck.load(std::memory_order_relaxed);
  return all;
}

}  // namespace peerlane::block
