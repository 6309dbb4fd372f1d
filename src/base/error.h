// Errors are values on every path that data or a peer can reach: `Result<T>` is a T or an `Error`.
//
// An Error has an errno-style code, for those who branch on it, and a sentence for people, which says what was being
// done, what went wrong, and where it helps what to do next. Making one with an empty sentence does not allocate.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <system_error>
#include <utility>

namespace peerlane {

struct Error {
  int code = EIO;       // an errno value
  std::string message;  // for people; may be empty where only the code is of use

  /// The message, or the system's text for `code` if there is none.
  std::string text() const { return message.empty() ? std::system_category().message(code) : message; }

  /// An error of a system call: "<doing>: <the system's text>".
  static Error from_errno(int code, const std::string& doing) {
    return {code, doing + ": " + std::system_category().message(code)};
  }
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(int code, std::string message = {}) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace peerlane
