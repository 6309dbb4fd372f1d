// For tests: one end of a wire that is made of PDUs, seen PDU by PDU.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/stream.h"
#include "iscsi/pdu.h"
#include "transport/pdu_reader.h"

namespace peerlane::transport::testing {

class WireEnd {
 public:
  explicit WireEnd(io::Stream& stream) : stream_(stream), reader_(stream) {}

  /// The next PDU of the other end, its data segment in data(). False: that has closed.
  io::Task<bool> receive() {
    auto read = co_await reader_.next();
    if (!read) co_return false;
    data_.resize(reader_.data_left());
    auto got = co_await reader_.read(data_);
    if (!got) co_return false;
    auto finished = co_await reader_.finish();
    co_return finished.has_value();
  }
  iscsi::BasicHeader header() const { return reader_.header(); }
  iscsi::Opcode opcode() const { return header().opcode(); }
  const std::vector<std::uint8_t>& data() const { return data_; }
  ByteView ahs() const { return reader_.ahs(); }

  /// What the other end sends from now on has header digests. What this end sends has none.
  void expect_header_digests() { reader_.set_digests(true, false); }

  template <typename P>
  P as() const {
    const auto pdu = P::decode(reader_.bhs());
    EXPECT_TRUE(pdu.has_value());
    return pdu.value_or(P{});
  }

  /// A PDU as it is, with a data segment or none.
  template <typename P>
  io::Task<void> send_bare(P pdu, std::vector<std::uint8_t> data = {}) {
    std::array<std::uint8_t, iscsi::kBhsBytes> header;
    pdu.encode(header);
    data.resize(iscsi::padded(data.size()));
    std::vector<iovec> vectors{{header.data(), header.size()}, {data.data(), data.size()}};
    co_await send_raw(std::move(vectors));
  }

  /// Bytes as they are.
  io::Task<void> send_raw(std::vector<iovec> vectors) {
    const auto sent = co_await stream_.send(vectors);
    EXPECT_TRUE(sent.has_value());
  }

 private:
  io::Stream& stream_;
  transport::PduReader reader_;
  std::vector<std::uint8_t> data_;
};

}  // namespace peerlane::transport::testing
