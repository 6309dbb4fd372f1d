// MODE SENSE and MODE SELECT: what the pages say, what can be changed, what that does, and lists that are wrong.

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/mode.h"
#include "target/mode_pages.h"
#include "target/testing/fake_state_store.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;
using testing::repeated;
using Bytes = std::vector<std::uint8_t>;

enum class Control : unsigned { kCurrent = 0, kChangeable = 1, kDefault = 2, kSaved = 3 };

class ModeTest : public testing::UnitTest {
 protected:
  void start_cached(LogicalUnitOptions options = {}) {
    prepare();
    device->claims.volatile_cache = true;
    start(options);
  }
  LogicalUnitOptions kept() {
    LogicalUnitOptions options;
    options.state = &store;
    return options;
  }
  /// The unit anew, as after a restart.
  void restart(LogicalUnitOptions options) {
    other.reset();
    nexus.reset();
    start_cached(std::move(options));
    EXPECT_TRUE(unit->load_state());
  }
  void join_another() {
    other = unit->attach(view);
    while (other->attentions().take()) {
    }
  }

  Bytes answer(FakeCommand&& command) {
    expect_good(execute(command));
    return command.data_in();
  }
  Bytes mode_6(unsigned dbd, unsigned page, unsigned subpage) {
    return answer(FakeCommand({0x1a, dbd, page, subpage, 255, 0}, 255));
  }
  /// One page without header and block descriptor.
  Bytes page(unsigned code, Control control = Control::kCurrent, unsigned subpage = 0) {
    const Bytes data = mode_6(8, static_cast<unsigned>(control) << 6 | code, subpage);
    return Bytes(data.begin() + 4, data.end());
  }
  scsi::CachingPage caching(Control control = Control::kCurrent) {
    return scsi::decode_caching_page(page(0x08, control)).value();
  }
  scsi::ControlPage control(Control control = Control::kCurrent) {
    return scsi::decode_control_page(page(0x0a, control)).value();
  }

  /// MODE SELECT(6) with a header of zeroes before `pages`.
  Completion select_6(const Bytes& pages, unsigned flags = 0x10) {
    Bytes list(4);
    list.insert(list.end(), pages.begin(), pages.end());
    return select_list_6(list, flags);
  }
  Completion select_list_6(const Bytes& list, unsigned flags = 0x10) {
    FakeCommand command({0x15, flags, 0, 0, static_cast<unsigned>(list.size()), 0});
    return execute(command.sends(list));
  }
  Completion select_list_10(const Bytes& list, unsigned flags = 0x10) {
    const auto size = static_cast<unsigned>(list.size());
    FakeCommand command({0x55, flags, 0, 0, 0, 0, 0, size >> 8, size & 0xff, 0});
    return execute(command.sends(list));
  }
  Bytes caching_page(bool write_cache) {
    Bytes bytes = page(0x08);
    bytes[2] = write_cache ? 0x04 : 0x00;
    return bytes;
  }
  Bytes control_page(bool descriptor_sense, bool write_protect) {
    Bytes bytes = page(0x0a);
    bytes[2] = static_cast<std::uint8_t>((bytes[2] & ~0x04u) | (descriptor_sense ? 0x04 : 0));
    bytes[4] = write_protect ? 0x08 : 0x00;
    return bytes;
  }

  testing::FakeStateStore store;
  std::unique_ptr<ItlNexus> other;

  void TearDown() override { other.reset(); }
};

