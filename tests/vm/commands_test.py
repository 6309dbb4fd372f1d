#!/usr/bin/python3
"""sg3_utils asks a disk everything that it knows to ask, through Linux's own initiator and over two portals. What it
prints is checked, and what its commands leave on the disk.

  commands_test.py [CLASS[.TEST]]        one boot for all that are chosen
"""

import base64
import os
import pathlib
import re
import unittest

import environment
from machine import Machine
from open_iscsi import OpenIscsi, settle
from server import Server, parse_url

MIB = 1 << 20
SIZE = 64 * MIB
TARGET = "iqn.2026-11.test:commands"
CONFIGURATION = """
[[portal]]
listen = "127.0.0.1:0"
group = 1
[[portal]]
listen = "127.0.0.1:0"
group = 2
[[target]]
name = "{target}"
[[target.lun]]
disk = "disk.img"
[[target.lun]]
disk = "big_blocks.img"
block_size = 4096
[[target.lun]]
disk = "ram:16M"
"""

# Exit statuses of sg3_utils: sg3_utils(8), EXIT STATUS.
ILLEGAL_REQUEST, UNIT_ATTENTION, DATA_PROTECT, MISCOMPARE, OUT_OF_RANGE = 5, 6, 7, 14, 22
RESERVATION_CONFLICT, CONDITION_MET = 24, 25


class World:
    """What the tests share: one server with two portals, one guest, and its sessions with both."""

    guest = image = None
    # The first disk through each of the portals, the one with blocks of 4096 bytes and the one in memory, by their
    # generic devices: udev looks at a block device each time when somebody has closed it, and gets its unit attentions.
    disk = other = big = memory = ""
    names = ()  # the block devices of the first two


def setUpModule():
    directory = pathlib.Path(unittest.enterModuleContext(environment.scratch()))
    World.image = directory / "disk.img"
    for image in (World.image, directory / "big_blocks.img"):
        with open(image, "wb") as file:
            file.truncate(SIZE)
    configuration = directory / "peerlane.toml"
    configuration.write_text(CONFIGURATION.format(target=TARGET))
    server = unittest.enterModuleContext(Server(config=configuration, luns=6,
                                                env={"STATE_DIRECTORY": str(directory / "state")}))
    World.guest = unittest.enterModuleContext(Machine())
    initiator = OpenIscsi(World.guest)
    ports = dict.fromkeys(parse_url(url)[1] for url in server.urls)
    first, second = (initiator.log_in(TARGET, port) for port in ports)
    World.names = (first.disk(0), second.disk(0))
    World.disk, World.other, World.big, World.memory = map(generic, (*World.names, first.disk(1), first.disk(2)))


def generic(disk):
    """The generic device of a disk."""
    return "/dev/" + World.guest.run(f"ls /sys/block/{disk.removeprefix('/dev/')}/device/scsi_generic").strip()


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.disk, self.other, self.big = World.disk, World.other, World.big
        # Unit attentions that an earlier test has left are no part of this one, nor what udev asks because of them.
        settle(World.guest)
        for disk in (self.disk, self.other, self.big):
            self.sg(f"sg_turs --num=8 {disk}", status=None)

    def sg(self, command, status=0, timeout=60):
        """Runs commands in the guest, and checks how they end."""
        ended, output = World.guest.run(command, timeout, check=False)
        if status is not None:
            self.assertEqual(status, ended, f"{command}\n{output}")
        return output

    def file(self, name, data):
        """A file in the guest."""
        World.guest.run(f"echo {base64.b64encode(data).decode()} | base64 -d > {name}")
        return name

    def write(self, block, data):
        """Writes whole blocks of 512 bytes to the first disk, past every cache of the guest."""
        source = self.file("/tmp/data", data)
        self.sg(f"sg_dd if={source} of={self.disk} oflag=sgio,fua bs=512 seek={block} count={len(data) // 512}")

    def on_disk(self, block, count=1):
        """What the host's file has there."""
        with open(World.image, "rb") as file:
            return os.pread(file.fileno(), count * 512, block * 512)


