#!/usr/bin/python3
"""The initiator's connections are cut, swallowed and refused, and its target is killed, hundreds of times at random
under verified load (tests/interop/initiator/exercise.cc): no error reaches the caller, no data are stale or lost."""

import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import environment
from initiator import Connection, Session
from proxy import Proxy
from server import Server
from tgt import free_port

EXERCISE = os.environ["PEERLANE_EXERCISE"]
MIB = 1 << 20
CUTS = 500
SECONDS = 150  # of load; it ends by itself, whatever came of the cuts
# With these time-outs: a NOP-Out after so much silence, so much for its answer, 0.3 s for a new connection of a path.
PATIENCE_MS = 400
WORST_STALL_MS = 2000
OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE = range(4)
SET_GROUPS = bytes([0xA4, 0x0A, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0])


class Cuts(unittest.TestCase):
    """Starts a target on a file, and the load; counts what was done to it."""

    def setUp(self):
        self.random = random.Random(os.environ.get("PEERLANE_SEED") or random.randrange(1 << 32))
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.disk = pathlib.Path(directory.name) / "disk"
        with open(self.disk, "wb") as file:
            file.truncate(64 * MIB)
        self.port = free_port()
        self.server = Server(self.disk, listen=(f"127.0.0.1:{self.port}",)).start()
        self.addCleanup(lambda: self.server.kill())

    def proxy(self):
        proxy = Proxy("127.0.0.1", self.port)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        return proxy

    def url(self, proxy):
        return f"iscsi://127.0.0.1:{proxy.port}/{self.server.target}/0"

    def restart(self):
        """As after a crash of the target."""
        self.server.kill()
        time.sleep(self.random.uniform(0, 0.2))
        self.server = Server(self.disk, listen=(f"127.0.0.1:{self.port}",)).start()

    def run_load(self, arguments, seconds, disturb):
        """Runs the load while `disturb(load)` does; what the exercise found."""
        # Its log goes to a file: whoever writes to a pipe that nobody reads stands still.
        with tempfile.TemporaryFile("w+") as log:
            load = subprocess.Popen([EXERCISE, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=log, text=True,
                                    env={**os.environ, "PEERLANE_EXERCISE_REPLACEMENT": "60",
                                         "PEERLANE_EXERCISE_PATIENCE": str(PATIENCE_MS)})
            try:
                self.assertEqual("ready", load.stdout.readline().strip())
                done = disturb(load)
                output, _ = load.communicate(timeout=environment.seconds(seconds + 90))
            finally:
                load.kill()
                load.wait()
            log.seek(0)
            self.assertEqual(0, load.returncode, f"{done} disturbances: {log.read()[-4000:]}")
        lines = [line.split(" ", 1) for line in output.splitlines()]
        found = {name: int(value) for name, value in lines if name in ("operations", "worst")}
        found["disturbances"] = done
        found["paths"] = [value for name, value in lines if name == "path"]
        print(found, file=sys.stderr)
        return found


class OnePathTest(Cuts):
    def test_cut_and_killed_at_random(self):
        proxy = self.proxy()
        actions = {proxy.reset: 10, proxy.close: 10, proxy.freeze: 2, self.restart: 1}

        def disturb(load):
            for count in range(CUTS):
                if load.poll() is not None:
                    return count
                action, = self.random.choices(list(actions), weights=actions.values())
                action()
                time.sleep(self.random.uniform(0.05, 0.4))
            return CUTS

        found = self.run_load(["load", self.url(proxy), str(SECONDS)], SECONDS, disturb)
        self.assertEqual(CUTS, found["disturbances"])
        self.assertGreater(found["operations"], 1000)
        # A killed target is there again after half a second or so, a swallowed connection is given up after one.
        self.assertLess(found["worst"], environment.seconds(10_000))


class TwoPathsTest(Cuts):
    def test_either_path_is_cut(self):
        proxies = [self.proxy(), self.proxy()]

        def disturb(load):
            count = 0
            end = time.monotonic() + 25
            while time.monotonic() < end and load.poll() is None:
                proxy = self.random.choice(proxies)
                action = self.random.choice([proxy.reset, proxy.close, proxy.freeze])
                refuses = self.random.random() < 0.5
                if refuses:
                    proxy.refuse()
                action()
                time.sleep(self.random.uniform(0.3, 1.2))
                proxy.accept()
                time.sleep(1.5)  # until the path is back: the other one is next, perhaps
                count += 1
            return count

        found = self.run_load(["paths", "30", *map(self.url, proxies)], 30, disturb)
        self.assertGreater(found["operations"], 1000)
        self.assertLess(found["worst"], environment.seconds(WORST_STALL_MS))
        for path in found["paths"]:
            commands = int(path.split()[1])
            self.assertGreater(commands, found["operations"] / 10, f"a path is hardly used: {found['paths']}")

    def test_paths_to_different_units_are_not_joined(self):
        other = Server("ram:64M").start()
        self.addCleanup(other.kill)
        done = subprocess.run([EXERCISE, "paths", "1", self.url(self.proxy()), other.url], capture_output=True,
                              text=True, timeout=environment.seconds(30), check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("different logical units", done.stderr)


class DiscoveredPathsTest(unittest.TestCase):
    def test_all_portals_are_found(self):
        with Server("ram:64M", listen=("127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0")) as server:
            done = subprocess.run([EXERCISE, "paths", "1", server.url], capture_output=True, text=True,
                                  timeout=environment.seconds(30), check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            paths = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("path ")]
            self.assertEqual({url.split("/")[2] for url in server.urls}, set(paths))
            self.assertEqual(3, len(paths))


class AccessStatesTest(unittest.TestCase):
    """The target says which of two paths is the good one, and changes its mind under load (SPC-4 §5.16.2)."""

    CONFIGURATION = """
[[portal]]
listen = "127.0.0.1:0"
group = 1
[[portal]]
listen = "127.0.0.2:0"
group = 2
[[target]]
name = "iqn.2026-11.test:paths"
[[target.lun]]
disk = "ram:64M"
"""

    def commands_by_host(self, server, states, seconds):
        """How many commands each path gets while `states` ((state of group 1, of group 2), ...) follow each other."""
        session = Session(Connection(server.address), server.target).login()
        server.clients.append(session)
        session.test_unit_ready()
        load = subprocess.Popen([EXERCISE, "paths", str(seconds), server.url], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        self.assertEqual("ready", load.stdout.readline().strip())
        for state in states:
            time.sleep(seconds / (len(states) + 1))
            session.check(SET_GROUPS, data=struct.pack(">I BBH BBH", 0, state[0], 0, 1, state[1], 0, 2))
        output, errors = load.communicate(timeout=environment.seconds(seconds + 30))
        self.assertEqual(0, load.returncode, errors)
        lines = [line.split() for line in output.splitlines() if line.startswith("path ")]
        return {words[1].split(":")[0]: int(words[2]) for words in lines}

    def test_paths_are_used_as_the_target_says(self):
        with environment.scratch() as directory:
            path = pathlib.Path(directory) / "peerlane.toml"
            path.write_text(self.CONFIGURATION)
            with Server(config=path, luns=2) as server:
                # From the start: half a second with both, the rest of the time with one.
                found = self.commands_by_host(server, [(OPTIMIZED, STANDBY)], 4)
                self.assertGreater(found["127.0.0.2"], 0)
                self.assertGreater(found["127.0.0.1"], 1.5 * found["127.0.0.2"])
                # Over and back, with a state that is only second best.
                found = self.commands_by_host(
                    server, [(STANDBY, OPTIMIZED), (OPTIMIZED, NON_OPTIMIZED), (UNAVAILABLE, NON_OPTIMIZED)], 6)
                self.assertGreater(found["127.0.0.1"], 100)
                self.assertGreater(found["127.0.0.2"], 100)


if __name__ == "__main__":
    unittest.main()
