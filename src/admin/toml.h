// toml++ as this room uses it: headers only, errors as values. Included by the .cc files that read TOML and by nobody
// else.
#pragma once

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
