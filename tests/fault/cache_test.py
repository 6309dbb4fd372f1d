#!/usr/bin/python3
"""Disks with a cache, limits, delays and injected errors, through a running server."""

import os
import pathlib
import re
import signal
import threading
import time
import unittest

import environment
from initiator import CheckCondition, connect
from server import Server

MIB = 1 << 20
PAGE_BLOCKS = 8  # blocks of 512 bytes in a page of the cache

CACHED = """
[service]
threads = {threads}
log_level = "debug"
cache_memory = "8M"
[[portal]]
listen = "127.0.0.1:0"
[[target]]
[[target.lun]]
disk = "{disk}"
{keys}
"""


class FilterTest(unittest.TestCase):
    def setUp(self):
        scratch = environment.scratch()
        self.addCleanup(scratch.cleanup)
        self.directory = pathlib.Path(scratch.name)
        self.disk = self.directory / "disk.img"
        with open(self.disk, "wb") as file:
            file.truncate(64 * MIB)

    def serve(self, keys, disk=None):
        config = self.directory / "peerlane.toml"
        config.write_text(CACHED.format(threads=environment.threads(), disk=disk or self.disk, keys=keys),
                          encoding="utf-8")
        return Server(config=config, luns=1)

    def on_disk(self, lba, blocks):
        with open(self.disk, "rb") as file:
            file.seek(lba * 512)
            return file.read(blocks * 512)

    def counters(self, server):
        """What the cache has counted, which it tells when it is closed."""
        match = re.search(r"cache: (\d+) hits, (\d+) misses.*written out (\d+)", server.log())
        self.assertTrue(match, server.log())
        return [int(number) for number in match.groups()]


class CacheTest(FilterTest):
    def test_what_was_read_is_not_read_again(self):
        with self.serve('cache = "write-through"') as server:
            session = connect(server)
            data = os.urandom(64 * 512)
            session.write(0, data)
            for _ in range(10):
                self.assertEqual(data, session.read(0, 64))
            self.assertEqual(data, self.on_disk(0, 64))
            session.read(8192, 64)
        hits, misses, _ = self.counters(server)
        self.assertEqual((80, 8), (hits, misses))

    def test_write_back_reports_its_cache_and_flushes(self):
        with self.serve('cache = "write-back"') as server:
            session = connect(server)
            mode = session.check(bytes([0x1A, 0, 8, 0, 64, 0]), read_length=64).data
            page = mode[4 + mode[3]:]
            self.assertEqual(8, page[0] & 0x3F)
            self.assertTrue(page[2] & 4, "WCE")
            data = os.urandom(64 * 512)
            session.write(1024, data)
            session.flush()
            self.assertEqual(data, self.on_disk(1024, 64))
            session.write(2048, data, fua=True)
            self.assertEqual(data, self.on_disk(2048, 64))

    def test_a_stop_brings_everything_down(self):
        data = os.urandom(2 * MIB)
        # A slow disk, so that most of it is still in memory at the stop.
        with self.serve('cache = "write-back"\n[target.lun.delay]\nwrite_us = 20000') as server:
            session = connect(server)
            for at in range(0, len(data), 65536):
                session.write(at // 512, data[at:at + 65536])
        self.assertEqual(data, self.on_disk(0, len(data) // 512))
        self.assertEqual(512, self.counters(server)[2])

    def test_a_failing_write_out_is_told_to_the_next_flush(self):
        fault = '[[target.lun.fault]]\noperation = "write"\ncount = 2'
        with self.serve('cache = "write-back"\n' + fault) as server:
            session = connect(server)
            data = os.urandom(4096)
            session.write(0, data)
            with self.assertRaises(CheckCondition) as caught:
                session.flush()
            self.assertEqual(0x3, caught.exception.result.sense_key)
            self.assertEqual(data, session.read(0, 8))
            deadline = time.monotonic() + environment.seconds(10)
            while time.monotonic() < deadline:
                try:
                    session.flush()
                    break
                except CheckCondition:
                    time.sleep(0.1)
            self.assertEqual(data, self.on_disk(0, 8))

    def test_what_was_flushed_survives_a_kill(self):
        flushed = {}
        server = self.serve('cache = "write-back"').start()
        session = connect(server)
        for number in range(200):
            lba = (number * 37 % 500) * PAGE_BLOCKS
            data = number.to_bytes(4, "big") * 1024
            session.write(lba, data)
            if number < 150:
                flushed[lba] = data
            if number == 149:
                session.flush()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        server.kill()
        for lba, data in flushed.items():
            self.assertEqual(data, self.on_disk(lba, PAGE_BLOCKS))


class ThrottleTest(FilterTest):
    def test_limits_all_sessions_together(self):
        with self.serve("iops = 200\niops_burst = 10", disk="ram:64M") as server:
            sessions = [connect(server, initiator=f"iqn.2026-11.test:{number}") for number in range(2)]
            begin = time.monotonic()

            def work(session):
                for lba in range(60):
                    session.read(lba, 1)

            threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took = time.monotonic() - begin
            for session in sessions:
                session.close()
        self.assertGreater(took, 0.5)  # 110 of the 120 at 200 a second take 0.55 s
        self.assertLess(took, environment.seconds(5))


if __name__ == "__main__":
    unittest.main()
