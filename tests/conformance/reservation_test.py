#!/usr/bin/python3
"""Reservations between sessions: what unit tests of one logical unit cannot see."""

import struct
import time
import unittest

import environment
import reservations as pr
from initiator import connect
from server import Server

ALICE, BOB = "iqn.2026-11.test:alice", "iqn.2026-11.test:bob"
WRITE_ONE = struct.pack(">BBQIBB", 0x8A, 0, 0, 1, 0, 0)
READ_ONE = struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0)


class ReservationTest(unittest.TestCase):
    def setUp(self):
        self.server = Server("ram:16M", options=("--threads", "2")).start()
        self.addCleanup(self.server.kill)
        self.alice = connect(self.server, initiator=ALICE)
        self.bob = connect(self.server, initiator=BOB, keys={"InitialR2T": "Yes", "ImmediateData": "No"})
        for session in (self.alice, self.bob):
            session.test_unit_ready()

    def tearDown(self):
        self.server.stop()

    def register_both(self):
        self.assertEqual(0, pr.reserve_out(self.alice, pr.REGISTER, action_key=0xA).status)
        self.assertEqual(0, pr.reserve_out(self.bob, pr.REGISTER, action_key=0xB).status)

    def test_names_of_initiator_ports(self):
        self.register_both()
        self.assertEqual([(0xA, False, 1, f"{ALICE},i,0x{self.alice.isid.hex()}"),
                          (0xB, False, 1, f"{BOB},i,0x{self.bob.isid.hex()}")], pr.full_status(self.alice))

    def test_conflict_is_a_status_without_sense(self):
        self.register_both()
        self.assertEqual(0, pr.reserve_out(self.alice, pr.RESERVE, 0xA, kind=pr.EXCLUSIVE_ACCESS).status)
        for result in (self.bob.execute(READ_ONE, read_length=512), self.bob.execute(WRITE_ONE, data=bytes(512))):
            self.assertEqual((pr.CONFLICT, b"", b""), (result.status, result.sense, result.data))

    def test_registrations_outlive_sessions(self):
        self.register_both()
        self.assertEqual(0, pr.reserve_out(self.alice, pr.RESERVE, 0xA, kind=pr.WRITE_EXCLUSIVE).status)
        self.alice.logout(0)
        self.assertEqual(pr.CONFLICT, self.bob.execute(WRITE_ONE, data=bytes(512)).status)
        # Another initiator port of hers is somebody else.
        other = connect(self.server, initiator=ALICE)
        other.test_unit_ready()
        self.assertEqual(pr.CONFLICT, other.execute(WRITE_ONE, data=bytes(512)).status)
        again = connect(self.server, initiator=ALICE, isid=self.alice.isid)
        again.write(0, bytes(512))

    def test_preempt_and_abort_ends_tasks_of_the_other_session(self):
        self.register_both()
        self.bob.answer_r2t = False
        stuck = [self.bob.start(WRITE_ONE, data=bytes(512)) for _ in range(4)]
        while not all(task.r2ts for task in stuck):
            self.bob.step()
        start = time.monotonic()
        self.assertEqual(0, pr.reserve_out(self.alice, pr.PREEMPT_AND_ABORT, 0xA, 0xB).status)
        self.assertLess(time.monotonic() - start, environment.seconds(1.5), "nobody has to be waited for")
        # Aborted tasks get no response: the next thing that comes is about the next command.
        result = self.bob.execute(bytes(6))
        self.assertEqual((2, 6, 0x2A, 0x05), (result.status, result.sense_key, result.asc, result.ascq))
        self.assertTrue(all(task.result is None for task in stuck))
        self.bob.answer_r2t = True
        self.bob.write(0, bytes(512))

    def test_preempt_leaves_tasks_alone(self):
        self.register_both()
        self.bob.answer_r2t = False
        task = self.bob.start(WRITE_ONE, data=b"x" * 512)
        while not task.r2ts:
            self.bob.step()
        self.assertEqual(0, pr.reserve_out(self.alice, pr.PREEMPT, 0xA, 0xB).status)
        self.bob.send_data(task, task.r2ts[0].ttt, 0, 512)
        self.assertEqual(0, self.bob.wait(task).status)
        self.assertEqual(b"x" * 512, self.alice.read(0, 1))

    def test_two_who_preempt_each_other(self):
        """However it goes, one of them stays, and nobody waits for the other."""
        for _ in range(20):
            self.register_both()
            start = time.monotonic()
            tasks = [(session, session.start(struct.pack(">BBBHIB", 0x5F, pr.PREEMPT_AND_ABORT, 0, 0, 24, 0),
                                             data=struct.pack(">QQQ", own, other, 0)))
                     for session, own, other in ((self.alice, 0xA, 0xB), (self.bob, 0xB, 0xA))]
            time.sleep(0.01)
            for session, task in tasks:
                session.ping()  # Bob's R2T is answered on the way
            time.sleep(0.01)
            self.alice.ping()
            self.bob.ping()
            self.assertLess(time.monotonic() - start, environment.seconds(1.5))
            self.assertEqual(1, len(pr.keys(self.alice)[1]))
            for session in (self.alice, self.bob):
                session.test_unit_ready()
                pr.reserve_out(session, pr.REGISTER_AND_IGNORE)

    def test_reserve_ends_with_the_session(self):
        self.alice.check(bytes([0x16, 0, 0, 0, 0, 0]))
        self.assertEqual(pr.CONFLICT, self.bob.execute(bytes(6)).status)
        self.alice.close()
        deadline = time.monotonic() + environment.seconds(5)
        while self.bob.execute(bytes(6)).status and time.monotonic() < deadline:
            time.sleep(0.01)
        self.bob.test_unit_ready()


if __name__ == "__main__":
    unittest.main()
