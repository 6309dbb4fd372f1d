"""A healthy initiator that goes on working while something else happens: it writes, reads back and compares."""

import os
import random
import threading
import time

import environment
from initiator import connect


class HealthyInitiator:
    """Works in a thread of its own on a range of blocks that is its alone.

        with HealthyInitiator(server) as healthy:
            ... anything at all ...
        (leaving the `with` checks that it was not disturbed)
    """

    def __init__(self, server, first_block=0, blocks=4096, keys=None, slowest=5.0, lun=0):
        self.session = connect(server, initiator=f"iqn.2026-11.test:healthy-{lun}-{first_block}", keys=keys)
        self.lun = lun
        self.first, self.blocks = first_block, blocks
        self.slowest_allowed = environment.seconds(slowest)
        self.slowest = 0.0
        self.rounds = 0
        self.failure = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.wait_for_rounds(3)
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.wait_for_rounds(3)
        self._stop.set()
        self._thread.join(environment.seconds(30))
        self.session.close()
        if kind is None:
            self.check()

    def check(self):
        if self.failure:
            raise AssertionError(f"the healthy initiator was disturbed: {self.failure!r}") from self.failure
        if self.slowest > self.slowest_allowed:
            raise AssertionError(f"the healthy initiator had to wait {self.slowest:.1f} s")

    def wait_for_rounds(self, count):
        """Waits until it has done so many more rounds."""
        goal, deadline = self.rounds + count, time.monotonic() + environment.seconds(20)
        while self.rounds < goal and self.failure is None:
            if time.monotonic() > deadline:
                raise AssertionError("the healthy initiator makes no progress")
            time.sleep(0.005)
        self.check()

    def _work(self):
        choose = random.Random(7)
        try:
            while not self._stop.is_set():
                count = choose.choice((1, 8, 64, 256))
                lba = self.first + choose.randrange(self.blocks - count + 1)
                data = os.urandom(count * 512)
                start = time.monotonic()
                self.session.write(lba, data, lun=self.lun)
                if self.session.read(lba, count, lun=self.lun) != data:
                    raise AssertionError(f"block {lba}: read something else than was written")
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.rounds += 1
        except Exception as failure:  # told to the test by check()
            self.failure = failure
