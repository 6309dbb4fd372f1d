#include "attach/ublk_queue.h"

#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

namespace peerlane::attach {
namespace {

std::size_t whole_pages(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

Mapping::~Mapping() {
  if (start_ != nullptr) munmap(start_, size_);
}

Result<std::unique_ptr<UblkQueue>> UblkQueue::create(const ublk::DeviceInfo& info, std::uint16_t number, int fd,
                                                     block::Device& device, std::function<void()> ended) {
  const std::size_t stride = whole_pages(ublk::kMostDepth * sizeof(ublk::RequestDescriptor));
  const std::size_t descriptor_bytes = whole_pages(info.depth * sizeof(ublk::RequestDescriptor));
  void* const descriptors =
      mmap(nullptr, descriptor_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, static_cast<off_t>(number * stride));
  if (descriptors == MAP_FAILED) return std::unexpected(Error::from_errno(errno, "mapping a queue's requests"));
  Mapping descriptors_mapping(descriptors, descriptor_bytes);

  const std::size_t buffer_bytes = std::size_t{info.depth} * info.io_bytes;
  void* const buffers =
      mmap(nullptr, buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (buffers == MAP_FAILED) return std::unexpected(Error::from_errno(errno, "memory for a queue's buffers"));
  return std::unique_ptr<UblkQueue>(new UblkQueue(info, number, fd, device, std::move(ended),
                                                  std::move(descriptors_mapping), Mapping(buffers, buffer_bytes)));
}

UblkQueue::UblkQueue(const ublk::DeviceInfo& info, std::uint16_t number, int fd, block::Device& device,
                     std::function<void()> ended, Mapping descriptors, Mapping buffers)
    : number_(number),
      io_bytes_(info.io_bytes),
      fd_(fd),
      device_(device),
      capabilities_(device.capabilities()),
      ended_(std::move(ended)),
      descriptors_mapping_(std::move(descriptors)),
      buffers_mapping_(std::move(buffers)),
      descriptors_(static_cast<const ublk::RequestDescriptor*>(descriptors_mapping_.start()), info.depth),
      slots_(std::make_unique<Slot[]>(info.depth)) {}

void UblkQueue::serve() {
  reactor_ = &io::Reactor::current();
  alive_ = static_cast<unsigned>(descriptors_.size());
  for (unsigned tag = 0; tag < descriptors_.size(); ++tag) {
    Slot& slot = slots_[tag];
    slot.queue = this;
    slot.tag = static_cast<std::uint16_t>(tag);
    submit(slot, ublk::kFetch, 0);
  }
}

void UblkQueue::submit(Slot& slot, std::uint32_t operation, std::int32_t result) {
  const ublk::QueueCommand command{number_, slot.tag, result, reinterpret_cast<std::uintptr_t>(buffer_of(slot).data())};
  reactor_->submit(slot, fd_, [&](io_uring_sqe* sqe) {
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd_, nullptr, 0, 0);
    sqe->cmd_op = operation;
    std::memcpy(static_cast<void*>(sqe->cmd), &command, sizeof command);
  });
}

void UblkQueue::completed(Slot& slot, int result, unsigned flags) {
  static_cast<void>(flags);
  if (result == 0) {
    io::spawn(carry_out(slot));
    return;
  }
  if (result != -ENODEV) {
    log::error("ublk queue {}, tag {}: the kernel does not take our command: {}", number_, slot.tag,
               Error{-result, {}}.text());
  }
  if (--alive_ == 0) ended_();
}

io::Task<void> UblkQueue::carry_out(Slot& slot) {
  const auto request = decode_request(descriptors_[slot.tag], device_.geometry(), capabilities_, io_bytes_);
  if (!request) {
    submit(slot, ublk::kCommitAndFetch, -request.error().code);
    co_return;
  }
  auto performing = perform(*request, buffer_of(slot));
  const auto done = co_await std::move(performing);
  submit(slot, ublk::kCommitAndFetch, result_of(*request, done));
}

io::Task<Result<void>> UblkQueue::perform(const UblkRequest& request, ByteSpan buffer) {
  switch (request.kind) {
    case UblkRequest::Kind::kRead:
      return device_.read(request.offset, buffer.first(request.length));
    case UblkRequest::Kind::kWrite:
      return device_.write(request.offset, buffer.first(request.length),
                           request.fua ? block::WriteFlags::kFua : block::WriteFlags::kNone);
    case UblkRequest::Kind::kFlush:
      return device_.flush();
    case UblkRequest::Kind::kUnmap:
      return device_.unmap(request.offset, request.length);
    case UblkRequest::Kind::kWriteZeroes:
      return device_.write_zeroes(request.offset, request.length, request.may_unmap);
  }
  return io::ready(Result<void>(fail(ENOTSUP)));
}

ByteSpan UblkQueue::buffer_of(const Slot& slot) const {
  return {static_cast<std::uint8_t*>(buffers_mapping_.start()) + std::size_t{slot.tag} * io_bytes_, io_bytes_};
}

}  // namespace peerlane::attach
