#!/usr/bin/python3
"""Many sessions at once: mixed I/O that is verified, while tasks are aborted, units reset and connections lost.

The program tests/stress/session_storm does it; see there. PEERLANE_STORM_SEED replays a run's choices.
"""

import os
import pathlib
import subprocess
import sys
import unittest

import environment
from server import Server

SESSIONS = 64
DISK_MIB = 160  # 2 MiB for each session, and 8 MiB for all


class StormTest(unittest.TestCase):
    seconds = 15

    def storm(self, server):
        command = [os.environ["PEERLANE_STORM"], "--sessions", str(SESSIONS), "--seconds", str(self.seconds),
                   "--patience", str(environment.TIME_FACTOR), *server.urls]
        if "PEERLANE_STORM_SEED" in os.environ:
            command += ["--seed", os.environ["PEERLANE_STORM_SEED"]]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, timeout=self.seconds + environment.seconds(120))
        print(done.stdout, flush=True)
        self.assertEqual(0, done.returncode, f"the storm found: {done.stdout}")

    def test_memory_and_file(self):
        with environment.scratch() as folder:
            disk = pathlib.Path(folder) / "disk"
            with disk.open("wb") as file:
                file.truncate(DISK_MIB << 20)
            with Server(f"ram:{DISK_MIB}M", disk, options=("--threads", "3")) as server:
                self.storm(server)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        StormTest.seconds = int(sys.argv.pop())
    unittest.main()
