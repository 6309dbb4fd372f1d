// What every command goes through before its handler: the checks that commands share, in the order in which a device
// server makes them. A command's row in target/command_table.h says which of them concern it.
#pragma once

#include <optional>

#include "target/command_table.h"

namespace peerlane::target {

/// Whether the unit has this command at all; some depend on what its device can do.
bool offers(const LogicalUnit& unit, const CommandDescription& description);

/// Nothing if the command may be executed; `context.blocks` is then filled in. Otherwise how it ends: no such command,
/// unit attention, reservation conflict, bits in the CDB that are not allowed, target port not active, data the wrong
/// way, unit stopped, write protection, medium busy, blocks out of range, too many blocks.
std::optional<Completion> check_command(CommandContext& context);

}  // namespace peerlane::target
