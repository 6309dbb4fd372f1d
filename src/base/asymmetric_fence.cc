#include "base/asymmetric_fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace peerlane {
namespace {

bool membarrier(int command) {
  return syscall(SYS_membarrier, command, 0, 0) == 0;
}

}  // namespace

const bool detail::kHasMembarrier = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

void heavy_fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (detail::kHasMembarrier) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

}  // namespace peerlane