void expect_invalid_parameter(const Completion& completion, unsigned byte, std::optional<unsigned> bit) {
  expect_check(completion, SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
  ASSERT_TRUE(completion.sense && completion.sense->field);
  EXPECT_FALSE(completion.sense->field->in_cdb);
  EXPECT_EQ(completion.sense->field->byte, byte);
  ASSERT_EQ(completion.sense->field->bit.has_value(), bit.has_value());
  if (bit) {
    EXPECT_EQ(*completion.sense->field->bit, *bit);
  }
}

/// The codes of the pages after header and block descriptors.
std::vector<scsi::ModePageCode> codes_of(ByteView pages) {
  std::vector<scsi::ModePageCode> result;
  while (!pages.empty()) {
    const auto page = scsi::first_mode_page(pages);
    if (!page) {
      ADD_FAILURE() << "no page";
      break;
    }
    result.push_back(page->code);
    pages = pages.subspan(page->bytes.size());
  }
  return result;
}

const std::vector<scsi::ModePageCode> kPage0s{scsi::kReadWriteErrorRecoveryPage, scsi::kVerifyErrorRecoveryPage,
                                              scsi::kCachingPage, scsi::kControlPage,
                                              scsi::kInformationalExceptionsPage};
const std::vector<scsi::ModePageCode> kAll{
    scsi::kReadWriteErrorRecoveryPage, scsi::kVerifyErrorRecoveryPage,    scsi::kCachingPage, scsi::kControlPage,
    scsi::kControlExtensionPage,       scsi::kInformationalExceptionsPage};

// --- MODE SENSE ---

TEST_F(ModeTest, Sense6) {
  start();
  const auto all = mode_6(0, 0x3f, 0);
  const auto header = scsi::decode_mode_header6(all);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->data_length, all.size() - 1);
  EXPECT_TRUE(header->dpo_fua);
  EXPECT_FALSE(header->write_protected);
  EXPECT_EQ(header->block_descriptor_length, 8);
  EXPECT_EQ(scsi::decode_short_block_descriptor(ByteView(all).subspan(4)), (scsi::BlockDescriptor{{kBlocks}, 512}));
  EXPECT_EQ(codes_of(ByteView(all).subspan(12)), kPage0s);
  EXPECT_EQ(codes_of(ByteView(mode_6(0, 0x3f, 0xff)).subspan(12)), kAll);
  const auto without = mode_6(8, 0x3f, 0);
  EXPECT_EQ(scsi::decode_mode_header6(without)->block_descriptor_length, 0);
  EXPECT_EQ(codes_of(ByteView(without).subspan(4)), kPage0s);
  EXPECT_EQ(codes_of(page(0x08)), std::vector{scsi::kCachingPage});
  EXPECT_EQ(codes_of(page(0x0a, Control::kCurrent, 0x01)), std::vector{scsi::kControlExtensionPage});
  EXPECT_EQ(codes_of(page(0x0a, Control::kCurrent, 0xff)),
            (std::vector{scsi::kControlPage, scsi::kControlExtensionPage}));
}

TEST_F(ModeTest, Sense10) {
  start();
  const auto data = answer(FakeCommand({0x5a, 0x10, 0x3f, 0xff, 0, 0, 0, 1, 0, 0}, 256));
  const auto header = scsi::decode_mode_header10(data);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->data_length, data.size() - 2);
  EXPECT_TRUE(header->long_lba);
  EXPECT_EQ(header->block_descriptor_length, 16);
  EXPECT_EQ(scsi::decode_long_block_descriptor(ByteView(data).subspan(8)), (scsi::BlockDescriptor{{kBlocks}, 512}));
  EXPECT_EQ(codes_of(ByteView(data).subspan(24)), kAll);
  const auto short_form = answer(FakeCommand({0x5a, 0, 0x0a, 0, 0, 0, 0, 1, 0, 0}, 256));
  EXPECT_FALSE(scsi::decode_mode_header10(short_form)->long_lba);
  EXPECT_EQ(codes_of(ByteView(short_form).subspan(16)), std::vector{scsi::kControlPage});
  EXPECT_EQ(answer(FakeCommand({0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 7, 0}, 256)).size(), 7u);
}

TEST_F(ModeTest, PagesSayWhatTheUnitIs) {
  start();
  EXPECT_EQ(control().task_set_type, 1);
  EXPECT_TRUE(control().global_logging_disabled);
  EXPECT_TRUE(scsi::decode_control_extension_page(page(0x0a, Control::kCurrent, 1))->implicit_access_enabled);
  EXPECT_TRUE(scsi::decode_informational_exceptions_page(page(0x1c))->disabled);
  EXPECT_FALSE(caching().write_cache);
}

TEST_F(ModeTest, ChangeableIsAMaskOfWhatCanBeChangedAndNothingElse) {
  start_cached();
  Bytes wce(20), control_mask(12);
  wce[0] = 0x08, wce[1] = 18, wce[2] = 0x04;
  control_mask[0] = 0x0a, control_mask[1] = 10, control_mask[2] = 0x04, control_mask[4] = 0x08;
  EXPECT_EQ(page(0x08, Control::kChangeable), wce);
  EXPECT_EQ(page(0x0a, Control::kChangeable), control_mask);
  for (const auto& [code, subpage] : {std::pair{0x01u, 0u}, {0x07u, 0u}, {0x0au, 1u}, {0x1cu, 0u}}) {
    const Bytes mask = page(code, Control::kChangeable, subpage);
    const auto body = mask.begin() + (subpage != 0 ? 4 : 2);
    EXPECT_TRUE(std::all_of(body, mask.end(), [](std::uint8_t byte) { return byte == 0; })) << code;
  }
  other.reset();
  nexus.reset();
  prepare();
  start();  // no volatile cache
  EXPECT_FALSE(caching(Control::kChangeable).write_cache);
}

