#!/usr/bin/python3
"""EXTENDED COPY between logical units: the data, and who may not ask for what."""

import os
import struct
import time
import unittest

import environment
import reservations as pr
from extended_copy import (ADDRESSED_UNIT, BLOCK, CHECK, COPY_ABORTED, DONE, FAILED, ILLEGAL_REQUEST, IN_PROGRESS,
                           blocks_to_blocks, identification, lid1, lid4, naa_of, sense_of)
from initiator import connect
from server import Server
from tokens import IN_BACKGROUND, IN_FOREGROUND, TERMINATED

ALICE, BOB = "iqn.2026-11.test:alice", "iqn.2026-11.test:bob"
SIZE = 4096  # blocks of each disk
ABORT_TASK, LOGICAL_UNIT_RESET, COMPLETE = 1, 5, 0

# A disk of which each request of a copy takes half a second.
SLOW = ("ram:64M", "delay = { read_us = 500000 }")


class ExtendedCopyTest(unittest.TestCase):
    def setUp(self):
        self.server = Server(f"ram:{SIZE * BLOCK}", f"ram:{SIZE * BLOCK}", f"ram:{SIZE * BLOCK}").start()
        self.addCleanup(self.server.kill)
        self.alice = self.log_in(ALICE)
        self.data = os.urandom(1024 * BLOCK)
        self.write(0, 0, self.data)
        self.units = [identification(naa_of(self.alice, lun)) for lun in range(3)]

    def tearDown(self):
        self.server.stop()

    def log_in(self, name):
        session = connect(self.server, initiator=name)
        for lun in range(3):
            session.execute(bytes(6), lun=lun)
        return session

    def write(self, lun, lba, data):
        cdb = struct.pack(">BBQIBB", 0x8A, 0, lba, len(data) // BLOCK, 0, 0)
        self.assertEqual(0, self.alice.execute(cdb, lun=lun, data=data).status)

    def read(self, lun, lba, count):
        cdb = struct.pack(">BBQIBB", 0x88, 0, lba, count, 0, 0)
        return self.alice.execute(cdb, lun=lun, read_length=count * BLOCK).data

    def copy(self, parameters, session=None, lun=0):
        cdb = struct.pack(">BB8xIxx", 0x83, 0, len(parameters))
        return (session or self.alice).execute(cdb, lun=lun, data=parameters)

    def status(self, identifier, session=None):
        cdb = struct.pack(">BBB7xIxx", 0x84, 0, identifier, 12)
        return (session or self.alice).execute(cdb, read_length=12)

    def refused(self, result, key, code):
        self.assertEqual((CHECK, (key, code)), (result.status, sense_of(result)))

    def test_data_go_from_unit_to_unit(self):
        segments = [blocks_to_blocks(0, 1, 600, 0, 100), blocks_to_blocks(0, 2, 424, 600, 3000),
                    blocks_to_blocks(1, 2, 1, 100, 0)]
        self.assertEqual(0, self.copy(lid1(self.units, segments, identifier=7, usage=0)).status)
        self.assertEqual(self.data[:600 * BLOCK], self.read(1, 100, 600))
        self.assertEqual(self.data[600 * BLOCK:], self.read(2, 3000, 424))
        self.assertEqual(self.data[:BLOCK], self.read(2, 0, 1))
        self.assertEqual(bytes(100 * BLOCK), self.read(1, 0, 100))
        # Done, three segments, so many bytes.
        data = self.status(7).data
        self.assertEqual((1, 3, 0, 1025 * BLOCK), (data[4] & 0x7F, *struct.unpack(">HBI", data[5:12])))

    def test_ranges_of_one_unit_may_overlap(self):
        self.assertEqual(0, self.copy(lid1([], [blocks_to_blocks(ADDRESSED_UNIT, ADDRESSED_UNIT, 1000, 0, 10)])).status)
        self.assertEqual(self.data[:1000 * BLOCK], self.read(0, 10, 1000))

    def test_bytes_at_offsets(self):
        self.write(1, 0, b"\xee" * 4 * BLOCK)
        segment = struct.pack(">BBHHHIQQHH", 0x0A, 0, 0x1C, 0, 1, 1000, 2, 0, 17, 300)
        self.assertEqual(0, self.copy(lid1(self.units, [segment])).status)
        expected = bytearray(b"\xee" * 4 * BLOCK)
        expected[300:1300] = self.data[2 * BLOCK + 17:2 * BLOCK + 1017]
        self.assertEqual(bytes(expected), self.read(1, 0, 4))

    def test_nothing_moves_if_one_segment_is_wrong(self):
        good = blocks_to_blocks(0, 1, 10, 0, 0)
        for wrong, code in ((blocks_to_blocks(0, 1, 10, SIZE - 9, 0), 0x0D02),
                            (blocks_to_blocks(0, 1, 10, 0, SIZE - 9), 0x0D02),
                            (blocks_to_blocks(0, 1, 10, 1 << 63, 0), 0x0D02),
                            (blocks_to_blocks(0, 9, 10, 0, 0), 0x0804)):
            self.refused(self.copy(lid1(self.units, [good, wrong])), COPY_ABORTED, code)
        self.assertEqual(bytes(10 * BLOCK), self.read(1, 0, 10))

    def test_units_of_nobody_and_of_others_are_not_found(self):
        with Server(f"ram:{SIZE * BLOCK}", options=("--target-name", "iqn.2026-11.test:elsewhere")) as other:
            foreign = naa_of(connect(other, initiator=ALICE), 0)
        for designator in (foreign, bytes(8), b"\x33" * 16):
            unknown = identification(designator)
            self.refused(self.copy(lid1([self.units[0], unknown], [blocks_to_blocks(0, 1, 1, 0, 0)])), COPY_ABORTED,
                         0x0D02)
        wrong_blocks = identification(naa_of(self.alice, 1), block=4096)
        self.refused(self.copy(lid1([self.units[0], wrong_blocks], [blocks_to_blocks(0, 1, 1, 0, 0)])), COPY_ABORTED,
                     0x0D03)

    def test_reservations_of_others_are_kept(self):
        bob = self.log_in(BOB)
        to_reserved = lid1(self.units, [blocks_to_blocks(0, 1, 10, 0, 0)])
        from_reserved = lid1(self.units, [blocks_to_blocks(1, 2, 10, 0, 0)])
        self.assertEqual(0, pr.reserve_out(bob, pr.REGISTER, action_key=0xB, lun=1).status)
        for kind, readable in ((pr.WRITE_EXCLUSIVE, True), (pr.EXCLUSIVE_ACCESS, False)):
            self.assertEqual(0, pr.reserve_out(bob, pr.RESERVE, key=0xB, kind=kind, lun=1).status)
            self.refused(self.copy(to_reserved), COPY_ABORTED, 0x0D01)
            if readable:
                self.assertEqual(0, self.copy(from_reserved).status)
            else:
                self.refused(self.copy(from_reserved), COPY_ABORTED, 0x0D01)
            self.assertEqual(0, self.copy(to_reserved, session=bob).status)
            self.assertEqual(0, pr.reserve_out(bob, pr.RELEASE, key=0xB, kind=kind, lun=1).status)

    def test_a_protected_unit_is_not_written(self):
        with Server(f"ram:{SIZE * BLOCK}", options=("--read-only",)) as protected:
            session = connect(protected, initiator=ALICE)
            session.execute(bytes(6))
            unit = identification(naa_of(session, 0))
            self.refused(self.copy(lid1([unit], [blocks_to_blocks(0, 0, 10, 0, 100)]), session=session), COPY_ABORTED,
                         0x2700)

    def test_list_identifiers_belong_to_their_nexus(self):
        self.assertEqual(0, self.copy(lid1(self.units, [blocks_to_blocks(0, 1, 10, 0, 0)], 5, 0)).status)
        self.assertEqual(0, self.status(5).status)
        self.refused(self.status(5, session=self.log_in(BOB)), ILLEGAL_REQUEST, 0x2400)
        self.refused(self.status(6), ILLEGAL_REQUEST, 0x2400)


class EndTest(unittest.TestCase):
    """Copies that are ended before their time."""

    def setUp(self):
        self.server = Server(SLOW, "ram:64M").start()
        self.addCleanup(self.server.kill)
        self.session = connect(self.server, initiator=ALICE)
        for lun in range(2):
            self.session.execute(bytes(6), lun=lun)
        self.session.write(0, os.urandom(4096) * 8192)
        self.units = [identification(naa_of(self.session, lun)) for lun in range(2)]
        self.segment = blocks_to_blocks(0, 1, 65535, 0, 0)

    def tearDown(self):
        self.server.stop()

    def begin(self, service_action, parameters):
        cdb = struct.pack(">BB8xIxx", 0x83, service_action, len(parameters))
        task = self.session.start(cdb, data=parameters)
        self.session.execute(bytes(6))
        return task

    def status_lid1(self):
        return self.session.execute(struct.pack(">BBB7xIxx", 0x84, 0, 1, 12), read_length=12).data[4] & 0x7F

    def status_lid4(self):
        return self.session.execute(struct.pack(">BBI4xIxx", 0x84, 5, 0x10001, 255), read_length=255).data[5]

    def copied(self):
        """MiB at the destination that are not zeroes."""
        return sum(any(self.session.read(at * 2048, 1, lun=1)) for at in range(32))

    def test_abort_task(self):
        task = self.begin(0, lid1(self.units, [self.segment], 1, 0))
        self.assertEqual(IN_PROGRESS, self.status_lid1())
        started = time.monotonic()
        self.assertEqual(COMPLETE, self.session.manage(ABORT_TASK, task=task))
        self.assertLess(time.monotonic() - started, environment.seconds(3))
        after = self.copied()
        self.assertLess(after, 32)
        time.sleep(1)
        self.assertEqual(after, self.copied())

    def test_a_list_identifier_is_used_once_at_a_time(self):
        first = self.begin(0, lid1(self.units, [self.segment], 1, 0))
        second = lid1(self.units, [self.segment], 1, 0)
        refused = self.session.execute(struct.pack(">BB8xIxx", 0x83, 0, len(second)), data=second)
        self.assertEqual((CHECK, (ILLEGAL_REQUEST, 0x0016)), (refused.status, sense_of(refused)))
        self.assertEqual(0, self.session.wait(first, environment.seconds(30)).status)
        self.assertEqual(32, self.copied())

    def test_the_lowest_priority_has_one_request_at_a_time(self):
        parameters = lid1(self.units, [blocks_to_blocks(0, 1, 2048, 0, 0)], priority=7)
        started = time.monotonic()
        self.assertEqual(0, self.session.execute(struct.pack(">BB8xIxx", 0x83, 0, len(parameters)),
                                                 data=parameters).status)
        self.assertGreater(time.monotonic() - started, 4 * 0.5)

    def begin_in_background(self):
        parameters = lid4(self.units, [self.segment], 0x10001, immediate=True)
        started = time.monotonic()
        result = self.session.execute(struct.pack(">BB8xIxx", 0x83, 1, len(parameters)), data=parameters)
        self.assertEqual(0, result.status)
        self.assertLess(time.monotonic() - started, environment.seconds(0.4))
        self.assertEqual(IN_BACKGROUND, self.status_lid4())

    def wait_for_the_end(self):
        deadline = time.monotonic() + environment.seconds(30)
        while self.status_lid4() == IN_BACKGROUND and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.status_lid4()

    def test_in_the_background(self):
        self.begin_in_background()
        self.assertEqual(DONE, self.wait_for_the_end())
        self.assertEqual(32, self.copied())

    def test_copy_operation_abort_in_the_background(self):
        self.begin_in_background()
        self.assertEqual(0, self.session.execute(struct.pack(">BBI10x", 0x83, 0x1C, 0x10001)).status)
        self.assertEqual(TERMINATED, self.wait_for_the_end())
        self.assertLess(self.copied(), 32)

    def test_the_background_ends_with_its_session(self):
        self.begin_in_background()
        self.session.logout()
        self.session = connect(self.server, initiator=ALICE)
        for lun in range(2):
            self.session.execute(bytes(6), lun=lun)
        after = self.copied()
        self.assertLess(after, 32)
        time.sleep(1)
        self.assertEqual(after, self.copied())

    def test_a_reset_of_either_unit_ends_a_copy(self):
        for lun in (1, 0):
            self.begin_in_background()
            self.session.manage(LOGICAL_UNIT_RESET, lun=lun)
            self.session.execute(bytes(6))
            self.session.execute(bytes(6), lun=1)
            self.assertEqual(FAILED, self.wait_for_the_end())
            self.assertLess(self.copied(), 32)

    def test_copy_operation_abort(self):
        task = self.begin(1, lid4(self.units, [self.segment], 0x10001))
        self.assertEqual(IN_FOREGROUND, self.status_lid4())
        self.assertEqual(0, self.session.execute(struct.pack(">BBI10x", 0x83, 0x1C, 0x10001)).status)
        self.assertNotEqual(0, self.session.wait(task, environment.seconds(10)).status)
        self.assertEqual(TERMINATED, self.status_lid4())
        self.assertLess(self.copied(), 32)


if __name__ == "__main__":
    unittest.main()