class IdentityTest(CommandTest):
    def test_inquiry(self):
        text = self.sg(f"sg_inq {self.disk}")
        for expected in ("PQual=0  PDT=0  RMB=0", "[SPC-4]", "TPGS=3", "CmdQue=1", "NormACA=1", "HiSUP=1",
                         "Vendor identification: PEERLANE", "Unit serial number: "):
            self.assertIn(expected, text)
        self.assertIn("TPGS=3", self.sg(f"sg_inq {self.other}"))

    def test_luns(self):
        self.assertRegex(self.sg(f"sg_luns {self.disk}"), r"3 lun entries(?s:.*)0{16}\n *0001000000000000\n")
        self.assertRegex(self.sg(f"sg_luns -s 1 {self.disk}"), r"1 lun entry(?s:.*)c101000000000000")
        self.assertRegex(self.sg(f"sg_luns -s 2 {self.disk}"), "4 lun entries")

    def test_vital_product_data(self):
        names = re.findall(r"\[(\w+)\]$", self.sg(f"sg_vpd {self.disk}"), re.M)
        self.assertLessEqual({"sv", "sn", "di", "ei", "mpp", "sp", "bl", "bdc", "lbpv"}, set(names))
        for name in names:
            text = self.sg(f"sg_vpd --page={name} {self.disk}")
            self.assertNotRegex(text, "(?i)unknown|malformed|too short|invalid|bad", name)
        limits = self.sg(f"sg_vpd --page=bl {self.disk}")
        self.assertRegex(limits, "Maximum compare and write length: [1-9]")
        self.assertRegex(limits, "Maximum unmap LBA count: [1-9]")
        self.assertRegex(self.sg(f"sg_vpd --page=lbpv {self.disk}"), r"(?s)LBPU\): 1.*LBPRZ\): 1.*thin provisioned")
        extended = self.sg(f"sg_vpd --page=ei {self.disk}")
        self.assertRegex(extended, "SIMPSUP=1")
        # What is not there is refused.
        self.sg(f"sg_vpd --force --page=0xc0 {self.disk}", ILLEGAL_REQUEST)

    def test_two_paths_to_one_unit(self):
        first, second = (self.sg(f"sg_vpd --page=di {disk}") for disk in (self.disk, self.other))
        unit = r"(?s)Addressed logical unit:.*?(?=  Target port:)"
        self.assertEqual(re.search(unit, first)[0], re.search(unit, second)[0])
        self.assertIn("designator type: NAA", first)
        for number, text in ((1, first), (2, second)):
            self.assertIn(f"Relative target port: 0x{number}", text)
            self.assertIn(f"Target port group: 0x{number}", text)
            self.assertIn(f"{TARGET},t,0x000{number}", text)
        # udev, by sg3_utils' rules and scsi_id, takes both for the same disk.
        serials = {self.sg(f"udevadm info --query=property --property=ID_SERIAL {disk}") for disk in World.names}
        self.assertEqual(1, len(serials), serials)
        ports = self.sg(f"sg_vpd --page=sp {self.disk}")
        for number in (1, 2):
            self.assertIn(f"{TARGET},t,0x000{number}", ports)

    def test_capacity(self):
        for disk, size in ((self.disk, 512), (self.big, 4096)):
            for option in ("", "--long"):
                text = self.sg(f"sg_readcap {option} {disk}")
                self.assertIn(f"Number of logical blocks={SIZE // size}", text)
                self.assertIn(f"Logical block length={size} bytes", text)
        self.assertIn("lbpme=1, lbprz=1", self.sg(f"sg_readcap --long {self.disk}"))

    def test_sense_data(self):
        self.assertRegex(self.sg(f"sg_requests {self.disk}"), "(?s)Fixed format.*No Sense")
        self.assertRegex(self.sg(f"sg_requests --desc {self.disk}"), "(?s)Descriptor format.*No Sense")


