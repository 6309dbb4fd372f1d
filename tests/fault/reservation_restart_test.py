#!/usr/bin/python3
"""Reservations with APTPL survive a stop and a crash; those without do not; what is damaged is not passed over."""

import pathlib
import random
import threading
import unittest

import environment
import reservations as pr
import server as server_module
from initiator import Closed, TimedOut, connect
from server import Server

ALICE, BOB = "iqn.2026-11.test:alice", "iqn.2026-11.test:bob"
ISID = bytes([0x80, 0, 0, 0, 0, 1])
MIB = 1 << 20


class ReservationRestartTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.state = self.directory / "a" / "state"
        self.disk = self.directory / "disk.img"
        with open(self.disk, "wb") as file:
            file.truncate(16 * MIB)

    def server(self, *disks, state=None):
        server = Server(*(disks or (self.disk,)), options=("--state", str(state or self.state))).start()
        self.addCleanup(self.end, server)
        return server

    @staticmethod
    def end(server):
        server.kill()
        for client in server.clients:
            client.close()

    @staticmethod
    def session(server, initiator):
        session = connect(server, initiator=initiator, isid=ISID)
        for lun in server.luns:
            session.test_unit_ready(lun)
        return session

    def reserve(self, server, aptpl):
        alice, bob = self.session(server, ALICE), self.session(server, BOB)
        for session, key in ((alice, 0xA), (bob, 0xB)):
            self.assertEqual(0, pr.reserve_out(session, pr.REGISTER, action_key=key, aptpl=aptpl).status)
        self.assertEqual(0, pr.reserve_out(alice, pr.RESERVE, 0xA, kind=pr.WRITE_EXCLUSIVE).status)

    def check_reserved(self, server):
        bob = self.session(server, BOB)
        self.assertEqual(pr.CONFLICT, bob.execute(bytes([0x8A] + [0] * 12 + [1, 0, 0]), data=bytes(512)).status)
        self.assertEqual((0, [0xA, 0xB]), pr.keys(bob))
        self.assertEqual((0xA, pr.WRITE_EXCLUSIVE), pr.reservation(bob))
        self.assertEqual((True, True), pr.capabilities(bob))
        self.session(server, ALICE).write(0, bytes(512))

    def test_kept_across_stop_and_crash(self):
        server = self.server()
        self.assertFalse(self.state.exists(), "made when needed")
        self.reserve(server, aptpl=True)
        server.stop()
        server = self.server()
        self.check_reserved(server)
        server.kill()
        server = self.server()
        self.check_reserved(server)
        self.assertEqual(0o700, self.state.stat().st_mode & 0o777)

    def test_forgotten_without_aptpl(self):
        server = self.server()
        self.reserve(server, aptpl=False)
        server.kill()
        server = self.server()
        alice = self.session(server, ALICE)
        self.assertEqual((0, []), pr.keys(alice))
        self.assertEqual((True, False), pr.capabilities(alice))

    def test_each_unit_has_its_own(self):
        other = self.directory / "other.img"
        with open(other, "wb") as file:
            file.truncate(16 * MIB)
        server = self.server(self.disk, other)
        alice = self.session(server, ALICE)
        for lun in (0, 1):
            self.assertEqual(0, pr.reserve_out(alice, pr.REGISTER, action_key=lun + 1, aptpl=True, lun=lun).status)
        server.kill()
        server = self.server(self.disk, other)
        alice = self.session(server, ALICE)
        self.assertEqual([[1], [2]], [pr.keys(alice, lun)[1] for lun in (0, 1)])

    def test_whatever_was_acknowledged_is_there_after_a_crash_at_any_moment(self):
        numbers = random.Random(11)
        server = self.server()
        session, key = self.session(server, ALICE), 0
        for _ in range(8):
            killer = threading.Timer(numbers.uniform(0.005, 0.1), server.process.kill)
            killer.start()
            asked = key
            try:
                while True:
                    asked = key + 1
                    done = pr.reserve_out(session, pr.REGISTER, key, asked, aptpl=True)
                    self.assertEqual(0, done.status)
                    key = asked
            except (Closed, TimedOut, OSError):
                pass
            killer.join()
            server.kill()
            server = self.server()
            session = self.session(server, ALICE)
            kept = pr.keys(session)[1]
            # The last one may have become durable without its response getting out.
            self.assertIn(kept, [[asked], [key] if key else []])
            key = kept[0] if kept else 0
        self.assertGreater(key, 20)

    def test_a_damaged_file_keeps_it_from_starting(self):
        server = self.server()
        self.reserve(server, aptpl=True)
        server.stop()
        file, = self.state.iterdir()
        good = file.read_bytes()
        file.write_bytes(good.replace(b"0xa", b"0xc"))
        done = server_module.run("serve", "--listen", "127.0.0.1:0", "--state", self.state, self.disk)
        self.assertEqual(1, done.returncode)
        self.assertEqual("", done.stdout)
        self.assertIn(str(file), done.stderr)
        self.assertIn("move it away", done.stderr)
        file.unlink()
        server = self.server()
        self.assertEqual((0, []), pr.keys(self.session(server, ALICE)))

    def test_without_a_place_for_state_nothing_is_promised(self):
        (self.directory / "file").write_text("")
        server = self.server(state=self.directory / "file" / "state")
        server.wait_for_log("warning .*file is no directory: nothing .* survives a restart")
        alice = self.session(server, ALICE)
        self.assertEqual((False, False), pr.capabilities(alice))
        result = pr.reserve_out(alice, pr.REGISTER, action_key=1, aptpl=True)
        self.assertEqual((2, 5, 0x26, 0x00), (result.status, result.sense_key, result.asc, result.ascq))
        self.assertEqual(0, pr.reserve_out(alice, pr.REGISTER, action_key=1).status)


if __name__ == "__main__":
    unittest.main()
