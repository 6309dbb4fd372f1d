#!/usr/bin/python3
"""Stopping and coming back: sessions are logged out, clients reconnect, and nothing that was acknowledged is lost."""

import fcntl
import json
import os
import pathlib
import random
import signal
import socket
import struct
import threading
import time
import unittest

import environment
import pdu as wire
import server as server_module
from initiator import CheckCondition, Closed, Connection, LoginFailed, Rejected, Session, TimedOut, connect
from server import Server

MIB = 1 << 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class StopTest(unittest.TestCase):
    def test_without_sessions(self):
        server = Server("ram:16M").start()
        start = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - start, environment.seconds(2))

    def test_by_sigint(self):
        server = Server("ram:16M").start()
        server.request_stop(signal.SIGINT)
        self.assertEqual(0, server.wait())

    def test_initiators_are_asked_to_log_out(self):
        server = Server("ram:16M", options=("--threads", "2")).start()
        sessions = [connect(server) for _ in range(4)]
        for session in sessions:
            session.test_unit_ready()
        start = time.monotonic()
        server.request_stop()
        for session in sessions:
            message = session.collect(wire.ASYNC, timeout=10)
            self.assertEqual(wire.ASYNC_LOGOUT_REQUEST, message.u8(36))
            self.assertEqual(wire.RESERVED_TAG, message.itt)
            # It leaves a moment for what is in progress: Parameter3 says how long.
            self.assertGreater(message.u16(42), 0)
        for session in sessions:
            session.test_unit_ready()
            self.assertEqual(0, session.logout(0))
            session.connection.expect_close()
        self.assertEqual(0, server.wait())
        server.check_log()
        self.assertLess(time.monotonic() - start, environment.seconds(4), "nobody waits once all have logged out")

    def test_initiators_that_do_not_log_out_are_cut_off(self):
        server = Server("ram:16M").start()
        session = connect(server)
        session.test_unit_ready()
        start = time.monotonic()
        server.request_stop()
        self.assertEqual(0, server.wait(20))
        self.assertLess(time.monotonic() - start, environment.seconds(12))
        session.connection.expect_close()
        server.check_log()

    def test_with_commands_in_progress_and_logins_half_done(self):
        server = Server("ram:64M", options=("--threads", "2")).start()
        stuck = connect(server, keys={"InitialR2T": "Yes", "ImmediateData": "No"})
        stuck.test_unit_ready()
        stuck.answer_r2t = False
        for i in range(16):
            stuck.start(struct.pack(">BBQIBB", 0x8A, 0, i, 1, 0, 0), data=bytes(512))
        deaf = connect(server)
        for _ in range(32):
            deaf.start(struct.pack(">BBQIBB", 0x88, 0, 0, 2048, 0, 0), read_length=MIB)
        half = Session(Connection(server.address), server.target)
        half.login_step(half.names(), 0, transit=False)
        silent = Connection(server.address)
        server.request_stop()
        self.assertEqual(0, server.wait(25))
        server.check_log()
        for connection in (silent, half.connection):
            connection.expect_close()

    def test_no_new_sessions_while_stopping(self):
        server = Server("ram:16M").start()
        session = connect(server)
        session.test_unit_ready()
        server.request_stop()
        session.collect(wire.ASYNC, timeout=10)
        with self.assertRaises((OSError, Closed, LoginFailed)):
            connect(server).test_unit_ready()
        session.logout(0)
        self.assertEqual(0, server.wait())

    def test_second_sigint_ends_it_at_once(self):
        server = Server("ram:16M").start()
        session = connect(server)
        session.test_unit_ready()
        server.request_stop(signal.SIGINT)
        session.collect(wire.ASYNC, timeout=10)
        start = time.monotonic()
        server.request_stop(signal.SIGINT)
        self.assertEqual(1, server.wait())
        self.assertLess(time.monotonic() - start, environment.seconds(2))

    def test_stop_at_any_moment_of_start(self):
        for delay in (0, 0.005, 0.01, 0.02, 0.05, 0.1):
            server = Server("ram:16M", luns=0)
            server.start()
            time.sleep(delay)
            server.request_stop()
            # Before it has begun to listen to signals it ends by the signal, afterwards by itself.
            self.assertIn(server.wait(), (0, -signal.SIGTERM))
            server.check_log()

    def test_port_in_use_is_an_error_that_names_it(self):
        with Server("ram:16M") as server:
            port = server.address[1]
            done = server_module.run("serve", "--listen", f"127.0.0.1:{port}", "ram:16M")
            self.assertEqual(1, done.returncode)
            self.assertRegex(done.stderr, rf"127\.0\.0\.1.*\b{port}\b.*in use")
            self.assertEqual("", done.stdout)


class RestartTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.disk = pathlib.Path(directory.name) / "disk.img"
        with open(self.disk, "wb") as file:
            file.truncate(64 * MIB)
        self.listen = (f"127.0.0.1:{free_port()}",)

    def server(self, *options):
        return Server(self.disk, options=options, listen=self.listen)

    def test_clients_reconnect_and_find_their_data(self):
        data = os.urandom(MIB)
        with self.server() as server:
            session = connect(server)
            session.write(0, data)
            session.close()
            target = server.target
        with self.server() as server:
            self.assertEqual(target, server.target)
            self.assertEqual(data, connect(server).read(0, MIB // 512))

    def test_a_predecessor_that_takes_its_time_to_go_is_waited_for(self):
        """As the kernel's remains of a killed server on a busy machine. A command would wait for a second."""
        with open(self.disk, "r+b") as predecessor:
            fcntl.lockf(predecessor, fcntl.LOCK_EX)
            gone = threading.Timer(2, fcntl.lockf, (predecessor, fcntl.LOCK_UN))
            gone.start()
            with self.server() as server:
                gone.join()
                connect(server).test_unit_ready()
                self.assertRegex(server.log(), "disk.img is in use: waiting up to 5 s")

    def test_identity_is_the_same_after_a_restart(self):
        def identity(server):
            session = connect(server)
            pages = [session.check(bytes([0x12, 1, page, 0, 255, 0]), read_length=255).data for page in (0x80, 0x83)]
            session.close()
            return pages

        with self.server() as server:
            before = identity(server)
        with self.server() as server:
            self.assertEqual(before, identity(server))

    def test_nothing_acknowledged_is_lost_by_a_stop(self):
        """One who writes until it is asked to leave, and at once comes back to look."""
        written = {}
        server = self.server().start()
        session = connect(server)
        stopper = threading.Timer(0.5, server.request_stop)
        stopper.start()
        numbers = random.Random(5)
        try:
            while not session.asyncs:
                lba, data = numbers.randrange(1000) * 8, os.urandom(4096)
                session.write(lba, data)
                written[lba] = data
            session.logout(0)
        except (Closed, Rejected) as failure:
            self.fail(f"the session ended before its logout: {failure}")
        self.assertEqual(0, server.wait())
        self.assertGreater(len(written), 50)
        with self.server() as server:
            self.verify(connect(server), written)

    def test_nothing_flushed_is_lost_by_a_crash(self):
        for options, make_durable in (((), "flush"), ((), "fua"), (("--write-through",), "nothing"),
                                      (("--no-direct",), "flush")):
            with self.subTest(options=options, make_durable=make_durable):
                written = self.write_until_killed(options, make_durable)
                self.assertGreater(len(written), 10)
                with self.server() as server:
                    self.verify(connect(server), written)

    def write_until_killed(self, options, make_durable):
        """Writes in rounds, makes each durable, and returns what was so when the server was killed."""
        server = self.server(*options).start()
        session = connect(server)
        killer = threading.Timer(0.6, server.process.kill)
        killer.start()
        numbers, durable = random.Random(6), {}
        try:
            while True:
                round_written = {}
                for _ in range(4):
                    lba, data = numbers.randrange(2000) * 8, os.urandom(4096)
                    # What is being overwritten may be old or new after a crash: nothing is claimed about it.
                    durable.pop(lba, None)
                    session.write(lba, data, fua=make_durable == "fua")
                    round_written[lba] = data
                if make_durable == "flush":
                    session.flush()
                durable.update(round_written)
        except (Closed, TimedOut, OSError):
            pass
        killer.join()
        server.kill()
        session.close()
        return durable

    def verify(self, session, written):
        for lba, data in written.items():
            self.assertEqual(data, session.read(lba, 8), f"block {lba}")
        session.close()


class CommandLineTest(unittest.TestCase):
    def test_version_and_help(self):
        version = server_module.run("--version")
        self.assertEqual(0, version.returncode)
        self.assertRegex(version.stdout, r"^peerlane \d+\.\d+\.\d+\n")
        self.assertIn("io_uring", version.stdout)
        for arguments in (("--help",), ("serve", "--help"), ("check", "--help")):
            done = server_module.run(*arguments)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertIn("Example" if "serve" in arguments else "--help", done.stdout)

    def test_usage_errors(self):
        for arguments in ((), ("dance",), ("serve",), ("serve", "--dance", "ram:1M"), ("serve", "/nonexistent"),
                          ("serve", "--listen", "here", "ram:1M"), ("serve", "--listen", "0.0.0.0:0", "ram:1M"),
                          ("serve", "--config", "/nonexistent"), ("check",), ("check", "/nonexistent")):
            with self.subTest(arguments):
                done = server_module.run(*arguments)
                self.assertEqual(2, done.returncode)
                self.assertTrue(done.stderr or done.stdout)

    def test_check_explains_with_line_and_remedy(self):
        with environment.scratch() as directory:
            path = pathlib.Path(directory) / "bad.toml"
            path.write_text("[service]\nthread = 2\n[[target]]\nname = \"x\"\n[[target.lun]]\ndisk = \"none.img\"\n")
            done = server_module.run("check", path)
            self.assertEqual(2, done.returncode)
            for line in (f"{path}:2:1: error: ", "did you mean threads?", f"{path}:4:8: error: ",
                         f"{path}:6:8: error: "):
                self.assertIn(line, done.stdout)

    def test_json(self):
        server = Server("ram:16M", "ram:32M", options=("--json",)).start()
        luns = [json.loads(line) for line in server.urls]
        server.stop()
        self.assertEqual([(0, 16 * MIB), (1, 32 * MIB)], [(lun["lun"], lun["size"]) for lun in luns])
        self.assertEqual("iscsi", luns[0]["url"].split(":")[0])

    def test_json_log(self):
        with Server("ram:16M", options=("--json-log",)) as server:
            connect(server).test_unit_ready()
            server.wait_for_log("ready")
            for line in server.log().splitlines():
                self.assertLessEqual({"time", "level", "message"}, set(json.loads(line)))

    def test_configuration_file(self):
        with environment.scratch() as directory:
            path = pathlib.Path(directory) / "two.toml"
            disk = pathlib.Path(directory) / "a.img"
            with open(disk, "wb") as file:
                file.truncate(MIB)
            path.write_text('[[portal]]\nlisten = "127.0.0.1:0"\n'
                            '[[target]]\nname = "iqn.2026-11.test:one"\n[[target.lun]]\nnumber = 3\ndisk = "a.img"\n'
                            '[[target]]\nname = "iqn.2026-11.test:two"\n[[target.lun]]\ndisk = "ram:2M"\n'
                            'read_only = true\n')
            with Server(config=path, luns=2) as server:
                parsed = [server_module.parse_url(url) for url in server.urls]
                self.assertEqual([("iqn.2026-11.test:one", 3), ("iqn.2026-11.test:two", 0)],
                                 sorted((target, lun) for _, _, target, lun in parsed))
                with Connection(server.address) as connection:
                    session = Session(connection, "iqn.2026-11.test:two").login()
                    with self.assertRaises(CheckCondition) as caught:
                        session.write(0, bytes(512))
                    self.assertEqual(0x7, caught.exception.result.sense_key, "DATA PROTECT")


if __name__ == "__main__":
    unittest.main()