class PagesTest(CommandTest):
    def test_mode_pages_of_every_kind(self):
        for control, kind in enumerate(("current", "changeable", "default", "saved")):
            for option in ("", "-6"):
                text = self.sg(f"sg_modes {option} --all --control={control} {self.disk}")
                for name in ("Caching", "Control", "Informational exceptions control", "Read-Write error recovery"):
                    self.assertIn(f">> {name}, page_control: {kind}", text)

    def test_mode_select(self):
        """WCE off by one path: the other is told, and everybody sees it."""
        World.guest.expect_in_kernel_log("Mode parameters changed")
        before = self.page("8", self.disk)
        self.assertTrue(before[2] & 0x04)
        self.addCleanup(self.select, before)
        self.select(before[:2] + bytes([before[2] & ~0x04]) + before[3:])
        self.assertIn("Mode parameters changed", self.sg(f"sg_turs {self.other}", UNIT_ATTENTION))
        for disk in (self.disk, self.other):
            self.assertFalse(self.page("8", disk)[2] & 0x04)

    def test_software_write_protection(self):
        before = self.page("0xa", self.disk)
        self.addCleanup(self.select, before)
        self.select(before[:4] + bytes([before[4] | 0x08]) + before[5:])
        self.sg(f"sg_turs --num=2 {self.other}", status=None)
        self.assertIn("WP=1", self.sg(f"sg_modes {self.disk}"))
        self.sg(f"sg_write_same --lba=8 --num=8 {self.disk}", DATA_PROTECT)
        self.select(before)
        self.sg(f"sg_write_same --lba=8 --num=8 {self.disk}")

    def page(self, number, disk):
        """A mode page's bytes: what follows a header of eight, with PS as MODE SELECT wants it."""
        page = bytes.fromhex(self.sg(f"sg_modes --dbd --page={number} --raw {disk} | xxd -p"))[8:]
        return bytes([page[0] & 0x7F]) + page[1:]

    def select(self, page):
        contents = ",".join(f"{byte:02x}" for byte in page)
        self.sg(f"sg_wr_mode --page={page[0] & 0x3F:#x} --contents={contents} {self.disk}")

    def test_log_pages(self):
        names = self.sg(f"sg_logs --list {self.disk}")
        self.assertIn("0x00", names)
        # The last one is our own: sg_logs shows its bytes.
        text, found, _ = self.sg(f"sg_logs --All {self.disk}").partition("Unable to decode page = 0x36")
        self.assertTrue(found)
        self.assertNotRegex(text, "(?i)unable to decode|malformed|truncated|bad")
        before = self.counted_reads()
        self.sg(f"sg_dd if={self.disk} iflag=sgio of=/dev/null bs=512 bpt=8 count=800")
        self.assertGreaterEqual(self.counted_reads(), before + 100)

    def counted_reads(self):
        """READ commands in the page of general statistics and performance."""
        return int(re.search(r"number of read commands = (\d+)", self.sg(f"sg_logs --page=0x19 {self.disk}"))[1])

    def test_operation_codes(self):
        listing = self.sg(f"sg_opcodes {self.disk}")
        for name in ("Test Unit Ready", "Compare and write", "Get LBA status", "Persistent reserve in, read keys",
                     "Unmap", "Sanitize, overwrite", "Report target port groups", "Log sense", "Mode select(10)"):
            self.assertIn(name.lower(), listing.lower())
        self.assertNotIn("unknown", listing.lower())
        self.assertRegex(self.sg(f"sg_opcodes --rctd {self.disk}"), r"(?m)^ 28 +10 +[1-9]\d* +[1-9]\d* +Read\(10\)")
        masks = self.sg(f"sg_opcodes --mask {self.disk}")
        self.assertRegex(masks, r"(?i)cdb usage: 28 ")
        # Commands with CDBs of 32 bytes are not in the list, which libiscsi could not read then, but can be asked for.
        for command in ("0x9e,0x10", "0x7f,0xd"):
            text = self.sg(f"sg_opcodes --opcode={command} {self.disk}")
            self.assertIn("conforming to SCSI standard", text)
        self.assertNotIn("conforming", self.sg(f"sg_opcodes --opcode=0x7f,0xe {self.disk}"))
        functions = self.sg(f"sg_opcodes --tmf --repd {self.disk}")
        for name in ("Abort task", "Logical unit reset", "Query task"):
            self.assertRegex(functions, f"(?i){name}")

    def test_diagnostics_and_what_disks_remember(self):
        self.sg(f"sg_senddiag --test {self.disk}")
        self.sg(f"sg_senddiag --list {self.disk}")
        self.sg(f"sg_prevent {self.disk}; sg_prevent --allow {self.disk}")
        self.sg(f"sg_start --stop {self.disk}; sg_start --start {self.disk}")
        self.sg(f"echo -n 'rack 7' | sg_ident --set {self.disk}")
        World.guest.expect_in_kernel_log("Operating parameters on this target have changed")
        self.assertIn("identifier changed", self.sg(f"sg_turs {self.other}", UNIT_ATTENTION))
        self.assertIn("rack 7", self.sg(f"sg_ident --ascii {self.other}"))
        self.sg(f"sg_ident --clear {self.disk}")
        self.sg(f"sg_timestamp --seconds=1700000000 {self.disk}")
        reported = int(self.sg(f"sg_timestamp --srep {self.disk}").split()[-1])
        self.assertTrue(1700000000 <= reported < 1700000060, reported)


class DataTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.data = os.urandom(16 * 512)
        self.write(64, self.data)
        self.assertEqual(self.data, self.on_disk(64, 16))

    def test_verify(self):
        source = self.file("/tmp/expected", self.data)
        wrong = self.file("/tmp/wrong", self.data[:-1] + bytes([self.data[-1] ^ 1]))
        repeated = self.file("/tmp/repeated", bytes(512))
        for option in ("", "--16"):
            with self.subTest(option):
                self.sg(f"sg_verify {option} --lba=64 --count=16 {self.disk}")
                compare = f"sg_verify {option} --lba=64 --count=16 --ndo=8192"
                self.sg(f"{compare} --in={source} {self.disk}")
                text = self.sg(f"{compare} --in={wrong} {self.disk}", MISCOMPARE)
                self.assertIn("Miscompare", text)
                self.sg(f"sg_verify {option} --lba=64 --count=16 --ebytchk=3 --ndo=512 --in={repeated} {self.disk}",
                        MISCOMPARE)
        self.sg(f"sg_verify --lba={SIZE // 512} --count=1 {self.disk}", OUT_OF_RANGE)

    def test_write_and_verify(self):
        for option in ("", "--16"):
            data = os.urandom(16 * 512)
            source = self.file("/tmp/new", data)
            self.sg(f"sg_write_verify {option} --lba=64 --num=16 --bytchk=1 --in={source} {self.disk}")
            self.assertEqual(data, self.on_disk(64, 16))

    def test_unmap(self):
        blocks = World.image.stat().st_blocks
        self.sg(f"sg_unmap --force --lba=64 --num=16 {self.disk}")
        self.assertEqual(bytes(16 * 512), self.on_disk(64, 16))
        self.assertLess(World.image.stat().st_blocks, blocks)
        for option in ("--16", "--32"):
            self.assertRegex(self.sg(f"sg_get_lba_status {option} --lba=64 {self.disk}"),
                             r"LBA: 0x0*40  blocks: +\d+  deallocated")
        # Nothing to unmap is not an error.
        self.sg(f"sg_unmap --force --lba=64 --num=0 {self.disk}")
        self.sg(f"sg_unmap --force --lba={SIZE // 512} --num=1 {self.disk}", OUT_OF_RANGE)

    def test_allocation(self):
        first, second = (r"\[1\] LBA: 0x0*40  blocks: +16  mapped", r"\[2\] LBA: 0x0*50  blocks: +\d+  deallocated")
        self.sg(f"sg_unmap --force --lba=80 --num=1024 {self.disk}")
        self.assertRegex(self.sg(f"sg_get_lba_status --maxlen=64 --lba=64 {self.disk}"), f"{first}(?s:.*){second}")

    def test_write_same(self):
        for option in ("--10", "--16", "--32"):
            with self.subTest(option):
                pattern = os.urandom(512)
                source = self.file("/tmp/pattern", pattern)
                self.sg(f"sg_write_same {option} --lba=64 --num=16 --in={source} --xferlen=512 {self.disk}")
                self.assertEqual(pattern * 16, self.on_disk(64, 16))
                self.sg(f"sg_write_same {option} --unmap --lba=72 --num=8 {self.disk}")
                self.assertEqual(pattern * 8 + bytes(8 * 512), self.on_disk(64, 16))
        for option in ("--16", "--32"):
            with self.subTest(option, ndob=True):
                self.write(64, self.data)
                self.sg(f"sg_write_same {option} --ndob --lba=64 --num=8 {self.disk}")
                self.assertEqual(bytes(8 * 512) + self.data[8 * 512:], self.on_disk(64, 16))

    def test_compare_and_write(self):
        new = os.urandom(512)
        both = self.file("/tmp/both", self.data[:512] + new)
        self.sg(f"sg_compare_and_write --in={both} --lba=64 --num=1 {self.disk}")
        self.assertEqual(new + self.data[512:], self.on_disk(64, 16))
        text = self.sg(f"sg_compare_and_write --in={both} --lba=64 --num=1 {self.disk}", MISCOMPARE)
        self.assertIn("iscompare", text)
        self.assertEqual(new + self.data[512:], self.on_disk(64, 16), "a miscompare writes nothing")

    def test_or_and_atomic_writes(self):
        source = self.file("/tmp/bits", bytes([0x0F]) * 512)
        self.sg(f"sg_write_x --or --lba=64 --num=1 --in={source} {self.disk}")
        self.assertEqual(bytes(byte | 0x0F for byte in self.data[:512]), self.on_disk(64))
        source = self.file("/tmp/atomic", self.data[:8 * 512])
        # A file cannot promise to take a write as a whole or not at all; memory can.
        self.assertRegex(self.sg(f"sg_vpd --page=bl {World.memory}"), "Maximum atomic transfer length: [1-9]")
        self.sg(f"sg_write_x --atomic=0 --lba=72 --num=8 --in={source} {World.memory}")
        self.sg(f"sg_verify --lba=72 --count=8 --ndo=4096 --in={source} {World.memory}")
        self.sg(f"sg_write_x --normal --32 --lba=64 --num=8 --in={source} {self.disk}")
        self.assertEqual(self.data[:8 * 512], self.on_disk(64, 8))

    def test_caches(self):
        for command in ("sg_sync", "sg_sync --16", "sg_sync --immed", "sg_sync --lba=64 --count=16"):
            self.sg(f"{command} {self.disk}")
        for option in ("--10", "", "--immed"):
            self.assertIn(World.guest.run(f"sg_seek --pre-fetch {option} --lba=64 --num-blocks=16 {self.disk}",
                                          check=False)[0], (0, CONDITION_MET))

    def test_resets(self):
        World.guest.expect_in_kernel_log("iscsi session|session.*reset|Power-on")
        for option in ("--device", "--target"):
            self.sg(f"sg_reset --no-esc {option} {self.disk}")
            self.assertRegex(self.sg(f"sg_turs {self.other}", UNIT_ATTENTION), "reset.* occurred")
            self.sg(f"sg_turs --num=2 {self.disk}", status=None)
        self.assertEqual(self.data, self.on_disk(64, 16))

    def test_sanitize(self):
        for option in ("--overwrite --zero", "--block"):
            self.write(64, self.data)
            self.sg(f"sg_sanitize --quick --wait {option} {self.disk}", timeout=120)
            self.assertEqual(bytes(16 * 512), self.on_disk(64, 16))
        pattern = os.urandom(4)
        source = self.file("/tmp/pattern", pattern)
        self.sg(f"sg_sanitize --quick --early --overwrite --pattern={source} --ipl=4 {self.disk}")
        World.guest.wait_until(f"sg_turs {self.disk}", 120)
        self.assertEqual(pattern * 128 * 16, self.on_disk(64, 16))
        self.sg(f"sg_turs {self.other}", status=None)


