#include "cli/program.h"

int main(int argc, char** argv) {
  return static_cast<int>(peerlane::cli::run(argc, argv));
}
