#include "stage.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "completion_checks.h"
#include "io/executor.h"
#include "scsi/sense_codes.h"

namespace peerlane::fuzz {
namespace {

constexpr std::size_t kPoolBytes = 256u << 20;
constexpr std::uint8_t kRubbish = 0xee;

/// For the pool, which has nobody waiting here.
struct IdleExecutor final : io::Executor {
  io::TimePoint now() const override { return {}; }
  void post(std::function<void()>) override { require(false, "nothing is posted"); }
  void defer(io::Deferred&) override {}
  bool here() const override { return true; }
  void arm(io::Timer&) override { require(false, "no command waits for the clock"); }
  void disarm(io::Timer&) override {}
};

io::BufferPool& pool() {
  static IdleExecutor executor;
  static io::BufferPool buffers(executor, kPoolBytes, 0);
  return buffers;
}

}  // namespace

// --- FuzzCommand ---

FuzzCommand::FuzzCommand(CommandSpec spec, Turnstile& turnstile)
    : spec_(std::move(spec)), padded_cdb_(spec_.cdb), turnstile_(turnstile) {
  padded_cdb_.resize(std::max<std::size_t>(padded_cdb_.size(), 16));
  if (const auto found = target::find_command(padded_cdb_)) description_ = *found;
}

void FuzzCommand::abort() {
  aborted_ = true;
  place().leave();
}

std::optional<io::Buffer> FuzzCommand::take(std::size_t size) {
  require(size >= 1 && size <= limits::kMaxBufferBytes, "a buffer is of a size that there is");
  if (aborted_) return std::nullopt;
  std::optional<io::Buffer> buffer = pool().allocate(size);
  require(buffer.has_value(), "few buffers suffice");
  // What is sent or written has to be put there.
  std::ranges::fill(buffer->bytes(), kRubbish);
  return buffer;
}

io::Task<std::optional<io::Buffer>> FuzzCommand::allocate(std::size_t size) {
  co_return take(size);
}

void FuzzCommand::send(io::Buffer buffer, std::size_t length) {
  require(length <= buffer.size(), "no more is sent than the buffer holds");
  const ByteView bytes = buffer.bytes().first(length);
  sent_.insert(sent_.end(), bytes.begin(), bytes.end());
}

io::Task<std::optional<io::Buffer>> FuzzCommand::receive(std::uint64_t offset, std::size_t length) {
  require(offset == received_, "Data-Out is asked for in order and once");
  require(length != 0 && offset + length <= spec_.data_out.size(), "no more is asked for than the initiator sends");
  std::optional<io::Buffer> buffer = take(length);
  co_await turnstile_.pass(this);
  if (aborted_) co_return std::nullopt;
  const auto from = spec_.data_out.begin() + static_cast<std::ptrdiff_t>(offset);
  std::copy(from, from + static_cast<std::ptrdiff_t>(length), buffer->bytes().begin());
  received_ += length;
  co_return std::move(buffer);
}

// --- MemoryStore ---

Result<std::optional<std::string>> MemoryStore::load(const std::string& key) {
  const auto at = kept_.find(key);
  if (at == kept_.end()) return std::optional<std::string>();
  return at->second;
}

io::Task<Result<void>> MemoryStore::save(std::string key, std::string value) {
  kept_[key] = value;
  co_return Result<void>();
}

// --- Stage ---

Stage::View::View(unsigned number)
    : name_{.initiator = "iqn.2026-11.test:initiator-" + std::to_string(number), .isid = number, .portal_group = 1} {}

Stage::Stage(const Options& options) {
  auto device = std::make_unique<WatchedDevice>(options.block_size, options.less, turnstile_);
  device_ = device.get();
  target::LogicalUnitOptions unit_options;
  unit_options.target_name = "iqn.2026-11.test:target";
  unit_options.write_through = options.write_through;
  unit_options.state = &store_;
  unit_ = std::make_unique<target::LogicalUnit>(std::move(device), unit_options);
  for (unsigned i = 0; i < kNexuses; ++i) {
    views_.push_back(std::make_unique<View>(i));
    nexuses_.push_back(unit_->attach(*views_.back()));
    views_.back()->nexus = nexuses_.back().get();
    while (nexuses_.back()->attentions().take()) {
    }
  }
}

Stage::~Stage() {
  turnstile_.close(false);
  while (!turnstile_.empty()) turnstile_.release(0);
  // Commands that an ACA holds back wait for what only the initiator can do.
  for (unsigned i = 0; i < kNexuses; ++i) {
    while (nexuses_[i]->task_set().aca()) clear_aca(i);
  }
  require(running().empty(), "every command ends");
  require(pool().bytes_out() == 0, "every buffer comes back");
}

std::vector<FuzzCommand*> Stage::running() {
  std::vector<FuzzCommand*> out;
  for (const auto& command : commands_) {
    if (command->running) out.push_back(command.get());
  }
  return out;
}

FuzzCommand& Stage::start(CommandSpec spec) {
  commands_.push_back(std::make_unique<FuzzCommand>(std::move(spec), turnstile_));
  FuzzCommand& command = *commands_.back();
  const std::vector<FuzzCommand*> now = running();
  for (FuzzCommand* const other : now) other->alone = now.size() == 1;
  command.named = named_range(command, *device_);
  device_->allow(command.named);
  io::spawn(run(command));
  return command;
}

io::Task<void> Stage::run(FuzzCommand& command) {
  command.completion = co_await unit_->execute(*nexuses_[command.spec().nexus], command);
  command.running = false;
  device_->forbid(command.named);
  if (!command.aborted()) check_completion(command, *device_);
  if (target::TaskSet* const set = command.place().leave(command.completion.status)) set->advance();
}

void Stage::abort(std::size_t which) {
  const std::vector<FuzzCommand*> candidates = running();
  if (candidates.empty()) return;
  FuzzCommand& command = *candidates[which % candidates.size()];
  if (command.aborted()) return;
  command.abort();
  command.place().wake();
  turnstile_.release_owner(&command);
  nexuses_[command.spec().nexus]->task_set().advance();
}

void Stage::clear_aca(unsigned nexus) {
  nexuses_[nexus]->task_set().clear_aca();
  nexuses_[nexus]->task_set().advance();
}

void Stage::reset() {
  while (!running().empty() && !std::ranges::all_of(running(), &FuzzCommand::aborted)) {
    for (std::size_t i = 0; i < running().size(); ++i) abort(i);
  }
  unit_->reset(scsi::sense_codes::kBusDeviceReset, nullptr);
}

}  // namespace peerlane::fuzz