class PortsTest(CommandTest):
    def test_port_groups(self):
        for option in ("", "--extended"):
            text = self.sg(f"sg_rtpg --decode {option} {self.disk}")
            for number in (1, 2):
                self.assertRegex(text, rf"target port group id : 0x{number} , Pref=\d, Rtpg_fmt=\d")
                self.assertRegex(text, rf"(?m)Relative target port ids:\n(?:.*\n)*? +0x0?{number}")
            self.assertEqual(2, text.count("active/optimized (0x0") or text.count("active/optimized"))

    def test_a_group_in_standby(self):
        # udev looks at a disk whose state has changed, and cannot read it.
        World.guest.expect_in_kernel_log("Asymmetric access state changed", "I/O error, dev sd", "Buffer I/O error")
        self.addCleanup(self.sg, f"sg_stpg --tp=2 --state=ao {self.disk}")
        self.sg(f"sg_stpg --tp=2 --state=s {self.disk}")
        self.assertIn("access state changed", self.sg(f"sg_turs {self.other}", UNIT_ATTENTION))
        self.assertRegex(self.sg(f"sg_rtpg --decode {self.other}"), "standby")
        self.assertRegex(self.sg(f"sg_turs -v {self.other}", status=2), "standby")
        self.sg(f"sg_turs {self.disk}")
        # Who waits there may look, and may change it back.
        self.sg(f"sg_inq {self.other}")
        self.sg(f"sg_stpg --tp=2 --state=ao {self.other}")
        self.sg(f"sg_turs --num=2 {self.other}", status=None)
        self.sg(f"sg_turs {self.other}")


