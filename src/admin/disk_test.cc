#include "admin/disk.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::admin {
namespace {

using ::testing::HasSubstr;

TEST(DiskArgument, NameAndDisk) {
  const struct {
    const char* text;
    const char* name;
    const char* disk;
  } cases[] = {
      {"/srv/a.img", "", "/srv/a.img"},
      {"data=/srv/a.img", "data", "/srv/a.img"},
      {"ram:4G", "", "ram:4G"},
      {"fast=ram:4G", "fast", "ram:4G"},
      {"./a=b.img", "", "./a=b.img"},
      {"/srv/a=b.img", "", "/srv/a=b.img"},
      {"=disk", "", "=disk"},
      {"a.b_c-1=x=y", "a.b_c-1", "x=y"},
      {"two words=x", "", "two words=x"},
      {"name=", "name", ""},
      {"", "", ""},
  };
  for (const auto& expected : cases) {
    const DiskArgument argument = parse_disk_argument(expected.text);
    EXPECT_EQ(argument.name, expected.name) << expected.text;
    EXPECT_EQ(argument.disk, expected.disk) << expected.text;
  }
}

target::LunDeclaration lun_of(const std::string& disk) {
  target::LunDeclaration lun;
  lun.disk = disk;
  return lun;
}

TEST(Disk, FormIsChecked) {
  for (const char* disk : {"/srv/a.img", "a.img", "ram:1G", "ram:512", "./ram:x", "/dev/disk/by-path/pci-0000:00"}) {
    EXPECT_FALSE(check_lun(lun_of(disk))) << disk;
  }
  for (const char* disk : {"", "ram:", "ram:x", "ram:0", "ram:511", "nbd:unix:/x", "rbd:pool/image", "iscsi://h/t/0"}) {
    EXPECT_TRUE(check_lun(lun_of(disk))) << disk;
  }
}

TEST(Disk, BlockSize) {
  target::LunDeclaration lun = lun_of("ram:2048");
  for (const unsigned size : {1u, 511u, 513u, 1024u, 8192u}) {
    lun.block_size = size;
    EXPECT_TRUE(check_lun(lun)) << size;
  }
  lun.block_size = 512;
  EXPECT_FALSE(check_lun(lun));
  lun.block_size = 4096;
  EXPECT_THAT(check_lun(lun)->what, HasSubstr("has no block of 4096"));
}

TEST(Disk, PhysicalBlockSize) {
  target::LunDeclaration lun = lun_of("ram:1M");
  for (const unsigned size : {1u, 511u, 1024u, 8192u}) {
    lun.physical_block_size = size;
    EXPECT_THAT(check_lun(lun)->what, HasSubstr("is not possible")) << size;
  }
  lun.physical_block_size = 4096;
  EXPECT_FALSE(check_lun(lun));
  lun.block_size = 4096;
  EXPECT_FALSE(check_lun(lun));
  lun.physical_block_size = 512;
  EXPECT_THAT(check_lun(lun)->what, HasSubstr("cannot hold a logical one"));
}

TEST(Disk, Name) {
  target::LunDeclaration lun = lun_of("ram:1M");
  lun.name = std::string(64, 'x');
  EXPECT_FALSE(check_lun(lun));
  lun.name += 'x';
  EXPECT_TRUE(check_lun(lun));
  lun.name = "a\nb";
  EXPECT_TRUE(check_lun(lun));
}

class DiskFile : public ::testing::Test {
 protected:
  DiskFile() {
    std::string pattern = ::testing::TempDir() + "peerlane-disk-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~DiskFile() override { std::filesystem::remove_all(directory_); }

  std::string make(const std::string& name, std::size_t size) const {
    const std::string path = directory_ / name;
    std::ofstream(path).close();
    std::filesystem::resize_file(path, size);
    return path;
  }

  std::filesystem::path directory_;
};

TEST_F(DiskFile, Exists) {
  EXPECT_FALSE(check_disk_exists(lun_of(make("good", 1 << 20))));
  EXPECT_FALSE(check_disk_exists(lun_of("ram:1G")));
  EXPECT_THAT(check_disk_exists(lun_of(directory_ / "none"))->remedy, HasSubstr("truncate"));
  EXPECT_TRUE(check_disk_exists(lun_of(directory_)));
}

TEST_F(DiskFile, TooSmall) {
  EXPECT_TRUE(check_disk_exists(lun_of(make("empty", 0))));
  EXPECT_TRUE(check_disk_exists(lun_of(make("small", 511))));
  EXPECT_FALSE(check_disk_exists(lun_of(make("one", 512))));
  target::LunDeclaration lun = lun_of(make("4k", 4095));
  lun.block_size = 4096;
  EXPECT_TRUE(check_disk_exists(lun));
}

}  // namespace
}  // namespace peerlane::admin
