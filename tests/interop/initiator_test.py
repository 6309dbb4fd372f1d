#!/usr/bin/python3
"""The initiator against real targets: Peerlane's own and tgt. tests/interop/initiator/exercise.cc uses a LUN as an
application would, and says what does not hold."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

import environment
from server import Server
from tgt import TARGET, Tgt, free_port

EXERCISE = os.environ["PEERLANE_EXERCISE"]
MIB = 1 << 20
USER, SECRET = "alice", "alice's own secret"
TARGET_USER, TARGET_SECRET = "the-target", "the target's secret"


def exercise(*arguments, env=None, timeout=120):
    """Runs the exercise to its end; the finished process."""
    try:
        return subprocess.run([EXERCISE, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, env={**os.environ, **(env or {})}, timeout=environment.seconds(timeout),
                              check=False)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{arguments} did not end: {error.stderr}") from None


def facts(done):
    """The "name value" lines of an exercise."""
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


class Exercises(unittest.TestCase):
    def passes(self, *arguments, env=None):
        done = exercise(*arguments, env=env)
        self.assertEqual(0, done.returncode, f"{arguments}: {done.stdout}{done.stderr}")
        return facts(done)

    def fails(self, expected, *arguments, env=None):
        done = exercise(*arguments, env=env)
        self.assertEqual(1, done.returncode, f"{arguments}: {done.stdout}{done.stderr}")
        self.assertIn(expected, done.stderr)
        return done.stderr


class PeerlaneTest(Exercises):
    def test_everything_on_both_block_sizes(self):
        for size in ("512", "4096"):
            with self.subTest(size), Server("ram:64M", options=("--block-size", size)) as server:
                found = self.passes("facts", server.url)
                self.assertEqual((str(64 * MIB), size), (found["size"], found["block"]))
                self.assertEqual(("true",) * 3, (found["unmap"], found["write_zeroes"], found["allocation"]))
                self.passes("transfer", server.url)
                self.passes("provisioning", server.url)
                found = self.passes("commands", server.url)
                self.assertEqual(("true", "true"), (found["compare_and_write"], found["verify_compares"]))

    def test_digests(self):
        with Server("ram:64M") as server:
            for header, data in (("none", "none"), ("require", "none"), ("none", "prefer"), ("require", "require")):
                url = f"{server.url}?header_digest={header}&data_digest={data}"
                expected = f"{str(header != 'none').lower()} {str(data != 'none').lower()}"
                self.assertEqual(expected, self.passes("facts", url)["digests"])
                self.passes("transfer", url)

    def test_chap(self):
        with Server("ram:64M", env={"S": SECRET, "M": TARGET_SECRET},
                    options=("--chap-user", USER, "--chap-secret-env", "S", "--mutual-user", TARGET_USER,
                             "--mutual-secret-env", "M")) as server:
            mine = {"PEERLANE_CHAP_USER": USER, "PEERLANE_CHAP_SECRET": SECRET}
            both = {**mine, "PEERLANE_TARGET_CHAP_USER": TARGET_USER, "PEERLANE_TARGET_CHAP_SECRET": TARGET_SECRET}
            self.passes("facts", server.url, env=mine)
            self.passes("facts", server.url, env=both)
            self.fails("it wants CHAP", "facts", server.url)
            self.fails("check CHAP user and secret", "facts", server.url,
                       env={**mine, "PEERLANE_CHAP_SECRET": "another secret"})
            self.fails("proof is wrong", "facts", server.url,
                       env={**both, "PEERLANE_TARGET_CHAP_SECRET": "yet another secret"})
            complaint = self.fails("has no secret", "facts", server.url, env={"PEERLANE_CHAP_USER": USER})
            self.assertNotIn(SECRET, complaint)

    def test_reservations(self):
        with Server("ram:64M") as server:
            found = self.passes("reservations", server.url)
            self.assertEqual(("true", "true"), (found["size_while_reserved"], found["survives_reconnect"]))

    def test_errors_say_what_to_do(self):
        with Server("ram:64M") as server:
            portal = server.portal_url
            self.fails("check its name", "facts", f"{portal}/iqn.2026-11.dev.peerlane:absent/0")
            self.fails("no such logical unit", "facts", server.url[:-1] + "7")
        self.fails("nothing listens there", "facts", f"iscsi://127.0.0.1:{free_port()}/iqn.2026-11.dev.peerlane:x/0")
        self.fails("no host named", "facts", "iscsi://no-such-host.invalid/iqn.2026-11.dev.peerlane:x/0")

    def test_discovery(self):
        with Server("ram:64M", listen=("127.0.0.1:0", "127.0.0.2:0")) as server:
            host, port = server.address
            done = exercise("discover", host, port)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual(2, len(done.stdout.splitlines()), done.stdout)
            self.assertIn(f"{server.target} {host}:{port} 1", done.stdout.splitlines())


class ThreadsTest(Exercises):
    """A disk that is used by others than the reactor that it is at home on, and a server with several of these."""

    def test_threads(self):
        for options in ("", "?sessions=2"):
            for size in ("512", "4096"):
                with self.subTest(options + size), Server("ram:64M", options=("--block-size", size)) as server:
                    self.passes("threads", server.url + options)

    def test_another_reactor(self):
        with Server("ram:64M") as server:
            self.passes("elsewhere", server.url)


class TgtTest(Exercises):
    def test_everything(self):
        with Tgt(64 * MIB) as target:
            found = self.passes("facts", target.url)
            self.assertEqual(str(64 * MIB), found["size"])
            done = exercise("discover", "127.0.0.1", target.port)
            self.assertIn(f"{TARGET} 127.0.0.1:{target.port} 1", done.stdout.splitlines(), done.stderr)
            self.passes("transfer", target.url)
            self.passes("provisioning", target.url)
            # tgt states a limit for it, and does not have it.
            found = self.passes("commands", target.url)
            self.assertEqual(("false", "true"), (found["compare_and_write"], found["verify_compares"]))

    def test_digests(self):
        with Tgt(64 * MIB, digests="CRC32C") as target:
            url = target.url + "?header_digest=require&data_digest=require"
            self.assertEqual("true true", self.passes("facts", url)["digests"])
            self.passes("transfer", url)

    def test_chap(self):
        with Tgt(64 * MIB, accounts={USER: "alicesecret12"}) as target:
            env = {"PEERLANE_CHAP_USER": USER, "PEERLANE_CHAP_SECRET": "alicesecret12"}
            self.passes("transfer", target.url, env=env)
            self.fails("CHAP", "facts", target.url)
        with Tgt(64 * MIB, accounts={USER: "alicesecret12", "target": "targetsecret12"}) as target:
            both = {**env, "PEERLANE_TARGET_CHAP_USER": "target", "PEERLANE_TARGET_CHAP_SECRET": "targetsecret12"}
            self.passes("transfer", target.url, env=both)
            self.fails("proof is wrong", "facts", target.url,
                       env={**both, "PEERLANE_TARGET_CHAP_SECRET": "anothersecret1"})

    def test_reservations(self):
        with Tgt(64 * MIB) as target:
            # To tgt a session that logs in again is somebody new.
            self.assertEqual("false", self.passes("reservations", target.url)["survives_reconnect"])


class RestartTest(Exercises):
    """A target that is killed and started again under verified load: nobody notices more than a pause."""

    def run_load(self, disturb, url, seconds, env=None):
        load = subprocess.Popen([EXERCISE, "load", url, str(seconds)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PEERLANE_EXERCISE_REPLACEMENT": "30", **(env or {})})
        try:
            self.assertEqual("ready", load.stdout.readline().strip())
            disturbances = disturb(load)
            output, errors = load.communicate(timeout=environment.seconds(90))
        finally:
            load.kill()
            load.wait()
        self.assertEqual(0, load.returncode, errors[-4000:])
        found = dict(line.split(" ", 1) for line in output.splitlines())
        print(f"{disturbances} disturbances: {found}", file=sys.stderr)
        self.assertGreater(int(found["operations"]), 1000)
        # On a busy machine a second disturbance may come before the session is back from the first.
        self.assertGreaterEqual(int(found["reconnects"]), max(1, disturbances // 2))
        return found

    def test_killed(self):
        with environment.scratch() as directory:
            disk = pathlib.Path(directory) / "disk"
            with open(disk, "wb") as file:
                file.truncate(64 * MIB)
            listen = (f"127.0.0.1:{free_port()}",)
            servers = [Server(disk, listen=listen).start()]
            self.addCleanup(lambda: servers[-1].kill())

            def disturb(load):
                count = 0
                end = time.monotonic() + 8
                while time.monotonic() < end and load.poll() is None:
                    time.sleep(random.uniform(0.2, 0.9))
                    servers[-1].kill()
                    count += 1
                    time.sleep(random.uniform(0, 0.3))
                    servers.append(Server(disk, listen=listen).start())
                return count

            self.run_load(disturb, servers[-1].url, 10)

    def test_silent(self):
        """A target that stops for longer than it is waited for, and then goes on with what it had received."""
        with Server("ram:64M") as server:
            self.addCleanup(lambda: server.alive() and server.process.send_signal(signal.SIGCONT))

            def disturb(load):
                count = 0
                end = time.monotonic() + 6
                while time.monotonic() < end and load.poll() is None:
                    time.sleep(random.uniform(0.2, 0.6))
                    server.process.send_signal(signal.SIGSTOP)
                    count += 1
                    time.sleep(random.uniform(0.6, 1))
                    server.process.send_signal(signal.SIGCONT)
                return count

            self.run_load(disturb, server.url, 8, {"PEERLANE_EXERCISE_PATIENCE": "200"})

    def test_the_end_of_patience(self):
        """A target that does not come back: an error that says so, soon after the replacement time-out."""
        server = Server("ram:64M").start()
        self.addCleanup(server.kill)
        load = subprocess.Popen([EXERCISE, "load", server.url, "30"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PEERLANE_EXERCISE_REPLACEMENT": "2"})
        self.addCleanup(load.kill)
        self.assertEqual("ready", load.stdout.readline().strip())
        server.kill()
        began = time.monotonic()
        errors = load.communicate(timeout=environment.seconds(20))[1]
        self.assertEqual(1, load.returncode)
        self.assertIn("nothing listens there", errors)
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assertLess(time.monotonic() - began, environment.seconds(6))

    def test_another_disk_is_not_taken_for_the_first(self):
        with environment.scratch() as directory:
            disks = [pathlib.Path(directory) / name for name in ("one", "other")]
            for disk in disks:
                with open(disk, "wb") as file:
                    file.truncate(64 * MIB)
            listen = (f"127.0.0.1:{free_port()}",)
            first = Server(disks[0], listen=listen).start()
            self.addCleanup(first.kill)
            load = subprocess.Popen([EXERCISE, "load", first.url, "20"], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(load.wait)
            self.addCleanup(load.kill)
            self.assertEqual("ready", load.stdout.readline().strip())
            first.kill()
            second = Server(disks[1], listen=listen).start()
            self.addCleanup(second.kill)
            errors = load.communicate(timeout=environment.seconds(60))[1]
            self.assertEqual(1, load.returncode)
            self.assertIn("another disk", errors)
            self.assertEqual(bytes(64 * MIB), disks[1].read_bytes(), "something was written to the wrong disk")


if __name__ == "__main__":
    unittest.main()
