#!/usr/bin/python3
"""ROD tokens: data that are copied in two commands, and what no token does."""

import os
import pathlib
import struct
import subprocess
import time
import unittest

import environment
import reservations as pr
from extended_copy import (ADDRESSED_UNIT, BLOCK, CHECK, COPY_ABORTED, ILLEGAL_REQUEST, blocks_to_blocks, extended_copy,
                           lid1, sense_of)
from initiator import connect
from server import Server
from tokens import (ANY, DONE, DONE_PARTLY_USED, DONE_RESIDUAL, FAILED, IN_BACKGROUND, PERSISTENT, POINT_IN_TIME,
                    TERMINATED, VULNERABLE, ZERO_TOKEN, populate_token, token_information, write_using_token)

ALICE, BOB = "iqn.2026-11.test:alice", "iqn.2026-11.test:bob"
SIZE = 4096  # blocks of each disk
LOGICAL_UNIT_RESET = 5
IN_BLOCKS = 0xF1
REMOTE, UNKNOWN, REVOKED, EXPIRED, UNSUPPORTED, BAD_LENGTH = 0x2302, 0x2304, 0x2306, 0x2307, 0x2301, 0x230A


class TokenTest(unittest.TestCase):
    disks = (f"ram:{SIZE * BLOCK}",) * 3

    def setUp(self):
        self.server = Server(*self.disks).start()
        self.addCleanup(self.server.kill)
        self.alice = self.log_in(ALICE)
        self.data = os.urandom(1024 * BLOCK)
        self.alice.write(0, self.data)
        self.next = 100

    def tearDown(self):
        self.server.stop()

    def log_in(self, name):
        session = connect(self.server, initiator=name)
        for lun in range(len(self.disks)):
            session.execute(bytes(6), lun=lun)
        return session

    def identifier(self):
        self.next += 1
        return self.next

    def populate(self, ranges, session=None, lun=0, **how):
        """A new token."""
        session, identifier = session or self.alice, self.identifier()
        self.assertEqual(0, populate_token(session, identifier, ranges, lun=lun, **how).status)
        information = token_information(session, identifier)
        self.assertEqual((DONE, IN_BLOCKS, sum(count for _, count in ranges)),
                         (information.status, information.units, information.count))
        self.assertEqual(512, len(information.token))
        return information.token

    def use(self, token, ranges, session=None, lun=1, **how):
        return write_using_token(session or self.alice, self.identifier(), token, ranges, lun=lun, **how)

    def refused(self, result, key, code):
        self.assertEqual((CHECK, (key, code)), (result.status, sense_of(result)))

    def test_data_come_by_token(self):
        token = self.populate([(0, 1000)])
        self.assertEqual(0, self.use(token, [(100, 1000)]).status)
        self.assertEqual(self.data[:1000 * BLOCK], self.alice.read(100, 1000, lun=1))
        self.assertEqual(bytes(100 * BLOCK), self.alice.read(0, 100, lun=1))
        information = token_information(self.alice, self.next)
        self.assertEqual((0x11, DONE, IN_BLOCKS, 1000),
                         (information.service_action, information.status, information.units, information.count))
        self.assertIsNone(information.token)

    def test_ranges_are_laid_over_ranges(self):
        token = self.populate([(10, 100), (500, 7), (200, 93)])
        expected = self.data[10 * BLOCK:110 * BLOCK] + self.data[500 * BLOCK:507 * BLOCK] + \
            self.data[200 * BLOCK:293 * BLOCK]
        self.assertEqual(0, self.use(token, [(3000, 50), (0, 101), (2000, 49)]).status)
        got = self.alice.read(3000, 50, lun=1) + self.alice.read(0, 101, lun=1) + self.alice.read(2000, 49, lun=1)
        self.assertEqual(expected, got)

    def test_part_of_a_token_and_more_than_it_has(self):
        token = self.populate([(0, 100)])
        self.assertEqual(0, self.use(token, [(0, 30)], offset=20).status)
        self.assertEqual(DONE_PARTLY_USED, token_information(self.alice, self.next).status)
        self.assertEqual(self.data[20 * BLOCK:50 * BLOCK], self.alice.read(0, 30, lun=1))
        self.assertEqual(0, self.use(token, [(1000, 30)], offset=90).status)
        information = token_information(self.alice, self.next)
        self.assertEqual((DONE_RESIDUAL, 10), (information.status, information.count))
        self.assertEqual(self.data[90 * BLOCK:100 * BLOCK] + bytes(20 * BLOCK), self.alice.read(1000, 30, lun=1))
        self.refused(self.use(token, [(0, 1)], offset=100), ILLEGAL_REQUEST, 0x2600)
        self.refused(self.use(token, [(0, 1)], offset=1 << 63), ILLEGAL_REQUEST, 0x2600)

    def test_the_zero_token(self):
        self.alice.write(0, b"\xaa" * BLOCK * 300, lun=1)
        self.assertEqual(0, self.use(ZERO_TOKEN, [(10, 100), (200, 5)]).status)
        expected = bytearray(b"\xaa" * BLOCK * 300)
        expected[10 * BLOCK:110 * BLOCK] = bytes(100 * BLOCK)
        expected[200 * BLOCK:205 * BLOCK] = bytes(5 * BLOCK)
        self.assertEqual(bytes(expected), self.alice.read(0, 300, lun=1))

    def test_another_initiator_may_use_a_token_that_it_was_given(self):
        token = self.populate([(0, 64)])
        bob = self.log_in(BOB)
        self.assertEqual(0, self.use(token, [(0, 64)], session=bob, lun=2).status)
        self.assertEqual(self.data[:64 * BLOCK], bob.read(0, 64, lun=2))
        self.alice.logout()
        self.assertEqual(0, self.use(token, [(64, 64)], session=bob, lun=2).status)

    def test_guessed_tokens_are_unknown(self):
        token = self.populate([(0, 64)])
        for at in (8, 256, 300, 511):
            guess = bytearray(token)
            guess[at] ^= 1
            self.refused(self.use(bytes(guess), [(0, 64)]), ILLEGAL_REQUEST, UNKNOWN)
        self.refused(self.use(b"\x12" + token[1:], [(0, 64)]), ILLEGAL_REQUEST, UNSUPPORTED)
        self.refused(self.use(token[:6] + b"\x01\xf0" + token[8:], [(0, 64)]), ILLEGAL_REQUEST, BAD_LENGTH)
        self.assertEqual(bytes(64 * BLOCK), self.alice.read(0, 64, lun=1))
        self.assertNotEqual(token[256:], self.populate([(0, 64)])[256:])

    def test_a_token_is_worth_nothing_once_its_data_have_changed(self):
        changes = {
            "write": lambda: self.alice.write(63, bytes(BLOCK)),
            "WRITE SAME": lambda: self.assertEqual(0, self.alice.execute(
                struct.pack(">BBQIBB", 0x93, 0, 0, 1, 0, 0), data=bytes(BLOCK)).status),
            "UNMAP": lambda: self.assertEqual(0, self.alice.execute(
                struct.pack(">BB5xHx", 0x42, 0, 24), data=struct.pack(">HH4xQI4x", 22, 16, 0, 8)).status),
            "COMPARE AND WRITE": lambda: self.assertIn(self.alice.execute(
                struct.pack(">BBQ3xBBB", 0x89, 0, 5, 1, 0, 0), data=self.alice.read(5, 1) * 2).status, (0,)),
            "token": lambda: self.assertEqual(0, self.use(ZERO_TOKEN, [(60, 10)], lun=0).status),
        }
        for name, change in changes.items():
            with self.subTest(name):
                token = self.populate([(0, 64)], kind=VULNERABLE)
                self.alice.write(64, bytes(BLOCK))
                self.assertEqual(0, self.use(token, [(0, 64)]).status)
                change()
                self.refused(self.use(token, [(0, 64)]), ILLEGAL_REQUEST, REVOKED)

    def test_tokens_end(self):
        short = self.populate([(0, 8)], timeout=1)
        deleted, reset = self.populate([(0, 8)]), self.populate([(0, 8)])
        self.assertEqual(0, self.use(deleted, [(0, 8)], delete=True).status)
        self.refused(self.use(deleted, [(0, 8)]), ILLEGAL_REQUEST, UNKNOWN)
        time.sleep(2.1)
        self.refused(self.use(short, [(0, 8)]), ILLEGAL_REQUEST, EXPIRED)
        self.alice.manage(LOGICAL_UNIT_RESET)
        self.alice.execute(bytes(6))
        self.refused(self.use(reset, [(0, 8)]), ILLEGAL_REQUEST, REVOKED)

    def test_they_are_bounded_and_told(self):
        tokens = [self.populate([(0, 8)]) for _ in range(64)]
        self.refused(populate_token(self.alice, 1, [(0, 8)]), ILLEGAL_REQUEST, 0x550D)
        self.populate([(0, 8)], session=self.log_in(BOB))
        told = self.alice.execute(struct.pack(">BB8xIxx", 0x84, 8, 65536), read_length=65536).data
        self.assertEqual(65 * 96 + 8, len(told))
        self.assertEqual([token[:96] for token in tokens], [told[8 + at * 96:104 + at * 96] for at in range(64)])

    def test_what_is_asked_for_is_checked(self):
        self.refused(populate_token(self.alice, 1, [(SIZE, 1)]), ILLEGAL_REQUEST, 0x2100)
        self.refused(populate_token(self.alice, 1, [(1 << 63, 1)]), ILLEGAL_REQUEST, 0x2100)
        self.refused(populate_token(self.alice, 1, [(0, 10), (9, 1)]), ILLEGAL_REQUEST, 0x2600)
        self.refused(populate_token(self.alice, 1, [(at, 1) for at in range(257)]), ILLEGAL_REQUEST, 0x2608)
        self.refused(populate_token(self.alice, 1, [(0, 8)], kind=0x10000), ILLEGAL_REQUEST, 0x2600)
        self.refused(populate_token(self.alice, 1, [(0, 8)], timeout=601), ILLEGAL_REQUEST, 0x2600)
        self.refused(self.use(ZERO_TOKEN, [(SIZE - 1, 2)]), ILLEGAL_REQUEST, 0x2100)
        self.assertIsNone(token_information(self.alice, 1))

    def test_reservations_and_protection_are_kept(self):
        token = self.populate([(0, 64)])
        bob = self.log_in(BOB)
        for lun in (0, 1):
            self.assertEqual(0, pr.reserve_out(bob, pr.REGISTER, action_key=0xB, lun=lun).status)
        conflict = 0x18
        self.assertEqual(0, pr.reserve_out(bob, pr.RESERVE, key=0xB, kind=pr.WRITE_EXCLUSIVE, lun=1).status)
        self.assertEqual(conflict, self.use(token, [(0, 64)]).status)
        self.assertEqual(0, pr.reserve_out(bob, pr.RESERVE, key=0xB, kind=pr.EXCLUSIVE_ACCESS, lun=0).status)
        self.assertEqual(conflict, populate_token(self.alice, 1, [(0, 64)]).status)
        self.refused(self.use(token, [(0, 64)], lun=2), COPY_ABORTED, 0x0D01)
        self.assertEqual(0, self.use(token, [(0, 64)], session=bob, lun=2).status)

    def test_list_identifiers_belong_to_their_nexus(self):
        self.assertEqual(0, populate_token(self.alice, 5, [(0, 8)]).status)
        self.assertIsNone(token_information(self.log_in(BOB), 5))
        self.assertIsNotNone(token_information(self.alice, 5).token)

    def test_a_token_of_another_target_is_of_no_use_without_peers(self):
        with Server(f"ram:{SIZE * BLOCK}", options=("--target-name", "iqn.2026-11.test:elsewhere")) as other:
            session = connect(other, initiator=ALICE)
            session.execute(bytes(6))
            foreign = self.populate([(0, 8)], session=session)
        self.refused(self.use(foreign, [(0, 8)]), ILLEGAL_REQUEST, REMOTE)

    def read_by_token(self, token, offset, count, session=None, lun=0, room=None):
        """READ USING TOKEN, as copy managers of other targets send it."""
        cdb = struct.pack(">B6xBHHI", 0x7F, 0x18, 0x8800, count, offset) + token[256:272]
        return (session or self.alice).execute(cdb, lun=lun, read_length=count * BLOCK if room is None else room)

    def report_token(self, token, lun=0):
        cdb = struct.pack(">B6xBHH4x", 0x7F, 0x18, 0x8801, 512) + token[256:272]
        return self.alice.execute(cdb, lun=lun, read_length=512)

    def test_other_copy_managers_read_by_it(self):
        token = self.populate([(10, 100), (500, 7)])
        data = self.data[10 * BLOCK:110 * BLOCK] + self.data[500 * BLOCK:507 * BLOCK]
        self.assertEqual(data, self.read_by_token(token, 0, 107).data)
        self.assertEqual(data[95 * BLOCK:105 * BLOCK], self.read_by_token(token, 95, 10).data)
        self.assertEqual(0, self.read_by_token(token, 107, 0).status)
        self.assertEqual(data[:3 * BLOCK], self.read_by_token(token, 0, 107, room=3 * BLOCK).data)
        self.assertEqual(token, self.report_token(token).data)

    def test_what_they_ask_for_is_checked(self):
        token = self.populate([(10, 100)])
        for offset, count in ((0, 101), (100, 1), (101, 0), (0xFFFFFFFF, 0xFFFF)):
            self.assertEqual((CHECK, ILLEGAL_REQUEST), (lambda result: (result.status, result.sense_key))(
                self.read_by_token(token, offset, count)))
        for guess in (bytes(512), token[:270] + bytes(242)):
            self.refused(self.read_by_token(guess, 0, 1), ILLEGAL_REQUEST, UNKNOWN)
            self.refused(self.report_token(guess), ILLEGAL_REQUEST, UNKNOWN)
        # At another disk than that of the token.
        self.refused(self.read_by_token(token, 0, 1, lun=1), ILLEGAL_REQUEST, UNKNOWN)
        self.refused(self.report_token(token, lun=1), ILLEGAL_REQUEST, UNKNOWN)
        bob = self.log_in(BOB)
        self.assertEqual(0, self.read_by_token(token, 0, 1, session=bob).status)
        pr.reserve_out(self.alice, pr.REGISTER, action_key=1)
        pr.reserve_out(self.alice, pr.RESERVE, key=1, kind=pr.EXCLUSIVE_ACCESS)
        self.assertEqual(pr.CONFLICT, self.read_by_token(token, 0, 1, session=bob).status)


