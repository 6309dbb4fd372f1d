#!/usr/bin/python3
"""Direct copies between the disks of a guest, by Linux's own peer-to-peer DMA. That data went over the bus is not taken
from what Peerlane says: QEMU's trace shows where the data of each command lay.

A class is a guest; its tests use it one after the other."""

import json
import pathlib
import struct
import time
import unittest

import environment
import nfs_server
import pci_lab
from direct_copies import KIB, MIB, PEER_MEMORY_USER, PROBE, Copies, fill
from pci_lab import PASS_THROUGH, ROOT, SHARED, TRANSLATE, Disk, Lab
from server import SANITIZER_REPORTS

SIZE = 16 * MIB  # of what is copied, if nothing else is said


class DirectCopyTest(unittest.TestCase):
    """A guest, and directories for its disks' contents."""

    disks = ()
    options = {}
    expected_in_kernel_log = ()

    @classmethod
    def setUpClass(cls):
        cls.images = pathlib.Path(cls.enterClassContext(environment.memory_scratch()))
        cls.prepare()
        cls.guest = cls.enterClassContext(Lab(cls.disks, images=cls.images, programs=(PEER_MEMORY_USER,),
                                              **cls.options))
        cls.guest.expect_in_kernel_log(*cls.expected_in_kernel_log)

    @classmethod
    def prepare(cls):
        """Fills disks before the guest has them: A, of which the others are copies."""
        cls.fill("A")

    @classmethod
    def fill(cls, name, length=SIZE, offset=0):
        size = next(disk.namespaces[0] for disk in cls.disks if disk.name == name) * MIB
        fill(pci_lab.image(cls.images, name), size, length, offset)

    def setUp(self):
        self.copies = Copies(self, self.guest)
        self.guest.audit.mark()

    def address(self, name):
        return self.guest.disk(name).address

    def through(self, name):
        return f"through the memory of {self.address(name)}"

    def start(self, command):
        """Starts a program in the background of the guest; its process."""
        job = self.guest.start(f"{command} & echo $!; wait")
        return self.guest.wait_until(f"grep -m1 . {job}.output").strip()

    def wiped(self, *names):
        for name in names:
            said = self.guest.run(f"peer_memory_user zero {self.address(name)}", check=False)[1]
            self.assertRegex(said, "^zero, [1-9]", name)


