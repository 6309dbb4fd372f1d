// For fuzzing: a logical unit on a WatchedDevice with several I_T nexuses, and commands in it as a session would have
// them. Each command that ends is checked: see completion_checks.h.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/buffer_pool.h"
#include "target/command_table.h"
#include "target/logical_unit.h"
#include "target/state_store.h"
#include "target/testing/manual_executor.h"
#include "watched_device.h"

namespace peerlane::fuzz {

/// A command as an initiator sends it.
struct CommandSpec {
  unsigned nexus = 0;
  target::TaskAttribute attribute = target::TaskAttribute::kSimple;
  std::vector<std::uint8_t> cdb;
  std::vector<std::uint8_t> data_out;
  std::uint32_t data_in = 0;
};

class Stage;

class FuzzCommand final : public target::Command {
 public:
  FuzzCommand(CommandSpec spec, Stage& stage);

  const CommandSpec& spec() const { return spec_; }
  /// Its row; null for a command that does not exist.
  const target::CommandDescription* description() const { return description_; }
  /// What was sent to the initiator, and what it has no room for.
  const std::vector<std::uint8_t>& sent() const { return sent_; }

  bool running = true;
  bool alone = true;  // no other command was running in the meantime
  target::Completion completion;
  NamedRange named;

  /// The task is aborted, as a session does it; whoever calls this wakes other commands.
  void abort();

  ByteView cdb() const override { return padded_cdb_; }
  target::TaskAttribute attribute() const override { return spec_.attribute; }
  std::uint32_t data_out_length() const override { return static_cast<std::uint32_t>(spec_.data_out.size()); }
  std::uint32_t data_in_length() const override { return spec_.data_in; }
  io::Executor& executor() const override;
  bool aborted() const override { return aborted_; }
  void set_transfer_length(std::uint64_t) override {}
  io::Task<std::optional<io::Buffer>> allocate(std::size_t size) override;
  void send(io::Buffer buffer, std::size_t length) override;
  io::Task<std::optional<io::Buffer>> receive(std::uint64_t offset, std::size_t length) override;
  io::Task<void> abort_tasks_of(std::vector<target::NexusName> nexuses, const target::LogicalUnit& unit) override;

 private:
  std::optional<io::Buffer> take(std::size_t size);

  const CommandSpec spec_;
  std::vector<std::uint8_t> padded_cdb_;
  const target::CommandDescription* description_ = nullptr;
  Stage& stage_;
  std::vector<std::uint8_t> sent_;
  std::uint64_t received_ = 0;
  bool aborted_ = false;
};

/// State that lasts as long as the program runs the input.
class MemoryStore final : public target::StateStore {
 public:
  Result<std::optional<std::string>> load(const std::string& key) override;
  io::Task<Result<void>> save(std::string key, std::string value) override;

 private:
  std::map<std::string, std::string> kept_;
};

class Stage {
 public:
  struct Options {
    std::uint32_t block_size = 512;
    block::Capabilities less{.unmap = true, .write_zeroes = true, .allocation = true};  // see WatchedDevice
    bool write_through = false;
  };
  static constexpr unsigned kNexuses = 3;

  explicit Stage(const Options& options);
  /// Lets everything go on that waits, and requires that all commands end then.
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /// Starts a command, or has it wait for its turn. Valid until the stage goes, also when it has ended.
  FuzzCommand& start(CommandSpec spec);
  /// Lets time pass until `command` has ended, and what goes on after it; what waits at the turnstile stays there.
  void finish(const FuzzCommand& command);
  /// Lets one thing happen that waits for time.
  void pass_time() { executor_.run_one(); }
  /// Aborts the `which`th of the commands that are running.
  void abort(std::size_t which);
  /// Aborts those of these nexuses.
  io::Task<void> abort_all_of(std::vector<target::NexusName> nexuses);
  /// Ends the ACA of a nexus, as CLEAR ACA does.
  void clear_aca(unsigned nexus);
  void reset();

  WatchedDevice& device() { return *device_; }
  Turnstile& turnstile() { return turnstile_; }
  target::testing::ManualExecutor& executor() { return executor_; }
  target::LogicalUnit& unit() { return *unit_; }
  target::ItlNexus& nexus(unsigned which) { return *nexuses_[which]; }

 private:
  class View final : public target::NexusView {
   public:
    explicit View(unsigned number);
    const target::NexusName& name() const override { return name_; }
    std::span<const scsi::Lun> luns() const override { return luns_; }
    void clear_attention(scsi::SenseCode code) override { nexus->attentions().clear(code); }

    target::ItlNexus* nexus = nullptr;

   private:
    target::NexusName name_;
    std::array<scsi::Lun, 2> luns_{scsi::Lun{0}, scsi::Lun{3}};
  };

  io::Task<void> run(FuzzCommand& command);
  void abort(FuzzCommand& command);
  std::vector<FuzzCommand*> running();

  target::testing::ManualExecutor executor_;
  Turnstile turnstile_;
  MemoryStore store_;
  WatchedDevice* device_ = nullptr;
  std::unique_ptr<target::LogicalUnit> unit_;
  std::vector<std::unique_ptr<View>> views_;
  std::vector<std::unique_ptr<target::ItlNexus>> nexuses_;
  std::vector<std::unique_ptr<FuzzCommand>> commands_;
};

}  // namespace peerlane::fuzz