class ReservationTest(CommandTest):
    """Two nexuses: the guest through one portal, and through the other."""

    FIRST, SECOND = "0xa1", "0xb2"

    def setUp(self):
        super().setUp()
        World.guest.expect_in_kernel_log("Parameters changed")
        self.register(self.disk, self.FIRST)
        self.register(self.other, self.SECOND)
        self.addCleanup(self.end)

    def end(self):
        self.register(self.disk, self.FIRST)
        self.out(self.disk, f"--clear --param-rk={self.FIRST}")
        self.sg(f"sg_turs --num=4 {self.other}", status=None)

    def out(self, disk, arguments, status=0):
        return self.sg(f"sg_persist --no-inquiry --out {arguments} {disk}", status)

    def read(self, arguments, disk=None):
        return self.sg(f"sg_persist --no-inquiry --in {arguments} {disk or self.disk}")

    def register(self, disk, key):
        self.out(disk, f"--register-ignore --param-sark={key}")

    def test_keys_and_capabilities(self):
        self.assertRegex(self.read("--read-keys"), "(?s)2 registered reservation keys follow:.*0xa1.*0xb2")
        text = self.read("--report-capabilities")
        for expected in ("Compatible Reservation Handling", "All Target Ports Capable(ATP_C): 1",
                         "Persist Through Power Loss Capable(PTPL_C): 1", "Type Mask Valid(TMV): 1",
                         "Write Exclusive, all registrants: 1", "Exclusive Access: 1"):
            self.assertIn(expected.replace(" ", ""), text.replace(" ", ""))
        self.assertIn("NO reservation held", self.read("--read-reservation"))
        # A wrong key changes nothing.
        self.out(self.disk, "--register --param-rk=0x1234 --param-sark=0x5678", RESERVATION_CONFLICT)
        self.out(self.disk, f"--register --param-rk={self.FIRST} --param-sark=0x77")
        self.assertRegex(self.read("--read-keys"), "0x77")
        self.register(self.disk, self.FIRST)

    def test_write_exclusive(self):
        self.out(self.disk, f"--reserve --param-rk={self.FIRST} --prout-type=1")
        self.assertRegex(self.read("--read-reservation", self.other),
                         "(?s)Key=0xa1.*scope: LU_SCOPE,  type: Write Exclusive")
        full = self.read("--read-full-status")
        self.assertRegex(full, "(?s)Key=0xa1.*Relative port address: 0x1.*<< Reservation holder >>.*,i,0x00023d")
        self.assertRegex(full, "(?s)Key=0xb2.*Relative port address: 0x2.*not reservation holder.*,i,0x00023d")
        # The one writes, the other reads.
        self.sg(f"sg_write_same --lba=0 --num=8 {self.disk}")
        self.sg(f"sg_write_same --lba=0 --num=8 {self.other}", RESERVATION_CONFLICT)
        self.sg(f"sg_dd if={self.other} iflag=sgio of=/dev/null bs=512 count=8")
        self.out(self.other, f"--reserve --param-rk={self.SECOND} --prout-type=1", RESERVATION_CONFLICT)
        self.out(self.disk, f"--release --param-rk={self.FIRST} --prout-type=1")
        self.assertIn("NO reservation held", self.read("--read-reservation"))
        self.sg(f"sg_write_same --lba=0 --num=8 {self.other}")

    def test_exclusive_access_of_registrants(self):
        self.out(self.disk, f"--reserve --param-rk={self.FIRST} --prout-type=6")
        self.sg(f"sg_dd if={self.other} iflag=sgio of=/dev/null bs=512 count=8")
        self.out(self.other, f"--register --param-rk={self.SECOND} --param-sark=0")
        self.sg(f"sg_verify --lba=0 --count=8 {self.other}", RESERVATION_CONFLICT)
        self.out(self.disk, f"--release --param-rk={self.FIRST} --prout-type=6")

    def test_preempt(self):
        for action in ("--preempt", "--preempt-abort"):
            with self.subTest(action):
                self.out(self.disk, f"--reserve --param-rk={self.FIRST} --prout-type=3")
                self.out(self.other, f"{action} --param-rk={self.SECOND} --param-sark={self.FIRST} --prout-type=3")
                self.assertRegex(self.read("--read-reservation", self.other), "(?s)Key=0xb2.*type: Exclusive Access")
                self.assertRegex(self.sg(f"sg_turs {self.disk}", UNIT_ATTENTION), "[Pp]reempted")
                self.assertIn("1 registered reservation key", self.read("--read-keys"))
                self.sg(f"sg_write_same --lba=0 --num=8 {self.disk}", RESERVATION_CONFLICT)
                self.out(self.other, f"--release --param-rk={self.SECOND} --prout-type=3")
                self.register(self.disk, self.FIRST)

    def test_clear(self):
        self.out(self.disk, f"--reserve --param-rk={self.FIRST} --prout-type=5")
        self.out(self.other, f"--clear --param-rk={self.SECOND}")
        self.assertRegex(self.sg(f"sg_turs {self.disk}", UNIT_ATTENTION), "[Pp]reempted")
        self.assertRegex(self.read("--read-keys"), "(?i)there are NO registered reservation keys")
        self.assertIn("NO reservation held", self.read("--read-reservation"))


if __name__ == "__main__":
    unittest.main()
