"""An initiator that has a target copy, many times at once: as soon as a copy has ended it asks for it again."""

import threading
import time

import environment
from extended_copy import lid1, start_copy
from initiator import connect


class Copiers:
    """Works in a thread of its own.

        with Copiers(server, name, units, segments) as copiers:
            ... anything at all ...
        (leaving the `with` waits for the copies that are under way, and checks that all went well)

    `units` are CSCD descriptors, and each of the segment descriptors is a copy of its own.
    """

    def __init__(self, server, name, units, segments, priority=0):
        self.session = connect(server, initiator=name)
        self.session.test_unit_ready()
        self.lists = [lid1(units, [segment], priority=priority) for segment in segments]
        self.rounds = [0] * len(segments)  # copies that have ended, of each
        self.slowest = 0.0
        self.failure = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, value, traceback):
        self._stop.set()
        self._thread.join(environment.seconds(60))
        self.session.close()
        if kind is None:
            self.check()
            assert not self._thread.is_alive(), "the copies do not end"

    def check(self):
        if self.failure:
            raise AssertionError(f"a copy failed: {self.failure!r}") from self.failure

    def wait_for_rounds(self, count, timeout=60):
        """Waits until each copy has been done so often since the beginning."""
        deadline = time.monotonic() + environment.seconds(timeout)
        while min(self.rounds) < count and self.failure is None:
            assert time.monotonic() < deadline, f"copies make no progress: {self.rounds}"
            time.sleep(0.01)
        self.check()

    def _work(self):
        try:
            under_way = {}
            for number in range(len(self.lists)):
                self._begin(number, under_way)
            while under_way:
                self.session.step()
                for task in [task for task in under_way if task.result is not None]:
                    number, started = under_way.pop(task)
                    result = self.session.wait(task)
                    assert result.status == 0, f"status {result.status:#x}, sense {result.sense.hex()}"
                    self.slowest = max(self.slowest, time.monotonic() - started)
                    self.rounds[number] += 1
                    if not self._stop.is_set():
                        self._begin(number, under_way)
        except Exception as failure:  # told to the test by check()
            self.failure = failure

    def _begin(self, number, under_way):
        under_way[start_copy(self.session, self.lists[number])] = number, time.monotonic()