class SnapshotTest(TokenTest):
    """The same on files that can share their blocks: their tokens outlive changes."""

    @classmethod
    def setUpClass(cls):
        cls.directory = environment.scratch()
        cls.addClassCleanup(cls.directory.cleanup)
        image, cls.place = (pathlib.Path(cls.directory.name) / name for name in ("xfs.img", "mnt"))
        with image.open("wb") as file:
            file.truncate(1 << 30)
        cls.place.mkdir()
        subprocess.run([environment.tool("mkfs.xfs"), "-q", str(image)], check=True)
        mounted = subprocess.run(["mount", "-o", "loop", str(image), str(cls.place)], capture_output=True, text=True)
        if mounted.returncode != 0:
            raise unittest.SkipTest(f"no file system can be mounted here: {mounted.stderr.strip()}")
        cls.addClassCleanup(subprocess.run, ["umount", str(cls.place)], check=True)
        cls.disks = [cls.place / f"{at}.img" for at in range(3)]

    def setUp(self):
        for disk in self.disks:
            with disk.open("wb") as file:
                file.truncate(SIZE * BLOCK)
        super().setUp()

    def blocks_used(self):
        subprocess.run(["sync", "-f", str(self.place)], check=True)
        status = os.statvfs(self.place)
        return status.f_blocks - status.f_bfree

    def test_data_stay_as_they_were(self):
        for kind in (None, POINT_IN_TIME, PERSISTENT, ANY):
            with self.subTest(kind):
                before = self.alice.read(0, 1024)
                token = self.populate([(0, 512), (768, 256)], kind=kind)
                self.assertEqual(PERSISTENT, int.from_bytes(token[:4], "big"))
                self.alice.write(0, os.urandom(1024 * BLOCK))
                self.assertEqual(0, self.use(token, [(0, 768)]).status)
                self.assertEqual(before[:512 * BLOCK] + before[768 * BLOCK:], self.alice.read(0, 768, lun=1))

    def test_what_cannot_be_shared_is_watched(self):
        token = self.populate([(1, 7)])
        self.assertEqual(VULNERABLE, int.from_bytes(token[:4], "big"))
        self.refused(populate_token(self.alice, 1, [(1, 7)], kind=PERSISTENT), ILLEGAL_REQUEST, 0x2600)

    def test_space_comes_back(self):
        before = self.blocks_used()
        token = self.populate([(0, 1024)])
        self.alice.write(0, os.urandom(1024 * BLOCK))
        self.assertGreaterEqual(self.blocks_used(), before + 100)
        self.assertEqual(0, self.use(token, [(2048, 8)], delete=True).status)
        deadline = time.monotonic() + environment.seconds(10)
        while self.blocks_used() >= before + 100 and time.monotonic() < deadline:
            time.sleep(0.2)
        self.assertLess(self.blocks_used(), before + 100)

    def test_a_copy_inside_a_unit_moves_nothing(self):
        before = self.blocks_used()
        parameters = lid1([], [blocks_to_blocks(ADDRESSED_UNIT, ADDRESSED_UNIT, 1024, 0, 2048)])
        self.assertEqual(0, self.alice.execute(extended_copy(parameters), data=parameters).status)
        self.assertEqual(self.data, self.alice.read(2048, 1024))
        self.assertLess(self.blocks_used(), before + 100)

    def test_a_clone_of_a_token_moves_nothing(self):
        before = self.blocks_used()
        token = self.populate([(0, 1024)])
        self.assertEqual(0, self.use(token, [(0, 1024)]).status)
        self.assertEqual(self.data, self.alice.read(0, 1024, lun=1))
        self.assertLess(self.blocks_used(), before + 100)


