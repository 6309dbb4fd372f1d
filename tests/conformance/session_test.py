#!/usr/bin/python3
"""Sessions (RFC 7143 §4.4, §6.3): several at once, reinstatement with commands in progress, keep-alive."""

import contextlib
import os
import signal
import struct
import time
import unittest

import environment
import pdu as wire
from initiator import FULL_FEATURE, OPERATIONAL, SECURITY, Closed, Connection, LoginFailed, Session, connect
from server import Server

ISID = b"\x80\x00\x00\x00\x00\x07"


class SessionTest(unittest.TestCase):
    def setUp(self):
        self.server = Server("ram:16M", options=("--threads", "2")).start()
        self.addCleanup(self.server.stop)

    def session(self, **arguments):
        session = connect(self.server, **arguments)
        self.addCleanup(session.close)
        return session

    def test_sessions_have_handles_of_their_own(self):
        sessions = [self.session() for _ in range(16)]
        handles = {session.tsih for session in sessions}
        self.assertEqual(16, len(handles))
        self.assertNotIn(0, handles)

    def test_sessions_see_each_others_writes(self):
        one, other = self.session(), self.session(initiator="iqn.2026-11.test:other")
        data = os.urandom(8192)
        one.write(64, data)
        self.assertEqual(data, other.read(64, 16))

    def test_same_identifier_reinstates_the_session(self):
        old = self.session(isid=ISID)
        old.test_unit_ready()
        new = self.session(isid=ISID)
        old.connection.expect_close()
        new.test_unit_ready()

    def test_same_identifier_of_another_initiator_is_another_session(self):
        one = self.session(isid=ISID)
        other = self.session(isid=ISID, initiator="iqn.2026-11.test:other")
        one.test_unit_ready()
        other.test_unit_ready()

    def test_reinstatement_with_commands_in_progress(self):
        old = self.session(isid=ISID, keys={"InitialR2T": "Yes", "ImmediateData": "No"})
        old.test_unit_ready()
        old.answer_r2t = False
        tasks = [old.start(struct.pack(">BBQIBB", 0x8A, 0, i * 8, 8, 0, 0), data=b"\x55" * 4096) for i in range(16)]
        while not all(task.r2ts for task in tasks):
            old.step()
        new = self.session(isid=ISID)
        old.connection.expect_close()
        new.write(0, b"\x66" * 4096)
        self.assertEqual(b"\x66" * 4096 + bytes(4096), new.read(0, 16), "tasks of the old session have no effect")

    def test_reinstatement_while_data_is_on_its_way(self):
        """The initiator has lost its connection in the middle of a large read and comes back."""
        for _ in range(10):
            old = self.session(isid=ISID)
            for i in range(8):
                old.start(struct.pack(">BBQIBB", 0x88, 0, 0, 2048, 0, 0), read_length=1 << 20)
            new = self.session(isid=ISID)
            new.test_unit_ready()
            old.close()

    def test_only_one_of_several_logins_at_the_same_moment_stays(self):
        """A session may be replaced while the answer to its login is still being sent."""
        rivals = [Session(Connection(self.server.address), self.server.target, isid=ISID) for _ in range(4)]
        for rival in rivals:
            self.addCleanup(rival.connection.close)
            rival.login_step([*rival.names(), ("AuthMethod", "None")], SECURITY, OPERATIONAL)
        # The target finds all the requests at once when it goes on.
        self.server.process.send_signal(signal.SIGSTOP)
        for rival in rivals:
            rival.send_login([], OPERATIONAL, FULL_FEATURE)
        self.server.process.send_signal(signal.SIGCONT)
        for step in (Session.login_response, Session.test_unit_ready):
            living, rivals = rivals, []
            for rival in living:
                with contextlib.suppress(Closed, ConnectionError):
                    step(rival)
                    rivals.append(rival)
        self.assertEqual(1, len(rivals))

    def test_login_with_the_handle_of_the_session(self):
        """TSIH and ISID of a living session with its CID: the connection is reinstated, at level 0 the session."""
        old = self.session(isid=ISID, cid=3)
        connection = Connection(self.server.address)
        self.addCleanup(connection.close)
        try:
            new = Session(connection, self.server.target, isid=ISID, tsih=old.tsih, cid=3).login()
            new.test_unit_ready()
            old.connection.expect_close()
        except LoginFailed as failure:
            self.assertEqual(0x02, failure.status >> 8)

    def test_lost_connections_leave_nothing_behind(self):
        self.session().close()
        time.sleep(0.5)
        before = self.server.descriptors()
        for number in range(100):
            session = self.session(isid=b"\x80\0\0\0\0" + bytes([number]))
            session.start(struct.pack(">BBQIBB", 0x88, 0, 0, 2048, 0, 0), read_length=1 << 20)
            (session.connection.abort if number % 2 else session.close)()
        deadline = time.monotonic() + environment.seconds(10)
        while self.server.descriptors() > before and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertLessEqual(self.server.descriptors(), before)


class KeepAliveTest(unittest.TestCase):
    """The target asks silent initiators whether they are there: after 10 s, and gives them 60 s to answer."""

    def test_silent_initiator_is_asked_and_one_without_answer_dropped(self):
        with Server("ram:16M") as server:
            polite, rude = connect(server), connect(server)
            rude.answer_nops = False
            start = time.monotonic()
            ping = polite.step(25)
            self.assertEqual(wire.NOP_IN, ping.opcode)
            self.assertNotEqual(wire.RESERVED_TAG, ping.ttt)
            self.assertGreater(time.monotonic() - start, 5)
            self.assertEqual(wire.NOP_IN, rude.step(5).opcode)
            rude.connection.expect_close(75)
            # The polite one answered, and is still there.
            polite.test_unit_ready()
            with self.assertRaises(Closed):
                rude.test_unit_ready()


if __name__ == "__main__":
    unittest.main()
