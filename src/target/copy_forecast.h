// Which way a third-party copy would take between two logical units, before anybody asks for one.
#pragma once

#include "io/task.h"
#include "scsi/copy_log_page.h"
#include "target/logical_unit.h"

namespace peerlane::target {

/// The way from `source` to `destination`, two units of one I_T nexus, and why no shorter one. Moves nothing.
/// On the reactor of the nexus, which stays until then, as the units.
io::Task<scsi::CopyForecast> forecast_copy(ItlNexus& source, ItlNexus& destination);

}  // namespace peerlane::target