TEST_F(ModeTest, WithoutAPlaceForItNothingIsSaved) {
  start_cached();
  expect_check(execute(FakeCommand({0x1a, 0, 0xc8, 0, 255, 0}, 255)), SenseKey::kIllegalRequest,
               codes::kSavingParametersNotSupported);
  EXPECT_EQ(page(0x08)[0], 0x08);  // PS is 0
  expect_invalid_field(select_6(caching_page(false), 0x11), 1, 0);
  EXPECT_TRUE(caching().write_cache);
}

TEST_F(ModeTest, ReadOnlyAndWriteThroughShow) {
  LogicalUnitOptions options;
  options.read_only = true;
  options.write_through = true;
  start_cached(options);
  EXPECT_TRUE(scsi::decode_mode_header6(mode_6(8, 0x08, 0))->write_protected);
  EXPECT_FALSE(caching().write_cache);
  // The owner of the unit has decided that; an initiator cannot undo it.
  EXPECT_FALSE(caching(Control::kChangeable).write_cache);
  expect_invalid_parameter(select_6(caching_page(true)), 6, 2);
}

TEST_F(ModeTest, PagesThatDoNotExist) {
  start();
  expect_invalid_field(execute(FakeCommand({0x1a, 0, 0x02, 0, 255, 0}, 255)), 2, 5);
  expect_invalid_field(execute(FakeCommand({0x1a, 0, 0x02, 0xff, 255, 0}, 255)), 2, 5);
  expect_invalid_field(execute(FakeCommand({0x1a, 0, 0x0a, 0x02, 255, 0}, 255)), 3, std::nullopt);
  expect_invalid_field(execute(FakeCommand({0x1a, 0, 0x3f, 0x01, 255, 0}, 255)), 3, std::nullopt);
}

// --- MODE SELECT: what changes do ---

