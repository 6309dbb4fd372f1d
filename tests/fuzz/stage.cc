#include "stage.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "completion_checks.h"
#include "io/executor.h"
#include "scsi/sense_codes.h"

namespace peerlane::fuzz {
namespace {

constexpr std::size_t kPoolBytes = 256u << 20;
constexpr std::uint8_t kRubbish = 0xee;
constexpr unsigned kMostSteps = 100'000;

io::BufferPool& pool() {
  static target::testing::ManualExecutor executor;  // nobody waits for a buffer here
  static io::BufferPool buffers(executor, kPoolBytes, 0);
  return buffers;
}

/// Whether it may go on with its blocks after its status (IMMED).
bool outlasts_its_status(const FuzzCommand& command) {
  constexpr std::uint8_t kSanitize = 0x48;
  constexpr std::uint8_t kPreFetch10 = 0x34;
  constexpr std::uint8_t kPreFetch16 = 0x90;
  const std::uint8_t operation_code = command.cdb()[0];
  return operation_code == kSanitize || operation_code == kPreFetch10 || operation_code == kPreFetch16;
}

}  // namespace

// --- FuzzCommand ---

FuzzCommand::FuzzCommand(CommandSpec spec, Stage& stage)
    : spec_(std::move(spec)), padded_cdb_(spec_.cdb), stage_(stage) {
  padded_cdb_.resize(std::max<std::size_t>(padded_cdb_.size(), 16));
  if (const auto found = target::find_command(padded_cdb_)) description_ = *found;
}

io::Executor& FuzzCommand::executor() const {
  return stage_.executor();
}

io::Task<void> FuzzCommand::abort_tasks_of(std::vector<target::NexusName> nexuses, const target::LogicalUnit&) {
  co_await stage_.abort_all_of(std::move(nexuses));
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
  co_await stage_.turnstile().pass(this);
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
  unit_options.port_groups = {{.tag = 1}, {.tag = 2}};
  unit_ = std::make_unique<target::LogicalUnit>(std::move(device), unit_options);
  require(unit_->load_state().has_value(), "there is no state to be read");
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
  for (unsigned steps = 0; !turnstile_.empty() || executor_.run_one(); ++steps) {
    require(steps < kMostSteps, "what goes on comes to an end");
    turnstile_.release(0);
    // Commands that an ACA holds back wait for what only the initiator can do.
    for (unsigned i = 0; i < kNexuses; ++i) clear_aca(i);
  }
  for (unsigned i = 0; i < kNexuses; ++i) {
    while (nexuses_[i]->task_set().aca()) clear_aca(i);
  }
  require(running().empty(), "every command ends");
  require(pool().bytes_out() == 0, "every buffer comes back");
}

void Stage::finish(const FuzzCommand& command) {
  for (unsigned steps = 0; executor_.run_one(); ++steps) require(steps < kMostSteps, "what goes on comes to an end");
  require(!command.running, "a command for which the disk has done all ends");
}

std::vector<FuzzCommand*> Stage::running() {
  std::vector<FuzzCommand*> out;
  for (const auto& command : commands_) {
    if (command->running) out.push_back(command.get());
  }
  return out;
}

FuzzCommand& Stage::start(CommandSpec spec) {
  commands_.push_back(std::make_unique<FuzzCommand>(std::move(spec), *this));
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
  if (!outlasts_its_status(command)) device_->forbid(command.named);
  if (!command.aborted()) check_completion(command, *device_);
  if (target::TaskSet* const set = command.place().leave(command.completion.status)) set->advance();
}

void Stage::abort(std::size_t which) {
  const std::vector<FuzzCommand*> candidates = running();
  if (!candidates.empty()) abort(*candidates[which % candidates.size()]);
}

void Stage::abort(FuzzCommand& command) {
  if (command.aborted()) return;
  command.abort();
  command.place().wake();
  turnstile_.release_owner(&command);
  nexuses_[command.spec().nexus]->task_set().advance();
}

io::Task<void> Stage::abort_all_of(std::vector<target::NexusName> nexuses) {
  std::vector<FuzzCommand*> chosen = running();
  std::erase_if(chosen, [&](const FuzzCommand* command) {
    return std::ranges::find(nexuses, views_[command->spec().nexus]->name()) == nexuses.end();
  });
  for (FuzzCommand* const command : chosen) {
    if (command->running) abort(*command);
  }
  while (std::ranges::any_of(chosen, &FuzzCommand::running))
    co_await io::sleep(executor_, std::chrono::milliseconds(1));
}

void Stage::clear_aca(unsigned nexus) {
  nexuses_[nexus]->task_set().clear_aca();
  nexuses_[nexus]->task_set().advance();
}

void Stage::reset() {
  for (FuzzCommand* const command : running()) {
    if (command->running) abort(*command);
  }
  io::spawn(unit_->reset(scsi::sense_codes::kBusDeviceReset, nullptr));
}

}  // namespace peerlane::fuzz