class BackgroundTest(TokenTest):
    """IMMED: the status comes first."""

    disks = (("ram:64M", "delay = { read_us = 500000 }"), "ram:64M")

    def setUp(self):
        self.server = Server(*self.disks).start()
        self.addCleanup(self.server.kill)
        self.next = 100
        self.alice = connect(self.server, initiator=ALICE)
        for lun in range(2):
            self.alice.execute(bytes(6), lun=lun)
        self.alice.write(0, os.urandom(4096) * 8192)

    def begin(self):
        token = self.populate([(0, 65536)])
        started = time.monotonic()
        self.assertEqual(0, self.use(token, [(0, 65536)], immediate=True).status)
        self.assertLess(time.monotonic() - started, environment.seconds(0.4))
        self.assertEqual(IN_BACKGROUND, token_information(self.alice, self.next).status)
        return token

    def end(self):
        deadline = time.monotonic() + environment.seconds(30)
        while token_information(self.alice, self.next).status == IN_BACKGROUND and time.monotonic() < deadline:
            time.sleep(0.1)
        return token_information(self.alice, self.next)

    def test_it_is_done(self):
        self.begin()
        information = self.end()
        self.assertEqual((DONE, 65536), (information.status, information.count))
        self.assertEqual(self.alice.read(4096, 64), self.alice.read(4096, 64, lun=1))

    def test_it_is_aborted(self):
        self.begin()
        self.assertEqual(0, self.alice.execute(struct.pack(">BBI10x", 0x83, 0x1C, self.next)).status)
        self.assertEqual(TERMINATED, self.end().status)

    def test_data_that_change_meanwhile_are_not_counted(self):
        self.begin()
        self.alice.write(65535, bytes(BLOCK))
        information = self.end()
        self.assertEqual((FAILED, 0), (information.status, information.count))

    def test_what_was_copied_before_is_counted(self):
        self.begin()
        deadline = time.monotonic() + environment.seconds(30)
        while token_information(self.alice, self.next).count == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.25)
        self.alice.write(65535, bytes(BLOCK))
        information = self.end()
        self.assertEqual(FAILED, information.status)
        self.assertTrue(0 < information.count < 65535, information)
        count = min(information.count, 4096)
        self.assertEqual(self.alice.read(0, count), self.alice.read(0, count, lun=1))


for inherited in [name for name in vars(TokenTest) if name.startswith("test_")]:
    setattr(BackgroundTest, inherited, None)


if __name__ == "__main__":
    unittest.main()
