// For tests: a Command whose data are vectors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "io/buffer_pool.h"
#include "target/command.h"
#include "target/testing/manual_executor.h"

namespace peerlane::target::testing {

class FakeCommand final : public Command {
 public:
  /// A command with this CDB, padded to 16 bytes, for which the initiator expects to receive `data_in` bytes, or with
  /// which it sends `data_out`.
  explicit FakeCommand(std::initializer_list<unsigned> cdb, std::uint32_t data_in = 0,
                       std::vector<std::uint8_t> data_out = {})
      : data_out_(std::move(data_out)), data_in_length_(data_in) {
    for (const unsigned byte : cdb) cdb_.push_back(static_cast<std::uint8_t>(byte));
    cdb_.resize(std::max<std::size_t>(cdb_.size(), 16));
  }

  /// What the initiator sends with it.
  FakeCommand& sends(std::vector<std::uint8_t> data) {
    data_out_ = std::move(data);
    return *this;
  }
  FakeCommand& with(TaskAttribute attribute) {
    attribute_ = attribute;
    return *this;
  }
  /// The task is aborted after this many buffers were allocated or received.
  FakeCommand& aborted_after(unsigned buffers) {
    buffers_left_ = buffers;
    return *this;
  }

  std::vector<std::uint8_t>& cdb_bytes() { return cdb_; }

  // What the device server did with it.
  const std::vector<std::uint8_t>& data_in() const {
    return data_in_;
  }  // what was sent, also what the initiator has no room for
  std::optional<std::uint64_t> transfer_length() const { return transfer_length_; }
  std::uint64_t received() const { return received_; }        // bytes of Data-Out that were asked for
  std::size_t most_buffers() const { return most_buffers_; }  // that were held at the same time
  const std::vector<NexusName>& aborted_nexuses() const { return aborted_nexuses_; }

  ByteView cdb() const override { return cdb_; }
  TaskAttribute attribute() const override { return attribute_; }
  std::uint32_t data_out_length() const override { return static_cast<std::uint32_t>(data_out_.size()); }
  std::uint32_t data_in_length() const override { return data_in_length_; }
  io::Executor& executor() const override { return testing::executor(); }
  bool aborted() const override { return buffers_left_ == 0u; }
  void set_transfer_length(std::uint64_t bytes) override { transfer_length_ = bytes; }

  io::Task<std::optional<io::Buffer>> allocate(std::size_t size) override { co_return take(size); }

  void send(io::Buffer buffer, std::size_t length) override {
    EXPECT_LE(length, buffer.size());
    data_in_.insert(data_in_.end(), buffer.bytes().begin(),
                    buffer.bytes().begin() + static_cast<std::ptrdiff_t>(length));
  }

  io::Task<std::optional<io::Buffer>> receive(std::uint64_t offset, std::size_t length) override {
    EXPECT_EQ(offset, received_);
    EXPECT_NE(length, 0u);
    EXPECT_LE(offset + length, data_out_.size());
    std::optional<io::Buffer> buffer = take(length);
    if (buffer) {
      const auto from = data_out_.begin() + static_cast<std::ptrdiff_t>(offset);
      std::copy(from, from + static_cast<std::ptrdiff_t>(length), buffer->bytes().begin());
      received_ += length;
    }
    co_return buffer;
  }

  io::Task<void> abort_tasks_of(std::vector<NexusName> nexuses, const LogicalUnit&) override {
    aborted_nexuses_.insert(aborted_nexuses_.end(), nexuses.begin(), nexuses.end());
    co_return;
  }

 private:
  std::optional<io::Buffer> take(std::size_t size) {
    if (aborted()) return std::nullopt;
    if (buffers_left_) --*buffers_left_;
    const std::size_t before = pool_.bytes_out();
    std::optional<io::Buffer> buffer = pool_.allocate(size);
    EXPECT_TRUE(buffer);
    // Rubbish in it: what is sent must have been written.
    std::ranges::fill(buffer->bytes(), std::uint8_t{0xee});
    most_buffers_ = std::max<std::size_t>(most_buffers_, before == 0 ? 1 : 2);
    return buffer;
  }

  io::BufferPool pool_{testing::executor(), 64u << 20, 0};
  std::vector<std::uint8_t> cdb_;
  TaskAttribute attribute_ = TaskAttribute::kSimple;
  std::vector<std::uint8_t> data_out_;
  std::uint32_t data_in_length_;
  std::vector<std::uint8_t> data_in_;
  std::optional<std::uint64_t> transfer_length_;
  std::uint64_t received_ = 0;
  std::size_t most_buffers_ = 0;
  std::optional<unsigned> buffers_left_;
  std::vector<NexusName> aborted_nexuses_;
};

}  // namespace peerlane::target::testing
