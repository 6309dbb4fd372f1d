#!/usr/bin/python3
"""Two initiators have a target do 32 copies at once, over and over, while others read and write, verified, on the same
disks and on one that no copy touches; and copies are aborted in between. Nobody starves, and all data are right.

No limit here is a matter of speed: bench/beside_copies measures how much others have to wait."""

import os
import pathlib
import time
import unittest

import environment
from copiers import Copiers
from extended_copy import abort_operation, blocks_to_blocks, identification, lid1, lid4, naa_of, start_copy
from initiator import connect
from server import Server
from workload import HealthyInitiator

MIB = 1 << 20
BLOCK = 512
PIECE = 2 * MIB // BLOCK   # what one copy copies
EACH = 16                  # copies of one initiator: as many as it may have
COPIES = 2 * EACH * PIECE  # blocks that all copies together write
ABORT_TASK, COMPLETE = 1, 0
LONGEST_ABORT = 2  # seconds

# Copies go from the first disk to the second, and inside the third; those that are aborted go from the fifth, which
# takes its time, to the fourth.
SOURCE, DESTINATION, INSIDE, OTHER, SLOW = range(5)


class ManyCopiesTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.data = os.urandom(COPIES // 2 * BLOCK)
        (self.directory / "source.img").write_bytes(self.data)
        with open(self.directory / "destination.img", "wb") as file:
            file.truncate(len(self.data) + 16 * MIB)
        self.server = Server(self.directory / "source.img", self.directory / "destination.img", "ram:160M", "ram:16M",
                             ("ram:64M", "delay = { read_us = 500000 }")).start()
        self.addCleanup(self.server.kill)
        self.session = connect(self.server, initiator="iqn.2026-11.test:third")
        for lun in range(5):
            self.session.test_unit_ready(lun)
        self.units = [identification(naa_of(self.session, lun)) for lun in range(5)]
        for lun, length in ((INSIDE, len(self.data)), (SLOW, 16 * MIB)):
            for at in range(0, length, MIB):
                self.session.write(at // BLOCK, self.data[at:at + MIB], lun=lun)

    def tearDown(self):
        self.server.stop()

    def read(self, lun, first, count):
        return b"".join(self.session.read(first + at, min(2048, count - at), lun=lun) for at in range(0, count, 2048))

    def copiers(self):
        """Half of each one's copies are between two disks, half inside one: to its second half, shifted."""
        pairs = []
        for who in range(2):
            segments = []
            for number in range(EACH // 2):
                at = (who * EACH // 2 + number) * PIECE
                segments.append(blocks_to_blocks(SOURCE, DESTINATION, PIECE, at, at))
                segments.append(blocks_to_blocks(INSIDE, INSIDE, PIECE, at, COPIES // 2 + at))
            pairs.append(Copiers(self.server, f"iqn.2026-11.test:copiers-{who}", self.units, segments))
        return pairs

    def aborted_by_task_management(self):
        task = start_copy(self.session, lid1(self.units, [blocks_to_blocks(SLOW, OTHER, 30000, 0, 0)]))
        time.sleep(0.3)
        started = time.monotonic()
        self.assertEqual(COMPLETE, self.session.manage(ABORT_TASK, task=task))
        self.assertLess(time.monotonic() - started, environment.seconds(LONGEST_ABORT))
        self.assertIsNone(task.result)

    def aborted_by_command(self, identifier):
        segment = blocks_to_blocks(SLOW, OTHER, 30000, 0, 0)
        task = start_copy(self.session, lid4(self.units, [segment], identifier), lid4_form=True)
        time.sleep(0.3)
        started = time.monotonic()
        self.assertEqual(0, abort_operation(self.session, identifier).status)
        self.assertNotEqual(0, self.session.wait(task, environment.seconds(10)).status)
        self.assertLess(time.monotonic() - started, environment.seconds(LONGEST_ABORT))

    def test_beside_verified_work(self):
        """What others write lies behind what copies write."""
        behind = len(self.data) // BLOCK
        first, second = self.copiers()
        with HealthyInitiator(self.server, behind, 4096, lun=DESTINATION), \
                HealthyInitiator(self.server, COPIES, 4096, lun=INSIDE), \
                HealthyInitiator(self.server, 30720, 2048, lun=OTHER), first, second:
            for number in range(3):
                self.aborted_by_task_management()
                self.aborted_by_command(0x30000 + number)
            for copiers in (first, second):
                copiers.wait_for_rounds(max(copiers.rounds) // 4 + 3)
        self.assertTrue(self.data == self.read(DESTINATION, 0, behind), "between disks, data are lost")
        self.assertTrue(self.data == self.read(INSIDE, COPIES // 2, behind), "inside a disk, data are lost")

    def test_one_copy_too_many(self):
        """Is refused, and does not wait: it says that there is no room for it now."""
        segments = [blocks_to_blocks(SLOW, OTHER, 2048, 0, 0)] * EACH
        tasks = [start_copy(self.session, lid1(self.units, [segment])) for segment in segments]
        refused = self.session.wait(start_copy(self.session, lid1(self.units, segments[:1])))
        self.assertEqual((2, 0x0A, 0x55, 0x03), (refused.status, refused.sense_key, refused.asc, refused.ascq))
        for task in tasks:
            self.assertEqual(0, self.session.wait(task, 60).status)
        again = start_copy(self.session, lid1(self.units, segments[:1]))
        self.assertEqual(0, self.session.wait(again, 60).status)


if __name__ == "__main__":
    unittest.main()