TEST_F(ModeTest, WithoutTheCacheEveryWriteIsDurableBeforeItsStatus) {
  start_cached();
  device->claims.fua = false;
  const auto write = [this] {
    device->log.clear();
    FakeCommand command({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
    expect_good(execute(command.sends(repeated(512, 1))));
    return device->log;
  };
  EXPECT_EQ(write(), (std::vector<std::string>{"write 0+512"}));
  device->log.clear();
  expect_good(select_6(caching_page(false)));
  EXPECT_EQ(device->log, (std::vector<std::string>{"flush"}));  // what was written before
  EXPECT_FALSE(caching().write_cache);
  EXPECT_TRUE(caching(Control::kDefault).write_cache);
  EXPECT_EQ(write(), (std::vector<std::string>{"write 0+512", "flush"}));
  device->log.clear();
  expect_good(select_6(caching_page(true)));
  EXPECT_TRUE(device->log.empty());
  EXPECT_EQ(write(), (std::vector<std::string>{"write 0+512"}));
}

TEST_F(ModeTest, AFlushThatFailsIsTold) {
  start_cached();
  device->flush_error = EIO;
  expect_check(select_6(caching_page(false)), SenseKey::kMediumError, codes::kWriteError);
  EXPECT_FALSE(caching().write_cache);  // from now on nobody is promised anything that does not hold
}

TEST_F(ModeTest, SoftwareWriteProtection) {
  start_cached();
  fill(0, 1, 0x55);
  expect_good(select_6(control_page(false, true)));
  EXPECT_EQ(device->log, (std::vector<std::string>{"flush"}));
  EXPECT_TRUE(control().software_write_protect);
  EXPECT_TRUE(scsi::decode_mode_header6(mode_6(8, 0x08, 0))->write_protected);
  FakeCommand write({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  expect_check(execute(write.sends(repeated(512, 1))), SenseKey::kDataProtect, codes::kSoftwareWriteProtected);
  FakeCommand unmap({0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0});
  expect_check(execute(unmap.sends(repeated(8, 0))), SenseKey::kDataProtect, codes::kSoftwareWriteProtected);
  expect_good(execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)));
  EXPECT_EQ(contents(0, 1), repeated(512, 0x55));
  expect_good(select_6(control_page(false, false)));
  FakeCommand again({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  expect_good(execute(again.sends(repeated(512, 1))));
}

TEST_F(ModeTest, DescriptorSense) {
  start();
  EXPECT_FALSE(unit->descriptor_sense());
  expect_good(select_6(control_page(true, false)));
  EXPECT_TRUE(unit->descriptor_sense());
  io::spawn(unit->reset(codes::kBusDeviceReset, nullptr));
  EXPECT_FALSE(unit->descriptor_sense());
}

TEST_F(ModeTest, OthersAreToldAndOnlyOfChanges) {
  start_cached();
  join_another();
  expect_good(select_6(caching_page(true)));
  EXPECT_FALSE(other->attentions().pending());
  expect_good(select_6(caching_page(false)));
  EXPECT_FALSE(nexus->attentions().pending());
  const auto attention = other->attentions().take();
  ASSERT_TRUE(attention);
  EXPECT_EQ(attention->code, codes::kModeParametersChanged);
}

TEST_F(ModeTest, SeveralPagesAndBothForms) {
  start_cached();
  Bytes list(8);
  for (const Bytes& bytes : {page(0x0a, Control::kCurrent, 1), caching_page(false), control_page(true, false)}) {
    list.insert(list.end(), bytes.begin(), bytes.end());
  }
  expect_good(select_list_10(list));
  EXPECT_FALSE(caching().write_cache);
  EXPECT_TRUE(control().descriptor_sense);
  // What MODE SENSE(6) returned, with block descriptor, PS and all, may be sent back as it is.
  Bytes back = mode_6(0, 0x3f, 0xff);
  back[0] = 0;
  expect_good(select_list_6(back));
  Bytes long_form = answer(FakeCommand({0x5a, 0x10, 0x3f, 0xff, 0, 0, 0, 1, 0, 0}, 256));
  expect_good(select_list_10(long_form));
}

TEST_F(ModeTest, AnEmptyListChangesNothing) {
  start_cached(kept());
  expect_good(select_list_6({}));
  expect_good(select_list_10({}));
  expect_good(select_list_6(Bytes(4)));
  expect_good(select_list_10(Bytes(8), 0));  // no page, so no PF is needed
  EXPECT_EQ(store.saves, 0u);
}

// --- Saving ---

TEST_F(ModeTest, SavedValuesSurviveAResetAndARestart) {
  start_cached(kept());
  EXPECT_EQ(page(0x08)[0], 0x88);  // PS
  EXPECT_EQ(page(0x1c)[0], 0x1c);
  EXPECT_TRUE(caching(Control::kSaved).write_cache);  // the default, as long as nothing is saved
  expect_good(select_6(caching_page(false), 0x11));
  expect_good(select_6(control_page(true, false)));  // not saved
  EXPECT_EQ(store.saves, 1u);
  EXPECT_FALSE(caching(Control::kSaved).write_cache);
  EXPECT_FALSE(control(Control::kSaved).descriptor_sense);
  io::spawn(unit->reset(codes::kBusDeviceReset, nexus.get()));
  EXPECT_FALSE(caching().write_cache);
  EXPECT_FALSE(control().descriptor_sense);

  restart(kept());
  EXPECT_FALSE(caching().write_cache);
  EXPECT_FALSE(caching(Control::kSaved).write_cache);
  EXPECT_TRUE(caching(Control::kDefault).write_cache);
}

TEST_F(ModeTest, AnotherUnitHasItsOwnValues) {
  start_cached(kept());
  expect_good(select_6(caching_page(false), 0x11));
  LogicalUnitOptions options = kept();
  options.lun = scsi::Lun{1};
  restart(options);
  EXPECT_TRUE(caching().write_cache);
}

TEST_F(ModeTest, WhatCannotBeSavedIsNotChanged) {
  start_cached(kept());
  store.save_error = ENOSPC;
  expect_check(select_6(caching_page(false), 0x11), SenseKey::kHardwareError, codes::kInternalTargetFailure);
  EXPECT_TRUE(caching().write_cache);
  EXPECT_TRUE(caching(Control::kSaved).write_cache);
}

TEST_F(ModeTest, TheConfigurationOutweighsWhatWasSaved) {
  start_cached(kept());
  expect_good(select_6(control_page(true, false), 0x11));  // saves WCE = 1 as well
  LogicalUnitOptions options = kept();
  options.write_through = true;
  restart(options);
  EXPECT_FALSE(caching().write_cache);
  EXPECT_TRUE(control().descriptor_sense);
}

TEST_F(ModeTest, DamagedStateIsAnErrorThatNamesIt) {
  start_cached(kept());
  expect_good(select_6(caching_page(false), 0x11));
  ASSERT_EQ(store.kept.size(), 1u);
  std::string& value = store.kept.begin()->second;
  for (const char* const damaged :
       {"", "{", "[]", "{}", R"({"version":2})", R"({"version":1,"write_cache":0})", R"({"version":"1"})"}) {
    value = damaged;
    const auto loaded = unit->load_state();
    ASSERT_FALSE(loaded) << damaged;
    EXPECT_NE(loaded.error().text().find(store.kept.begin()->first), std::string::npos);
  }
  value = R"({"version":1})";
  EXPECT_TRUE(unit->load_state());
  store.load_error = EIO;
  EXPECT_FALSE(unit->load_state());
}

TEST_F(ModeTest, OneChangeAtATime) {
  start_cached();
  const auto turn = unit->modes().changes().take();
  ASSERT_TRUE(turn);
  EXPECT_EQ(select_6(caching_page(false)).status, scsi::Status::kBusy);
  EXPECT_TRUE(caching().write_cache);
}

// --- MODE SELECT: lists that are wrong ---

TEST_F(ModeTest, EveryBitThatCannotBeChangedIsRefusedAndPointedAt) {
  start_cached();
  struct Case {
    unsigned code, subpage;
  };
  for (const Case& which : {Case{0x01, 0}, {0x07, 0}, {0x08, 0}, {0x0a, 0}, {0x0a, 1}, {0x1c, 0}}) {
    const Bytes now = page(which.code, Control::kCurrent, which.subpage);
    const Bytes mask = page(which.code, Control::kChangeable, which.subpage);
    for (std::size_t byte = which.subpage != 0 ? 4 : 2; byte < now.size(); ++byte) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        if ((mask[byte] >> bit & 1) != 0) continue;
        Bytes wrong = now;
        wrong[byte] = static_cast<std::uint8_t>(wrong[byte] ^ 1u << bit);
        expect_invalid_parameter(select_6(wrong), static_cast<unsigned>(4 + byte), bit);
      }
    }
    expect_good(select_6(now));
  }
}

TEST_F(ModeTest, NothingOfAListIsTakenIfAPartIsWrong) {
  start_cached();
  Bytes pages = caching_page(false);
  const Bytes unknown{0x19, 0x02, 0, 0};
  pages.insert(pages.end(), unknown.begin(), unknown.end());
  expect_invalid_parameter(select_6(pages), 4 + 20, 5);
  EXPECT_TRUE(caching().write_cache);
}

TEST_F(ModeTest, PagesOfAnotherShape) {
  start_cached();
  expect_invalid_parameter(select_6({0x0a, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}), 5,
                           std::nullopt);                                      // too short a control page
  expect_invalid_parameter(select_6({0x4a, 0x02, 0, 1, 0}), 5, std::nullopt);  // no such subpage
  expect_invalid_parameter(select_6({0x4a, 0x01, 0, 1, 0}), 6, std::nullopt);  // its length
  expect_invalid_parameter(select_6({0x3f, 0x00}), 4, 5);
  Bytes subpage_0 = control_page(true, false);  // sub_page format for subpage 0
  subpage_0[0] |= 0x40;
  EXPECT_EQ(select_6(subpage_0).status, scsi::Status::kCheckCondition);
  EXPECT_FALSE(control().descriptor_sense);
}

TEST_F(ModeTest, ListsThatEndTooEarly) {
  start_cached();
  const Bytes whole = caching_page(false);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    expect_check(select_6(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))),
                 SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  }
  for (std::size_t size = 1; size < 4; ++size) {
    expect_check(select_list_6(Bytes(size)), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  }
  expect_check(select_list_10(Bytes(7)), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  expect_check(select_list_6({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2}), SenseKey::kIllegalRequest,
               codes::kParameterListLengthError);
  EXPECT_TRUE(caching().write_cache);
}

TEST_F(ModeTest, HeadersAndBlockDescriptors) {
  start_cached();
  expect_invalid_parameter(select_list_6({0, 1, 0, 0}), 1, std::nullopt);  // MEDIUM TYPE
  expect_invalid_parameter(select_list_10({0, 0, 1, 0, 0, 0, 0, 0}), 2, std::nullopt);
  expect_good(select_list_6({0, 0, 0x90, 0}));  // WP and DPOFUA, as MODE SENSE returns them
  expect_invalid_parameter(select_list_6({0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 3,
                           std::nullopt);
  expect_invalid_parameter(select_list_10({0, 0, 0, 0, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0}), 6, std::nullopt);
  // Number of blocks: 0, all that there are, or what there are (10000h).
  expect_good(select_list_6({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0}));
  expect_good(select_list_6({0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 2, 0}));
  expect_good(select_list_6({0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0}));
  expect_invalid_parameter(select_list_6({0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 2, 0}), 4, std::nullopt);
  expect_invalid_parameter(select_list_6({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 16, 0}), 9, std::nullopt);
  Bytes long_form(24);
  long_form[4] = 1, long_form[7] = 16, long_form[22] = 16;  // blocks of 4096 bytes
  expect_invalid_parameter(select_list_10(long_form), 20, std::nullopt);
}

TEST_F(ModeTest, PagesNeedPageFormat) {
  start_cached();
  expect_invalid_field(select_6(caching_page(false), 0), 1, 4);
  EXPECT_TRUE(caching().write_cache);
}

TEST_F(ModeTest, DataThatDoNotComeOrAreAborted) {
  start_cached();
  FakeCommand less({0x15, 0x10, 0, 0, 24, 0});
  expect_check(execute(less.sends(repeated(12, 0))), SenseKey::kIllegalRequest,
               codes::kInvalidFieldInCommandInformationUnit);
  Bytes list(4);
  const Bytes bytes = caching_page(false);
  list.insert(list.end(), bytes.begin(), bytes.end());
  FakeCommand aborted({0x15, 0x10, 0, 0, 24, 0});
  execute(aborted.sends(list).aborted_after(0));
  EXPECT_TRUE(caching().write_cache);
}

TEST_F(ModeTest, RandomListsNeverDoHarm) {
  start_cached(kept());
  std::mt19937 random(1);
  const Bytes seed = mode_6(0, 0x3f, 0xff);
  for (unsigned round = 0; round < 2000; ++round) {
    Bytes list = seed;
    for (unsigned changes = random() % 4; changes > 0; --changes) {
      list[random() % list.size()] = static_cast<std::uint8_t>(random());
    }
    list.resize(random() % (list.size() + 1));
    const Completion done = random() % 2 == 0 ? select_list_6(list) : select_list_10(list);
    ASSERT_TRUE(done.status == scsi::Status::kGood || done.status == scsi::Status::kCheckCondition);
  }
  EXPECT_EQ(control().task_set_type, 1);
  EXPECT_EQ(store.saves, 0u);
}

TEST_F(ModeTest, PagesFitTheirBuffers) {
  for (const ModePage& page : mode_pages()) {
    Bytes out(1024, 0xee);
    const std::size_t size = page.encode({}, ModeContent::kValues, out);
    EXPECT_LE(size, kMostModePageBytes);
    EXPECT_EQ(out[size], 0xee);
    EXPECT_EQ(scsi::first_mode_page(out)->code, page.code);
  }
}

TEST_F(ModeTest, AResetThatSwitchesTheWriteCacheOffBringsDownWhatWasWritten) {
  start_cached(kept());
  expect_good(select_6(caching_page(false), 0x11));  // saved: off
  expect_good(select_6(caching_page(true)));
  device->log.clear();
  io::spawn(unit->reset(codes::kBusDeviceReset, nexus.get()));
  EXPECT_FALSE(unit->write_cache());
  EXPECT_EQ(device->log, std::vector<std::string>{"flush"});
  io::spawn(unit->reset(codes::kBusDeviceReset, nexus.get()));  // it was off
  EXPECT_EQ(device->log.size(), 1u);

  expect_good(select_6(caching_page(true)));
  device->flush_error = EIO;
  io::spawn(unit->reset(codes::kBusDeviceReset, nexus.get()));
  auto command = FakeCommand({0, 0, 0, 0, 0, 0});
  const Completion told = execute(command);
  ASSERT_TRUE(told.sense);
  EXPECT_TRUE(told.sense->deferred);
  EXPECT_EQ(told.sense->code, codes::kWriteError);
}

}  // namespace
}  // namespace peerlane::target
