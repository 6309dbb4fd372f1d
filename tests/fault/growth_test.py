#!/usr/bin/python3
"""A file that grows while it is served: initiators are told, and can use what is new."""

import os
import pathlib
import time
import unittest

import environment
from initiator import CheckCondition, connect
from server import Server

MIB = 1 << 20


class GrowthTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.disk = pathlib.Path(directory.name) / "disk.img"
        with open(self.disk, "wb") as file:
            file.truncate(16 * MIB)

    def unit_attention(self, session):
        """Sends TEST UNIT READY until it ends in a unit attention; its code and qualifier."""
        deadline = time.monotonic() + environment.seconds(15)
        while time.monotonic() < deadline:
            result = session.execute(bytes(6))
            if result.status == 2 and result.sense_key == 6:
                return result.asc, result.ascq
            time.sleep(0.1)
        self.fail("no unit attention came")

    def test_growth_is_told_to_every_initiator_once(self):
        with Server(self.disk) as server:
            sessions = [connect(server), connect(server, initiator="iqn.2026-11.test:other")]
            for session in sessions:
                self.assertEqual((16 * 2048, 512), session.capacity())
            os.truncate(self.disk, 32 * MIB)
            for session in sessions:
                self.assertEqual((0x2A, 0x09), self.unit_attention(session))
                self.assertEqual(0, session.execute(bytes(6)).status)
                self.assertEqual((32 * 2048, 512), session.capacity())
            data = os.urandom(4096)
            sessions[0].write(31 * 2048, data)
            self.assertEqual(data, sessions[1].read(31 * 2048, 8))

    def test_a_file_that_shrinks_is_an_error_where_it_is_missing_and_no_crash(self):
        with Server(self.disk) as server:
            session = connect(server)
            session.write(0, b"\x11" * 4096)
            os.truncate(self.disk, 8 * MIB)
            time.sleep(0.5)
            self.assertEqual(b"\x11" * 4096, session.read(0, 8))
            try:
                session.read(12 * 2048, 8)
            except CheckCondition as failure:
                self.assertIn(failure.result.sense_key, (0x3, 0x4, 0x5, 0xB))
            session.test_unit_ready()


if __name__ == "__main__":
    unittest.main()
