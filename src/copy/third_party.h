// The storage of both ends copies, for being asked: a target with third-party copies (SPC-4 §5.17). This host sends
// commands, and the data stay where they are.
//
// Storage may refuse what it has offered (an end was reserved, a limit was reached): that range is then moved in
// another way, and after limits::kThirdPartyRefusals of them all the rest is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/copy_offload.h"
#include "copy/direct_way.h"
#include "io/event.h"

namespace peerlane::copy {

class ThirdParty final : public Mover {
 public:
  ThirdParty(const End& source, const End& destination, std::shared_ptr<block::OffloadedCopy> storage,
             const MoverTools& tools);
  ~ThirdParty() override;

  io::Task<Result<void>> move(Piece piece) override;
  std::uint64_t moving() const override;
  void cancel() override;
  io::Task<void> conclude() override;
  std::string through() const override;
  const block::CopyAccount* of_storage() const override { return told_ ? &*told_ : nullptr; }

 private:
  struct Request;

  io::Task<Result<void>> ask(Request& request);

  const End& source_;
  const End& destination_;
  const std::shared_ptr<block::OffloadedCopy> storage_;
  Account& account_;
  std::vector<Request*> under_way_;
  io::Event ended_;  // one of these
  unsigned refusals_ = 0;
  std::string refusal_;  // the last one
  bool canceled_ = false;
  std::optional<block::CopyAccount> told_;
};

}  // namespace peerlane::copy
