#!/usr/bin/python3
"""Task management (RFC 7143 §4.2.3, §11.5, §11.6): each function, with commands in progress."""

import struct
import unittest

import pdu as wire
from initiator import Closed, TimedOut, connect
from server import Server

ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET = 1, 2, 3, 4
LOGICAL_UNIT_RESET, WARM_RESET, COLD_RESET, TASK_REASSIGN = 5, 6, 7, 8

COMPLETE, NO_TASK, NO_LUN, NO_REASSIGN, NOT_SUPPORTED, REJECTED = 0, 1, 2, 4, 5, 255

NO_UNSOLICITED = {"InitialR2T": "Yes", "ImmediateData": "No"}


def write_16(lba, blocks):
    return struct.pack(">BBQIBB", 0x8A, 0, lba, blocks, 0, 0)


class TaskManagementTest(unittest.TestCase):
    def setUp(self):
        self.server = Server("ram:16M", "ram:16M").start()
        self.addCleanup(self.server.stop)

    def session(self):
        session = connect(self.server, keys=NO_UNSOLICITED)
        self.addCleanup(session.close)
        for lun in (0, 1):
            session.test_unit_ready(lun)
        return session

    def stuck_write(self, session, lun=0, lba=0):
        """A command that waits for data that does not come: it is in the task set until someone ends it."""
        session.answer_r2t = False
        task = session.start(write_16(lba, 8), data=bytes(4096), lun=lun)
        while not task.r2ts:
            session.step()
        return task

    def never_answered(self, session, *tasks):
        with self.assertRaises(TimedOut):
            session.step(0.4)
        for task in tasks:
            self.assertIsNone(task.result)
            del session.tasks[task.itt]

    def test_abort_task(self):
        session = self.session()
        task = self.stuck_write(session)
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK, task=task))
        self.never_answered(session, task)
        session.test_unit_ready()

    def test_abort_leaves_other_tasks_alone(self):
        session = self.session()
        doomed, other = self.stuck_write(session, lba=0), self.stuck_write(session, lba=8)
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK, task=doomed))
        session.send_data(other, other.r2ts[0].ttt, 0, 4096)
        self.assertEqual(0, session.wait(other).status)

    def test_data_for_an_aborted_task_does_no_harm(self):
        session = self.session()
        session.write(0, b"\x11" * 4096)
        task = self.stuck_write(session)
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK, task=task))
        session.send_data(task, task.r2ts[0].ttt, 0, 4096)
        del session.tasks[task.itt]
        self.assertEqual(b"\x11" * 4096, session.read(0, 8))

    def test_abort_of_a_task_that_does_not_exist(self):
        session = self.session()
        self.assertEqual(NO_TASK, session.manage(ABORT_TASK, referenced=0x4242, ref_cmd_sn=session.cmd_sn - 1))

    def test_abort_of_a_command_that_has_not_come_yet(self):
        """RFC 7143 §11.5.5: a number in the window that was not received counts as received; 'complete'."""
        session = self.session()
        missing = session.take_cmd_sn()
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK, referenced=0x4242, ref_cmd_sn=missing))
        session.test_unit_ready()

    def test_abort_of_a_finished_task(self):
        session = self.session()
        task = session.start(bytes(6))
        self.assertEqual(0, session.wait(task).status)
        self.assertEqual(NO_TASK, session.manage(ABORT_TASK, task=task))

    def test_abort_task_set(self):
        session, other = self.session(), self.session()
        tasks = [self.stuck_write(session, lba=i * 8) for i in range(4)]
        elsewhere = self.stuck_write(session, lun=1)
        foreign = self.stuck_write(other)
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK_SET))
        self.never_answered(session, *tasks)
        for owner, task, lun in ((session, elsewhere, 1), (other, foreign, 0)):
            owner.send_data(task, task.r2ts[0].ttt, 0, 4096, lun)
            self.assertEqual(0, owner.wait(task).status)

    def test_clear_task_set(self):
        session, other = self.session(), self.session()
        own, foreign = self.stuck_write(session), self.stuck_write(other)
        self.assertEqual(COMPLETE, session.manage(CLEAR_TASK_SET))
        self.never_answered(session, own)
        # The other initiator has a task set of its own (TST is 001b in the control mode page).
        other.send_data(foreign, foreign.r2ts[0].ttt, 0, 4096, 0)
        self.assertEqual(0, other.wait(foreign).status)

    def test_logical_unit_reset(self):
        session, other = self.session(), self.session()
        own, elsewhere, foreign = self.stuck_write(session), self.stuck_write(session, lun=1), self.stuck_write(other)
        self.assertEqual(COMPLETE, session.manage(LOGICAL_UNIT_RESET))
        self.never_answered(session, own)
        self.never_answered(other, foreign)
        session.send_data(elsewhere, elsewhere.r2ts[0].ttt, 0, 4096, 1)
        self.assertEqual(0, session.wait(elsewhere).status)
        for nexus in (session, other):
            result = nexus.execute(bytes(6))
            self.assertEqual((2, 6, 0x29), (result.status, result.sense_key, result.asc))
            nexus.test_unit_ready()

    def test_reset_of_a_lun_that_does_not_exist(self):
        session = self.session()
        for function in (ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET):
            with self.subTest(function):
                self.assertEqual(NO_LUN, session.manage(function, lun=9))

    def test_warm_reset(self):
        session, other = self.session(), self.session()
        tasks = [self.stuck_write(session), self.stuck_write(session, lun=1)]
        foreign = self.stuck_write(other, lun=1)
        self.assertIn(session.manage(WARM_RESET), (COMPLETE,))
        self.never_answered(session, *tasks)
        self.never_answered(other, foreign)
        for lun in (0, 1):
            result = session.execute(bytes(6), lun=lun)
            self.assertEqual((2, 6, 0x29), (result.status, result.sense_key, result.asc))

    def test_cold_reset_ends_the_connections(self):
        session, other = self.session(), self.session()
        self.stuck_write(session)
        session.connection.send(wire.task_management(COLD_RESET, session.new_itt(), session.cmd_sn,
                                                     session.exp_stat_sn))
        session.connection.expect_close()
        other.connection.expect_close()
        self.session().test_unit_ready()

    def test_task_reassign_at_level_0(self):
        session = self.session()
        task = self.stuck_write(session)
        self.assertIn(session.manage(TASK_REASSIGN, task=task), (NO_REASSIGN, NOT_SUPPORTED))

    def test_clear_aca_without_aca(self):
        self.assertIn(self.session().manage(CLEAR_ACA), (COMPLETE, NOT_SUPPORTED))

    def test_unknown_function(self):
        for function in (0, 15, 0x7F):
            with self.subTest(function):
                session = self.session()
                try:
                    self.assertIn(session.manage(function), (NOT_SUPPORTED, REJECTED))
                except Closed:
                    self.fail("the session ended because of an unknown function")

    def test_in_order_of_the_command_numbers(self):
        """A function that is not immediate waits for the commands before it."""
        session = self.session()
        task = self.stuck_write(session)
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK, task=task, immediate=False))
        del session.tasks[task.itt]
        session.test_unit_ready()

    def test_many_aborts(self):
        session = self.session()
        for round_number in range(10):
            tasks = [self.stuck_write(session, lba=i * 8) for i in range(16)]
            for task in tasks:
                self.assertEqual(COMPLETE, session.manage(ABORT_TASK, task=task), round_number)
                del session.tasks[task.itt]
        session.answer_r2t = True
        session.write(0, b"\x33" * 4096)
        self.assertEqual(b"\x33" * 4096, session.read(0, 8))


if __name__ == "__main__":
    unittest.main()
