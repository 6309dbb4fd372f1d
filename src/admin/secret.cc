#include "admin/secret.h"

#include <array>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

namespace peerlane::admin {
namespace {

/// Closes a descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

Result<SecretFile> read_secret_file(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (file.number() < 0 || fstat(file.number(), &status) != 0) return std::unexpected(Error{errno, {}});
  SecretFile found;
  found.readable_by_others = (status.st_mode & S_IROTH) != 0;
  // One byte more than a secret may have and a line end: what is too long is seen to be so, however long it is.
  std::array<char, limits::kMaxChapSecretBytes + 3> bytes{};
  const ssize_t count = read(file.number(), bytes.data(), bytes.size());
  if (count < 0) return std::unexpected(Error{errno, {}});
  found.content.assign(bytes.data(), static_cast<std::size_t>(count));
  return found;
}

std::optional<std::string> read_environment(const std::string& name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): at start-up, before threads
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

SecretSource SecretSource::system() {
  return {read_secret_file, read_environment};
}

std::expected<FoundSecret, Problem> secret_from_file(const SecretSource& source, const std::string& path) {
  Result<SecretFile> file = source.read_file(path);
  if (!file) {
    return std::unexpected(Problem{fmt::format("the secret file {} cannot be read: {}", path, file.error().text()),
                                   "check the path and that this user may read it"});
  }
  FoundSecret found;
  std::string_view content = file->content;
  if (content.ends_with('\n')) content.remove_suffix(1);
  if (content.ends_with('\r')) content.remove_suffix(1);
  found.secret = content;
  if (file->readable_by_others) {
    found.warning =
        Problem{fmt::format("other users may read the secret file {}", path), fmt::format("run: chmod 600 {}", path)};
  }
  if (auto problem = check_secret(found.secret, fmt::format("in {}", path))) return std::unexpected(*problem);
  return found;
}

std::expected<FoundSecret, Problem> secret_from_environment(const SecretSource& source, const std::string& name) {
  const auto value = source.environment(name);
  if (!value) {
    return std::unexpected(Problem{fmt::format("the environment variable {} is not set", name),
                                   "set it to the secret before the service starts"});
  }
  if (auto problem = check_secret(*value, fmt::format("in the environment variable {}", name))) {
    return std::unexpected(*problem);
  }
  return FoundSecret{*value, std::nullopt};
}

Verdict check_secret(std::string_view secret, std::string_view origin) {
  if (secret.size() < limits::kMinChapSecretBytes) {
    return Problem{fmt::format("the secret {} has {} bytes, fewer than the {} that RFC 7143 asks for", origin,
                               secret.size(), limits::kMinChapSecretBytes),
                   "choose a longer one, for example with: openssl rand -base64 15"};
  }
  if (secret.size() > limits::kMaxChapSecretBytes) {
    return Problem{fmt::format("the secret {} has more than {} bytes", origin, limits::kMaxChapSecretBytes),
                   "choose a shorter one"};
  }
  for (const char c : secret) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return Problem{fmt::format("the secret {} contains a control character or a line break", origin),
                     "a secret is one line of text"};
    }
  }
  return std::nullopt;
}

}  // namespace peerlane::admin
