// A directory that a test fills with files and links, like those of sysfs.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <stdlib.h>

#include "base/bytes.h"

namespace peerlane::pcie::testing {

class Tree {
 public:
  Tree() {
    std::string name = (std::filesystem::temp_directory_path() / "peerlane-tree-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) root_ = std::filesystem::canonical(name);
  }
  ~Tree() {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  std::string root() const { return root_.string(); }

  void file(const std::string& path, std::string_view text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  void file(const std::string& path, ByteView bytes) const { file(path, as_text(bytes)); }

  void directory(const std::string& path) const { std::filesystem::create_directories(root_ / path); }

  /// A relative link, as those of sysfs are.
  void link(const std::string& path, const std::string& target) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::filesystem::create_symlink(std::filesystem::relative(root_ / target, (root_ / path).parent_path()),
                                    root_ / path);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace peerlane::pcie::testing