class SwitchTest(DirectCopyTest):
    """A and B behind one switch with buffers, B with the smallest that Linux takes, D there without one, C elsewhere; E
    and F below a port that redirects."""

    disks = (Disk("A", buffer=8, namespaces=(32,)), Disk("B", buffer=2, namespaces=(32,)),
             Disk("C", ROOT, namespaces=(32,)), Disk("D", namespaces=(32, 32), options=",mssrl=256,mcl=1024,msrc=7"),
             Disk("E", SHARED, buffer=8, namespaces=(32,)), Disk("F", SHARED, buffer=8, namespaces=(32,)),
             Disk("G", namespaces=(32,), options=",logical_block_size=4096,physical_block_size=4096"),
             # Protection information with guards of 16 and 64 bits; other metadata besides.
             Disk("P", ROOT, namespaces=(32,), options=",ms=8,pi=1,mssrl=64,mcl=256,msrc=7"),
             Disk("Q", ROOT, namespaces=(32,), options=",ms=16,pi=1,pif=2,mssrl=64,mcl=256,msrc=7"),
             Disk("R", ROOT, namespaces=(32,), options=",ms=16,pi=1"),
             Disk("S", namespaces=(32,), rate=4, options=",mssrl=256,mcl=1024,msrc=7"))
    options = {"redirect": True}
    # What is read of P and Q with the wrong protection information.
    expected_in_kernel_log = (r"nvme\d+n\d+: I/O Cmd.* I/O Error [(]sct 0x2 / sc 0x8[24][)]",
                              "protection error, dev nvme")

    MOVED, CHANGED = 24 * MIB, 28 * MIB  # what is wrong on P and Q

    @classmethod
    def prepare(cls):
        super().prepare()
        # Of 16 bits the guard of zeroes is 0, and any other one is wrong. Reference tags are blocks.
        cls.protect("P", cls.MOVED, lambda block: struct.pack(">HHI", 0, 0, block + 1))
        cls.protect("P", cls.CHANGED, lambda block: struct.pack(">HHI", 1, 0, block))
        cls.protect("Q", cls.CHANGED, lambda block: struct.pack(">QQ", 1, block))

    @classmethod
    def protect(cls, name, offset, information, size=32 * MIB):
        """Writes zeroes to a disk, with protection information, which QEMU keeps behind all data."""
        first = offset // 512
        behind = b"".join(information(block) for block in range(first, first + MIB // 512))
        metadata = len(information(0))
        with open(pci_lab.image(cls.images, name), "ab") as file:
            file.truncate(size)
        with open(pci_lab.image(cls.images, name), "r+b") as file:
            file.seek(offset)
            file.write(bytes(MIB))
            file.seek(size // (512 + metadata) * 512 + first * metadata)
            file.write(behind)

    def test_over_the_bus(self):
        result = self.copies.run("A", "B", f"--length {SIZE}", "--only peer-to-peer")
        self.copies.over_the_bus(result, SIZE)
        self.assertIn(result["through"], (self.through("A"), self.through("B")))
        self.assertEqual([], self.copies.exposed("A", "B", SIZE))
        self.copies.stable("B")
        self.copies.same("A", "B", SIZE)
        self.wiped("A", "B")

    def test_the_proof_fails_for_host_memory(self):
        result = self.copies.run("A", "B", f"--length {SIZE}", "--only host-memory")
        self.copies.went(result, host_memory=SIZE)
        exposed = self.copies.exposed("A", "B", SIZE)
        self.assertLessEqual(2 * SIZE - PROBE, sum(transfer.length for transfer in exposed))

    def test_the_proof_fails_for_one_block(self):
        """What fills no page goes through host memory, and is all that the proof finds."""
        whole, length = 4 * MIB, 4 * MIB + 512
        result = self.copies.run("A", "B", f"--length {length}")
        self.copies.went(result, peer_to_peer=whole, host_memory=512)
        exposed = self.copies.exposed("A", "B", length)
        self.assertEqual([("A", "read", whole), ("B", "write", whole)],
                         sorted((transfer.disk, transfer.operation, transfer.offset) for transfer in exposed))
        self.copies.same("A", "B", length)

    def test_by_the_memory_of_another_one(self):
        """D has no buffer: its copies go by that of the other end, and between its namespaces by somebody else's."""
        for source, destination in (("A", "D"), ("D", "D/2")):
            self.guest.audit.mark()
            result = self.copies.run(source, destination, f"--length {SIZE}")
            self.copies.over_the_bus(result, SIZE)
            self.assertIn(result["through"], (self.through("A"), self.through("B")))
            self.assertEqual([], self.copies.exposed(source, destination, SIZE))
            self.copies.same(source, destination, SIZE)

    def test_no_common_switch(self):
        for policy in ("same-switch", "kernel"):
            result = self.copies.run("A", "C", f"--length {SIZE}", f"--p2p {policy}")
            self.copies.went(result, host_memory=SIZE)
            self.assertEqual([], result["fallback_reasons"])  # known before anything was tried
        self.copies.same("A", "C", SIZE)
        way, _, reasons = self.copies.explain("A", "C")
        self.assertEqual("host memory", way)
        self.assertIn("no switch above both, and Linux does not have host bridge", reasons["peer-to-peer"])

    def test_only_and_refused(self):
        before = self.copies.contents("C", 0, 32 * MIB)
        said = self.copies.refused("A", "C", "--only peer-to-peer", "--destination-offset 1M", "--length 1M")
        self.assertIn("no switch above both", said)
        self.assertTrue(before == self.copies.contents("C", 0, 32 * MIB), "a refused copy wrote something")

    def test_redirection(self):
        for policy in ("same-switch", "kernel"):
            way, _, reasons = self.copies.explain("E", "F", f"--p2p {policy}")
            self.assertEqual("host memory", way)
            self.assertIn("ACS redirect is on at", reasons["peer-to-peer"])
        self.copies.run("A", "E", f"--length {4 * MIB}")
        result = self.copies.run("E", "F", f"--length {4 * MIB}")
        self.copies.went(result, host_memory=4 * MIB)
        self.copies.same("A", "F", 4 * MIB)

    def test_policy_off(self):
        result = self.copies.run("A", "B", f"--length {MIB}", "--p2p off")
        self.copies.went(result, host_memory=MIB)
        self.assertIn("policy is off", self.copies.explain("A", "B", "--p2p off")[2]["peer-to-peer"])

    def test_ranges(self):
        result = self.copies.run("A", "B", "--offset 1M", "--destination-offset 17M", "--length 7M")
        self.copies.over_the_bus(result, 7 * MIB)
        self.assertEqual([], self.copies.exposed("A", "B", 7 * MIB, MIB, 17 * MIB))
        self.copies.same("A", "B", 7 * MIB, MIB, 17 * MIB)

    def test_blocks_of_other_sizes(self):
        """G's are of 4096 bytes, A's of 512."""
        for source, destination in (("A", "G"), ("G", "B")):
            self.guest.audit.mark()
            self.copies.over_the_bus(self.copies.run(source, destination, f"--length {SIZE}"), SIZE)
            self.assertEqual([], self.copies.exposed(source, destination, SIZE))
        self.copies.same("A", "B", SIZE)
        self.copies.went(self.copies.run("G", "G", "--length 4M", "--destination-offset 24M"), nvme_copy=4 * MIB)
        self.copies.same("A", "G", 4 * MIB, 0, 24 * MIB)
        # Where no page of one end is a page of the other.
        result = self.copies.run("A", "G", "--offset 512", "--length 1M")
        self.copies.went(result, host_memory=MIB)
        self.copies.same("A", "G", MIB, 512, 0)

    def test_what_lies_in_page_caches(self):
        """Data that has been written to the source and is in memory only is copied; what memory has of the destination
        is forgotten. Of a copy inside a disk the kernel knows nothing, so that Peerlane has to see to it."""
        for source, destination, offset, way in (("B", "D", 0, "peer_to_peer"), ("D", "D", 16 * MIB, "nvme_copy")):
            old, new = (self.guest.disk(name).path for name in (source, destination))
            # Memory keeps what it has of a disk as long as somebody has it open.
            pid = self.start(f"sleep 600 5< {new} 6< {old}")
            self.guest.run(f"""
                dd if={new} of=/dev/null bs=1M count=4 skip={offset // MIB}
                dd if=/dev/urandom of={old} bs=1M count=4 conv=notrunc
                grep -E '^Dirty: +[1-9][0-9]{{3}}' /proc/meminfo""")
            result = self.copies.run(source, destination, "--length 4M", f"--destination-offset {offset}")
            self.copies.went(result, **{way: 4 * MIB})
            self.guest.run(f"cmp -s -n {4 * MIB} {old} {new} 0 {offset}; kill {pid}")
            self.copies.same(source, destination, 4 * MIB, 0, offset)

    def test_interruption(self):
        pid = self.start(self.copies.command("A", "B", f"--length {SIZE}", "--rate 4M"))
        self.guest.wait_until(f"grep p2pmem /proc/{pid}/maps")
        self.guest.run(f"sleep 1; kill -INT {pid}; while [ -d /proc/{pid} ]; do sleep 0.1; done")
        self.wiped("A", "B")

    def test_without_privileges(self):
        """Who may use the disks and is not root sees no Access Control Services, and gets no peer memory."""
        ends = [self.guest.disk(name).path for name in "AD"]
        self.guest.run(f"chmod 666 {' '.join(ends)}")
        self.addCleanup(self.guest.run, f"chmod 600 {' '.join(ends)}")
        command = self.copies.command("A", "D", "--length 1M", "--destination-offset 17M")
        plan = json.loads(self.guest.run(f"su nobody -s /bin/sh -c '{command} --explain'"))
        (reason,) = {refusal["reason"] for refusal in plan["routes"][0]["not"] if refusal["way"] == "peer-to-peer"}
        self.assertIn("not visible. Ask again as root", reason)
        self.copies.went(json.loads(self.guest.run(f"su nobody -s /bin/sh -c '{command}'")), host_memory=MIB)
        self.copies.same("A", "D", MIB, 0, 17 * MIB)

    def test_verify(self):
        result = self.copies.run("A", "B", f"--length {4 * MIB}", "--verify")
        self.copies.over_the_bus(result, 4 * MIB)
        self.assertTrue(result["verified"])

    def test_several_at_once(self):
        """They share the memory: each takes half of what is free."""
        jobs = [self.guest.start(self.copies.command("A", destination, f"--length {SIZE}"))
                for destination in ("B", "D", "D/2")]
        for job in jobs:
            self.copies.over_the_bus(json.loads(self.guest.finish(job)), SIZE)
        for destination in ("B", "D", "D/2"):
            self.copies.same("A", destination, SIZE)
        self.wiped("A", "B")

    # --- Peer memory -------------------------------------------------------------------------------------------------

    def hold(self, name, keep=0):
        """Takes a disk's memory for the time of the test, but for `keep` bytes."""
        said = f"/run/held-{name}"
        pid = self.start(f"peer_memory_user hold {self.address(name)} {keep} > {said}")
        self.guest.wait_until(f"grep holding {said}")
        self.addCleanup(self.guest.run, f"kill {pid}; while [ -d /proc/{pid} ]; do sleep 0.1; done; rm {said}")

    def test_memory_in_use(self):
        self.hold("A")
        self.assertEqual(self.through("B"), self.copies.run("A", "B", f"--length {MIB}")["through"])
        self.hold("B")
        result = self.copies.run("A", "B", f"--length {SIZE}")
        self.copies.went(result, host_memory=SIZE)
        self.copies.same("A", "B", SIZE)
        self.assertRegex(self.copies.explain("A", "B")[2]["peer-to-peer"], "peer memory .* in use")

    def test_little_memory(self):
        """A copy takes what there is, as long as that is enough for a transfer."""
        self.hold("A", 128 * KIB)
        self.hold("B", 128 * KIB)
        result = self.copies.run("A", "B", f"--length {4 * MIB}")
        self.copies.over_the_bus(result, 4 * MIB)
        self.assertEqual([], self.copies.exposed("A", "B", 4 * MIB))
        self.copies.same("A", "B", 4 * MIB)

    def test_what_a_killed_copy_leaves(self):
        """Linux wipes nothing: what was left is there, and gone after the next copy has had the memory."""
        pid = self.start(self.copies.command("A", "B", f"--length {SIZE}", "--rate 4M"))
        self.guest.wait_until(f"grep p2pmem /proc/{pid}/maps")
        self.guest.run(f"sleep 1; kill -9 {pid}; while [ -d /proc/{pid} ]; do sleep 0.1; done")
        left = [name for name in "AB" if self.guest.run(f"peer_memory_user zero {self.address(name)}", check=False)[0]]
        self.assertEqual(1, len(left), "a copy was killed, and its memory is clean: was it in use at all?")
        self.copies.over_the_bus(self.copies.run("A", "B", f"--length {SIZE}"), SIZE)
        self.wiped("A", "B")

    def test_what_others_leave(self):
        for name in "AB":
            self.guest.run(f"peer_memory_user fill {self.address(name)}")
        self.copies.over_the_bus(self.copies.run("A", "B", f"--length {SIZE}"), SIZE)
        self.copies.same("A", "B", SIZE)
        for name in "AB":
            self.guest.run(f"peer_memory_user wipe {self.address(name)}")

    # --- Inside a disk -----------------------------------------------------------------------------------------------

    def test_nvme_copy(self):
        """Inside a namespace no data leaves the disk. QEMU 7.2 does not copy between namespaces."""
        self.copies.run("A", "D", f"--length {8 * MIB}")
        self.guest.audit.mark()
        result = self.copies.run("D", "D", f"--length {8 * MIB}", "--destination-offset 16M")
        self.copies.went(result, nvme_copy=8 * MIB)
        self.assertEqual(8 * MIB // 512, self.guest.audit.copied()["D"].blocks)
        self.assertEqual((0, 0), self.copies.data_bytes("write", "D"))
        self.copies.stable("D")
        self.copies.same("A", "D", 8 * MIB, 0, 16 * MIB)
        self.assertIn("Descriptor Format 2", self.copies.explain("D", "D/2")[2]["NVMe Copy"])

    def test_nvme_copy_is_interrupted(self):
        """After the command that is under way, not after all of a piece."""
        pid = self.start(self.copies.command("S", "S", "--length 16M", "--destination-offset 16M", "--only nvme-copy"))
        deadline = time.monotonic() + environment.seconds(20)
        while "S" not in self.guest.audit.copied() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.guest.run(f"kill -INT {pid}; while [ -d /proc/{pid} ]; do sleep 0.1; done")
        self.assertLess(self.guest.audit.copied()["S"].blocks, 16 * MIB // 512)

    def test_nvme_copy_with_protection_information(self):
        """The controller makes that of the destination. Linux checks it when it reads."""
        for name, kind in (("P", "T10-DIF-TYPE1-CRC"), ("Q", "EXT-DIF-TYPE1-CRC64")):
            path = self.guest.disk(name).path
            self.assertEqual(kind, self.guest.run(f"cat /sys/block/{path.split('/')[-1]}/integrity/format").strip())
            self.guest.run(f"dd if=/dev/urandom of={path} bs=1M count=4 oflag=direct")
            self.guest.audit.mark()
            result = self.copies.run(name, name, "--length 4M", "--destination-offset 9M")
            self.copies.went(result, nvme_copy=4 * MIB)
            self.assertEqual(4 * MIB // 512, self.guest.audit.copied()[name].blocks)
            self.guest.run(f"""
                echo 3 > /proc/sys/vm/drop_caches
                for skip in 0 9; do dd if={path} of=/run/read-$skip bs=1M count=4 skip=$skip iflag=direct; done
                cmp /run/read-0 /run/read-9; rm /run/read-0 /run/read-9""")
        reason = self.copies.explain("R", "R", "--length 4M", "--destination-offset 16M")[2]["NVMe Copy"]
        self.assertIn("16 bytes of metadata each, of which only 8 are protection information", reason)

    def test_nvme_copy_checks_protection_information(self):
        """Blocks that have come from elsewhere, and blocks whose data have changed: they are not copied as if they were
        right, and Linux cannot read them either."""
        for name, offset in (("P", self.MOVED), ("P", self.CHANGED), ("Q", self.CHANGED)):
            options = f"--offset {offset} --length 1M --destination-offset 16M"
            said = self.copies.refused(name, name, options)
            self.assertRegex(said, rf"reading {self.guest.disk(name).path} at offset \d+: .*protection information")
            said = self.copies.refused(name, name, options, "--only nvme-copy")
            self.assertIn("the Copy command ended with NVMe status", said)


class FilesTest(DirectCopyTest):
    """ext4 on A, XFS on B, btrfs on E, two partitions on D: all behind the switch."""

    disks = (Disk("A", buffer=8, namespaces=(128,)), Disk("B", buffer=8, namespaces=(320,)),
             Disk("D", namespaces=(49,), options=",mssrl=256,mcl=1024,msrc=7"), Disk("E", namespaces=(128,)))
    FIRST, SECOND, PARTITION = MIB, 25 * MIB, 24 * MIB
    expected_in_kernel_log = nfs_server.EXPECTED_IN_KERNEL_LOG

    @classmethod
    def prepare(cls):
        cls.fill("D", cls.PARTITION, cls.FIRST)
        table = b"".join(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", start // 512, cls.PARTITION // 512)
                         for start in (cls.FIRST, cls.SECOND))
        with open(pci_lab.image(cls.images, "D"), "r+b") as file:
            file.seek(446)
            file.write(table.ljust(64, b"\0") + b"\x55\xaa")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = {name: cls.guest.disk(name).path for name in "ABE"}
        cls.guest.run(f"""
            modprobe xfs; modprobe btrfs
            mkdir /mnt/ext4 /mnt/xfs /mnt/btrfs
            mkfs.ext4 -q {path["A"]}; mount -t ext4 {path["A"]} /mnt/ext4
            mkfs.xfs -q {path["B"]}; mount -t xfs {path["B"]} /mnt/xfs
            mkfs.btrfs -q {path["E"]}; mount -t btrfs {path["E"]} /mnt/btrfs
            for directory in ext4 btrfs; do
              dd if=/dev/urandom of=/mnt/$directory/file bs=1M count=12 conv=fsync
            done""")
        cls.addClassCleanup(cls.guest.run, "umount /mnt/ext4 /mnt/xfs /mnt/btrfs")
        nfs_server.start(cls.guest, ext4="/mnt/ext4", xfs="/mnt/xfs")
        cls.addClassCleanup(nfs_server.stop, cls.guest)
        cls.first, cls.second = (f"{cls.guest.disk('D').path}p{number}" for number in (1, 2))
        cls.length = 12 * MIB

    def setUp(self):
        self.guest.run("sync; echo 3 > /proc/sys/vm/drop_caches")
        super().setUp()

    def same_files(self, source, destination):
        self.guest.run(f"echo 3 > /proc/sys/vm/drop_caches; cmp {source} {destination}")

    def by_the_bus_only(self, source, destination, length):
        """File systems read and write what is their own through host memory, which is little."""
        for operation, disk in (("read", source), ("write", destination)):
            buffers, memory = self.copies.data_bytes(operation, disk)
            self.assertEqual(length, buffers)
            self.assertLess(memory, MIB)

    def test_between_file_systems(self):
        result = self.copies.run("/mnt/ext4/file", "/mnt/xfs/copy")
        self.copies.over_the_bus(result, self.length)
        self.by_the_bus_only("A", "B", self.length)
        self.same_files("/mnt/ext4/file", "/mnt/xfs/copy")

    def test_a_file_that_ends_inside_a_page(self):
        self.guest.run("head -c 5000001 /mnt/ext4/file > /mnt/ext4/odd; sync")
        self.guest.audit.mark()
        result = self.copies.run("/mnt/ext4/odd", "/mnt/xfs/odd")
        whole = 5000001 // 4096 * 4096
        self.copies.went(result, peer_to_peer=whole, host_memory=5000001 - whole)
        self.same_files("/mnt/ext4/odd", "/mnt/xfs/odd")

    def test_a_file_with_holes(self):
        self.guest.run("""
            dd if=/mnt/ext4/file of=/mnt/ext4/holes bs=1M count=2 seek=6
            truncate -s 16M /mnt/ext4/holes
            sync""")
        result = self.copies.run("/mnt/ext4/holes", "/mnt/xfs/holes")
        self.copies.went(result, peer_to_peer=2 * MIB, skip=14 * MIB)
        self.same_files("/mnt/ext4/holes", "/mnt/xfs/holes")
        self.assertLess(int(self.guest.run("du -k /mnt/xfs/holes").split()[0]), 3 * KIB)

    def test_files_that_are_in_use(self):
        """The source has not been written out, some of it has space and no data; the destination is in memory, and
        shares its blocks with another file, which must not change."""
        self.guest.run("""
            head -c 6291456 /dev/urandom > /mnt/ext4/new
            fallocate -l 8M /mnt/ext4/new
            head -c 8388608 /dev/urandom > /mnt/xfs/old
            cat /mnt/xfs/old > /run/old""")
        self.copies.went(self.copies.run("/mnt/xfs/old", "/mnt/xfs/shares"), clone=8 * MIB)
        self.guest.run("cat /mnt/xfs/old > /dev/null")
        result = self.copies.run("/mnt/ext4/new", "/mnt/xfs/old", "--sparse never")
        self.copies.went(result, peer_to_peer=8 * MIB)
        self.guest.run("cmp /mnt/ext4/new /mnt/xfs/old; cmp /run/old /mnt/xfs/shares; rm /run/old")
        self.same_files("/mnt/ext4/new", "/mnt/xfs/old")

    def test_files_and_partitions(self):
        for source, destination in (("/mnt/xfs/back", "/mnt/ext4/again"), (self.first, "/mnt/xfs/back"))[::-1]:
            result = self.copies.run(source, destination)
            self.copies.over_the_bus(result, self.PARTITION)
        self.same_files(self.first, "/mnt/ext4/again")
        self.guest.run("rm /mnt/xfs/back")
        result = self.copies.run("/mnt/ext4/again", self.second)
        self.copies.over_the_bus(result, self.PARTITION)
        self.copies.same("D", "D", self.PARTITION, self.FIRST, self.SECOND)
        self.guest.run("rm /mnt/ext4/again")

    def test_between_partitions(self):
        result = self.copies.run(self.first, self.second, f"--length {8 * MIB}", "--destination-offset 16M")
        self.copies.went(result, nvme_copy=8 * MIB)
        self.assertEqual((0, 0), self.copies.data_bytes("write", "D"))
        self.copies.same("D", "D", 8 * MIB, self.FIRST, self.SECOND + 16 * MIB)

    def test_a_journal_knows_partitions(self):
        """By their disk and their number, since the disk may have another name when the copy goes on."""
        pid = self.start(self.copies.command(self.first, self.second, "--resume /run/journal", "--rate 1M",
                                             "--only host-memory"))
        said = self.guest.wait_until("cat /run/journal")
        self.guest.run(f"kill {pid}; while [ -d /proc/{pid} ]; do sleep 0.1; done; rm /run/journal")
        for end, number in (("source", 1), ("destination", 2)):
            self.assertRegex(said, rf'"{end}_identity": "block:nvme[.].*-part{number} {self.PARTITION}"')

    def test_shared_blocks(self):
        for directory, disk in (("/mnt/xfs", "B"), ("/mnt/btrfs", "E")):
            self.guest.run(f"[ -e {directory}/file ] || cp /mnt/ext4/file {directory}/file; sync")
            self.guest.audit.mark()
            result = self.copies.run(f"{directory}/file", f"{directory}/shared")
            self.copies.went(result, clone=self.length)
            self.assertLess(sum(self.copies.data_bytes("write", disk)), MIB)
            self.same_files(f"{directory}/file", f"{directory}/shared")

    def test_what_does_not_pass_peer_memory_on(self):
        self.guest.run(f"""
            mkdir /run/memory; mount -t tmpfs tmpfs /run/memory; dd if=/dev/urandom of=/run/memory/file bs=1M count=4
            modprobe dm-mod; echo 0 {8 * MIB // 512} linear {self.second} 0 | dmsetup create --noudevsync linear
            dmsetup mknodes""")
        self.addCleanup(self.guest.run, "umount /run/memory; dmsetup remove --noudevsync linear")
        for source, destination, reason in (
                ("/mnt/btrfs/file", "/mnt/xfs/from-btrfs", "btrfs copies what is read and written"),
                ("/run/memory/file", "/mnt/xfs/from-memory", "tmpfs"),
                ("/dev/mapper/linear", "/mnt/xfs/from-linear", "does not lie on one disk by itself")):
            self.assertIn(reason, self.copies.explain(source, destination)[2]["peer-to-peer"])
            result = self.copies.run(source, destination)
            self.assertEqual(0, result["bytes_by_way"].get("peer-to-peer", 0))
            self.same_files(source, destination)


    # --- Files of a server -------------------------------------------------------------------------------------------

    def mounted(self, name, version):
        """An export, mounted for the time of the test."""
        place = f"/mnt/nfs-{name}-{version}"
        nfs_server.mount(self.guest, name, place, version)
        self.addCleanup(self.guest.run, f"umount {place}")
        return place

    def asked(self, place, name):
        return nfs_server.operations(self.guest, place, name)[name]

    def test_the_server_copies(self):
        """Once the server has shown that it does, nothing crosses the network. Its file ends inside a page."""
        length = self.length + 5
        self.guest.run("(cat /mnt/ext4/file; echo tail) > /mnt/ext4/longer")
        place = self.mounted("ext4", "4.2")
        way, through, reasons = self.copies.explain(f"{place}/longer", f"{place}/copy")
        self.assertEqual(("server-side copy", "by the server of NFS"), (way, through))
        self.assertIn("NFS does not share blocks", reasons["clone"])
        result = self.copies.run(f"{place}/longer", f"{place}/copy")
        self.copies.went(result, server_side_copy=length)
        self.assertEqual([], result["fallback_reasons"])
        self.assertLess(result["probe_bytes"], 64 * KIB)
        self.assertGreater(self.asked(place, "COPY")[0], 0)
        self.assertLess(self.asked(place, "WRITE")[1], 64 * KIB)
        self.assertLess(self.asked(place, "READ")[2], 64 * KIB)
        self.same_files("/mnt/ext4/longer", "/mnt/ext4/copy")
        # What was in this host's memory, of the source and not written out, and of the destination.
        self.guest.run(f"""
            exec 5< {place}/copy
            cat {place}/copy > /dev/null
            head -c 4194304 /dev/urandom | dd of={place}/longer bs=1M iflag=fullblock conv=notrunc""")
        self.copies.went(self.copies.run(f"{place}/longer", f"{place}/copy"), server_side_copy=length)
        self.same_files(f"{place}/longer", f"{place}/copy")
        self.same_files("/mnt/ext4/longer", "/mnt/ext4/copy")
        written = self.copies.run(f"{place}/longer", f"{place}/copy", "--sparse never")
        self.copies.went(written, host_memory=length)

    def test_a_server_that_does_not_copy(self):
        """NFS 4.1 has no COPY: Linux copies through this host's memory, and does not tell."""
        place = self.mounted("ext4", "4.1")
        result = self.copies.run(f"{place}/file", f"{place}/copied-by-host")
        self.copies.went(result, host_memory=self.length)
        (fallback,) = result["fallback_reasons"]
        self.assertEqual("server-side copy", fallback["way"])
        self.assertIn("through this host's memory", fallback["reason"])
        self.assertEqual(0, self.asked(place, "COPY")[0])
        self.assertGreater(self.asked(place, "WRITE")[1], self.length)
        self.same_files("/mnt/ext4/file", "/mnt/ext4/copied-by-host")
        said = self.copies.refused(f"{place}/file", f"{place}/copied-by-host", "--only server-side-copy")
        self.assertIn("only server-side copy is wanted", said)

    def test_the_server_shares_blocks(self):
        self.guest.run("[ -e /mnt/xfs/file ] || cp /mnt/ext4/file /mnt/xfs/file; sync")
        place = self.mounted("xfs", "4.2")
        self.guest.audit.mark()
        result = self.copies.run(f"{place}/file", f"{place}/shared-by-server")
        self.copies.went(result, clone=self.length)
        self.assertLess(sum(self.copies.data_bytes("write", "B")), MIB)
        self.assertGreater(self.asked(place, "CLONE")[0], 0)
        self.same_files("/mnt/xfs/file", "/mnt/xfs/shared-by-server")


class HostBridgeTest(DirectCopyTest):
    """Linux takes this one for a host bridge that forwards, which QEMU's does."""

    disks = (Disk("A", buffer=8, namespaces=(32,)), Disk("B", namespaces=(32,)), Disk("C", ROOT, namespaces=(32,)),
             Disk("E", SHARED, buffer=8, namespaces=(32,)), Disk("F", SHARED, namespaces=(32,)))
    options = {"cpu": "EPYC", "redirect": True}
    expected_in_kernel_log = ("ACS redirect is set between the client and provider",
                              "to disable ACS redirect for this path, add the kernel parameter")

    @classmethod
    def prepare(cls):
        for name in "AE":
            cls.fill(name)

    def test_policies(self):
        for source, destination, reason in (("A", "C", "no switch above both"), ("E", "F", "ACS redirect is on at")):
            way, _, reasons = self.copies.explain(source, destination)
            self.assertEqual("host memory", way)
            self.assertIn("policy same-switch does not allow it", reasons["peer-to-peer"])
            self.assertIn(reason, reasons["peer-to-peer"])
            self.copies.went(self.copies.run(source, destination, f"--length {MIB}"), host_memory=MIB)
            self.guest.audit.mark()
            result = self.copies.run(source, destination, f"--length {SIZE}", "--p2p kernel")
            self.copies.over_the_bus(result, SIZE)
            self.assertEqual(self.through(source), result["through"])
            self.assertEqual([], self.copies.exposed(source, destination, SIZE))
            self.copies.same(source, destination, SIZE)


class TranslationTest(DirectCopyTest):
    """An emulated IOMMU that translates stands in front of each disk: Linux says that transfers below the switch are
    done, and their data is wrong."""

    disks = (Disk("A", buffer=8, namespaces=(32,)), Disk("B", buffer=8, namespaces=(32,)),
             Disk("C", namespaces=(32,)))
    options = {"iommu": TRANSLATE}
    # The probe is what the IOMMU complains of.
    expected_in_kernel_log = ("DMAR: DRHD: handling fault status", r"DMAR: \[DMA (Read|Write)")

    @classmethod
    def prepare(cls):
        cls.fill("A")
        cls.fill("C", SIZE - 2 * MIB, 2 * MIB)  # nothing that could tell in what comes first

    def test_wrong_data_is_noticed(self):
        for source in ("A", "C"):
            result = self.copies.run(source, "B", f"--length {SIZE}")
            self.copies.same(source, "B", SIZE)
            (reason,) = result["fallback_reasons"]
            self.assertEqual("peer-to-peer", reason["way"])
            self.assertIn("wrong bytes", reason["reason"])
            self.assertIn("iommu=pt", reason["reason"])
        self.wiped("A", "B")

    def test_only(self):
        """There is nothing to fall back on; what was tried with is all that has been written."""
        with open(self.guest.image("B"), "rb") as file:
            before = file.read()
        said = self.copies.refused("A", "B", f"--length {SIZE}", "--only peer-to-peer")
        self.assertIn("wrong bytes", said)
        with open(self.guest.image("B"), "rb") as file:
            self.assertTrue(before[PROBE:] == file.read()[PROBE:], "more than the probe was written")


class PassThroughTest(DirectCopyTest):
    """The same machine, whose IOMMU is told to let devices use bus addresses."""

    disks = TranslationTest.disks[:2]
    options = {"iommu": PASS_THROUGH}

    def test_over_the_bus(self):
        result = self.copies.run("A", "B", f"--length {SIZE}")
        self.copies.over_the_bus(result, SIZE)
        self.assertEqual([], self.copies.exposed("A", "B", SIZE))
        self.copies.same("A", "B", SIZE)


class FaultTest(DirectCopyTest):
    """Disks with faults, and disks that are pulled out."""

    disks = (Disk("A", buffer=8, namespaces=(32,)), Disk("B", namespaces=(32,)),
             Disk("C", buffer=8, namespaces=(32,)), Disk("D", namespaces=(32,)),
             Disk("W", namespaces=(32,), fault=("write", 5 * MIB // 512)),
             Disk("R", namespaces=(32,), fault=("read", 5 * MIB // 512)),
             # Two ways to one disk.
             Disk("M", namespaces=(32,)), Disk("N", namespaces=(), path_to="M"))
    expected_in_kernel_log = (r"nvme\d+n\d+: I/O Cmd.* I/O Error", "critical medium error, dev nvme",
                              "I/O error, dev nvme")

    @classmethod
    def prepare(cls):
        for name in "ABC":
            cls.fill(name)

    def test_a_disk_that_cannot_write(self):
        said = self.copies.refused("A", "W", f"--length {SIZE}")
        self.assertRegex(said, rf"writing {self.guest.disk('W').path} at offset \d+")
        self.copies.same("A", "W", 4 * MIB)

    def test_a_disk_that_cannot_read(self):
        said = self.copies.refused("R", "B", f"--length {SIZE}")
        self.assertRegex(said, rf"reading {self.guest.disk('R').path} at offset \d+")

    def test_a_path_that_is_pulled_out(self):
        """The other one, which also reaches the memory, is taken over the bus as well."""
        self.assertEqual(self.guest.disk("M").path, self.guest.disk("N").path)
        job, _ = self.begin("A", "M")
        self.guest.pull("M")
        self.copies.over_the_bus(json.loads(self.finish(job, 0)), SIZE)
        self.assertEqual([], self.copies.exposed("A", "M", SIZE))
        self.copies.same("A", "M", SIZE)

    def begin(self, source, destination):
        """A copy that is going on over the bus: its job, and the disk whose memory it has."""
        job = self.guest.start(self.copies.command(source, destination, f"--length {SIZE}", "--rate 4M"))
        mapped = self.guest.wait_until("grep -h p2pmem /proc/[0-9]*/maps")
        self.guest.run("sleep 0.5")
        return job, next(name for name in "AC" if f"{self.address(name)}/p2pmem" in mapped)

    def finish(self, job, status):
        """It ends by itself, soon, and gives the memory of a disk that is gone back: Linux waits for that."""
        ended, output = self.guest.finish(job, 30, check=False)
        self.assertEqual(status, ended, output)
        self.assertFalse([word for word in SANITIZER_REPORTS if word in output], output)
        return output

    def test_pulling_disks(self):
        job, lender = self.begin("B", "D")
        self.guest.pull(lender)
        result = json.loads(self.finish(job, 0))
        self.assertEqual(SIZE, result["bytes_by_way"]["peer-to-peer"] + result["bytes_by_way"]["host memory"])
        self.assertLess(MIB, min(result["bytes_by_way"]["peer-to-peer"], result["bytes_by_way"]["host memory"]))
        self.assertEqual({"peer-to-peer"}, {reason["way"] for reason in result["fallback_reasons"]})
        self.copies.same("B", "D", SIZE)

        other = "C" if lender == "A" else "A"
        job, lender = self.begin(other, "D")
        self.guest.pull("D")
        self.assertRegex(self.finish(job, 1), rf"writing {self.guest.disk('D').path} at offset \d+: No such device")
        self.wiped(other)

        job, lender = self.begin(other, "B")
        self.assertEqual(other, lender)
        self.guest.pull(other)
        self.assertRegex(self.finish(job, 1), rf"reading {self.guest.disk(other).path} at offset \d+: No such device")


class PowerCutTest(unittest.TestCase):
    """The machine stops in the middle of a copy, and goes on with it after it has been started again."""

    DISKS = (Disk("A", buffer=8, namespaces=(64,)), Disk("B", buffer=8, namespaces=(64,)), Disk("J", ROOT))
    LENGTH = 64 * MIB
    STEP = 4 * KIB  # of the comparison: the journal's positions are multiples of it

    def test_resume(self):
        images = pathlib.Path(self.enterContext(environment.memory_scratch()))
        fill(pci_lab.image(images, "A"), self.LENGTH, self.LENGTH)
        with Lab(self.DISKS, images=images) as guest:
            copies = Copies(self, guest)
            guest.run(f"mkfs.ext4 -q {guest.disk('J').path}")
            self.mount(guest)
            # More than a minute, so that it goes on for sure when the journal has been written, however slow disks are.
            guest.start(copies.command("A", "B", "--resume /mnt/journal", "--rate 1M"))
            guest.wait_until("grep -E '\"done\": [1-9]' /mnt/journal")
            guest.run("sleep 1")
            guest.cut_power()
        written = self.written(images)
        self.assertLess(written, self.LENGTH)

        # Disks have other places then, and other names: Linux looks at all at once, and names them as they come.
        before = dict(guest.found)
        with Lab(self.DISKS[::-1], images=images) as guest:
            first, *others = sorted("ABJ", key=lambda name: before[name, 1].path)
            guest.bind_anew(*others, first)
            for name in "ABJ":
                self.assertNotEqual(before[name, 1].path, guest.disk(name).path)
            for name in "AB":
                self.assertNotEqual(before[name, 1].address, guest.disk(name).address)
            copies = Copies(self, guest)
            self.mount(guest)
            result = copies.run("A", "B", "--resume /mnt/journal")
            self.assertGreater(result["resumed_at"], 0)
            self.assertLessEqual(result["resumed_at"], written)
            copies.went(result, peer_to_peer=self.LENGTH - result["resumed_at"])
            copies.same("A", "B", self.LENGTH)
            guest.run("[ ! -e /mnt/journal ]; umount /mnt")

    def mount(self, guest):
        guest.run(f"mount -t ext4 {guest.disk('J').path} /mnt")

    def written(self, images):
        """How much of the beginning is at the destination."""
        with open(pci_lab.image(images, "A"), "rb") as source, open(pci_lab.image(images, "B"), "rb") as destination:
            at = 0
            while at < self.LENGTH and source.read(self.STEP) == destination.read(self.STEP):
                at += self.STEP
        return at


if __name__ == "__main__":
    unittest.main()
