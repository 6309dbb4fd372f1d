#!/usr/bin/python3
"""NBD clients that others wrote reach LUNs through nbdkit and Peerlane's plugin; the targets are Peerlane's and tgt."""

import filecmp
import json
import os
import pathlib
import subprocess
import time
import unittest

import environment
import nbdkit
import tools
from nbdkit import Nbdkit
from server import Server
from tgt import Tgt, free_port

MIB = 1 << 20
USER, SECRET = "alice", "alice's own secret"


def info(uri):
    """What nbdinfo says of the only export."""
    return json.loads(tools.run("nbdinfo", "--json", uri))["exports"][0]


def extents(uri):
    """(offset, length, type) of each extent; type 3 is a hole that reads as zeroes, 0 is data."""
    found = json.loads(tools.run("nbdinfo", "--map", "--json", uri))
    return [(extent["offset"], extent["length"], extent["type"]) for extent in found]


class Scratch(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def sparse_file(self, size):
        """A file with random data in two places and nothing elsewhere."""
        path = self.directory / "before"
        with open(path, "wb") as file:
            file.truncate(size)
            file.write(os.urandom(3 * MIB))
            file.seek(size - 5 * MIB)
            file.write(os.urandom(2 * MIB))
        return path

    def first_bytes(self, path):
        with open(path, "rb") as file:
            return file.read(4096)

    def round_trip(self, uri, size):
        """nbdcopy there and back, with several connections and requests in flight."""
        before, after = self.sparse_file(size), self.directory / "after"
        tools.run("nbdcopy", "--flush", before, uri, timeout=120)
        tools.run("nbdcopy", uri, after, timeout=120)
        self.assertTrue(filecmp.cmp(before, after, shallow=False))
        return before


class PeerlaneTest(Scratch):
    def test_says_what_the_disk_is(self):
        for block in (512, 4096):
            with self.subTest(block), Server("ram:64M", options=("--block-size", str(block))) as server, \
                    Nbdkit(server.url) as nbd:
                found = info(nbd.uri)
                self.assertEqual(64 * MIB, found["export-size"])
                self.assertEqual(block, found["block_size_minimum"])
                for can in ("can_flush", "can_fua", "can_trim", "can_zero", "can_fast_zero", "can_multi_conn"):
                    self.assertTrue(found[can], can)
                self.assertFalse(found["is_read_only"])

    def test_copies_both_ways(self):
        disk = self.directory / "disk"
        with open(disk, "wb") as file:
            file.truncate(64 * MIB)
        with Server(disk) as server, Nbdkit(server.url) as nbd:
            before = self.round_trip(nbd.uri, 64 * MIB)
        # What is on the target's disk is the file, byte for byte, when all are gone; and its holes are holes.
        self.assertTrue(filecmp.cmp(before, disk, shallow=False))
        self.assertLess(disk.stat().st_blocks * 512, 16 * MIB)

    def test_several_sessions_and_paths(self):
        with Server("ram:64M", listen=("127.0.0.1:0", "127.0.0.2:0")) as server:
            with Nbdkit(f"url={server.url}?paths=all&sessions=2") as nbd:
                self.round_trip(nbd.uri, 64 * MIB)

    def test_trim_and_zero_are_seen_at_the_target(self):
        disk = self.directory / "disk"
        with open(disk, "wb") as file:
            file.truncate(16 * MIB)
        with Server(disk) as server, Nbdkit(server.url) as nbd:
            self.assertEqual([(0, 16 * MIB, 3)], extents(nbd.uri))
            tools.qemu_io(nbd.uri, "write -P 0x11 0 8M", "flush")
            self.assertEqual([(0, 8 * MIB, 0), (8 * MIB, 8 * MIB, 3)], extents(nbd.uri))
            tools.qemu_io(nbd.uri, "discard 1M 1M", "write -z 3M 1M", "write -z -u 5M 1M", "flush",
                          "read -P 0x11 0 1M", "read -P 0 1M 1M", "read -P 0x11 2M 1M", "read -P 0 3M 1M",
                          "read -P 0 5M 1M", "read -P 0x11 6M 2M")
            holes = [(offset, length) for offset, length, kind in extents(nbd.uri) if kind == 3]
            self.assertIn((MIB, MIB), holes)
            self.assertIn((5 * MIB, MIB), holes)
        with open(disk, "rb") as file:
            ones, zeroes = b"\x11" * MIB, bytes(MIB)
            self.assertEqual(ones + zeroes + ones + zeroes + ones, file.read(5 * MIB))
            self.assertEqual(2 * MIB, os.lseek(file.fileno(), MIB, os.SEEK_DATA))

    def test_extents_of_any_range(self):
        with Server("ram:8M", options=("--block-size", "4096")) as server, Nbdkit(server.url) as nbd:
            tools.qemu_io(nbd.uri, "write -P 1 1M 64k")
            script = ("h.set_strict_mode(h.get_strict_mode() & ~nbd.STRICT_ALIGN); "
                      "h.add_meta_context('base:allocation'); h.connect_unix(sys.argv[1]); seen = []; "
                      "h.block_status(9000, 1048576 - 5000, lambda c, o, e, r: seen.extend(e) or 0); "
                      "print(seen)")
            done = subprocess.run(["/usr/bin/python3", "-c", "import sys, nbd; h = nbd.NBD(); " + script, nbd.socket],
                                  capture_output=True, text=True, timeout=30, check=False)
            if "No module named 'nbd'" in done.stderr:
                self.skipTest("python3-libnbd is not installed")
            self.assertEqual("[5000, 3, 4096, 0]", done.stdout.strip(), done.stderr)

    def test_forced_unit_access(self):
        with Server("ram:8M") as server, Nbdkit(server.url) as nbd:
            tools.qemu_io(nbd.uri, "write -f -P 0x22 0 64k", "write -z -f 64k 64k", "read -P 0x22 0 64k")

    def test_qemu_patterns_with_smaller_blocks_than_the_disks(self):
        with Server("ram:16M", options=("--block-size", "4096")) as server:
            with Nbdkit(server.url, options=("--filter=blocksize",)) as nbd:
                tools.qemu_io(nbd.uri, "write -P 0x33 0 1M", "write -P 0x44 512 512", "read -P 0x33 0 512",
                              "read -P 0x44 512 512", "read -P 0x33 1024 1023k")

    def test_read_only(self):
        with Server("ram:8M") as server:
            with Nbdkit(server.url, options=("-r",)) as nbd:
                self.assertTrue(info(nbd.uri)["is_read_only"])
                tools.run("nbdcopy", nbd.uri, self.directory / "copy")
        disk = self.directory / "disk"
        with open(disk, "wb") as file:
            file.truncate(8 * MIB)
        with Server(disk, options=("--read-only",)) as server, Nbdkit(server.url) as nbd:
            self.assertTrue(info(nbd.uri)["is_read_only"])
            done = tools.run("qemu-io", "-f", "raw", "-c", "write 0 64k", nbd.uri, check=False)
            self.assertNotEqual(0, done.returncode, done.stdout)

    def test_chap(self):
        options = ("--chap-user", USER, "--chap-secret-env", "S")
        secret = self.directory / "secret"
        secret.write_text(SECRET)
        with Server("ram:8M", options=options, env={"S": SECRET}) as server:
            with Nbdkit(server.url, f"chap-user={USER}", f"chap-secret=+{secret}") as nbd:
                self.assertEqual(8 * MIB, info(nbd.uri)["export-size"])
            with Nbdkit(server.url, env={"PEERLANE_CHAP_USER": USER, "PEERLANE_CHAP_SECRET": SECRET}) as nbd:
                self.assertEqual(8 * MIB, info(nbd.uri)["export-size"])
            said = nbdkit.refusal(server.url, f"chap-user={USER}", "chap-secret=quite another secret")
            self.assertIn("check CHAP user and secret", said)
            self.assertNotIn("quite another", said)

    @nbdkit.unless_preloaded
    def test_errors_say_what_to_do(self):
        self.assertIn("Give iscsi://", nbdkit.refusal())
        self.assertIn("names no target", nbdkit.refusal("iscsi://127.0.0.1"))
        self.assertIn("there is no parameter colour", nbdkit.refusal("iscsi://127.0.0.1/iqn.2026-11.x:y/0", "colour=1"))
        absent = f"iscsi://127.0.0.1:{free_port()}/iqn.2026-11.dev.peerlane:x/0"
        self.assertIn("nothing listens there", nbdkit.refusal(absent))
        with Server("ram:8M") as server:
            self.assertIn("no such logical unit", nbdkit.refusal(server.url[:-1] + "7"))

    @nbdkit.unless_preloaded
    def test_without_a_check_clients_are_told(self):
        absent = f"iscsi://127.0.0.1:{free_port()}/iqn.2026-11.dev.peerlane:x/0"
        with Nbdkit(absent, "check=no") as nbd:
            self.assertNotEqual(0, tools.run("nbdinfo", nbd.uri, check=False).returncode)
            self.assertIn("nothing listens there", nbd.log())

    def test_explains_itself(self):
        told = tools.run("nbdkit", nbdkit.plugin(), "--help", env=nbdkit.variables())
        for parameter in ("iscsi://HOST", "paths=all", "chap-secret=", "replacement-timeout="):
            self.assertIn(parameter, told)
        told = tools.run("nbdkit", nbdkit.plugin(), "--dump-plugin", env=nbdkit.variables())
        self.assertIn("name=peerlane\n", told)
        self.assertIn("thread_model=parallel\n", told)

    @nbdkit.unless_preloaded
    def test_a_target_that_restarts_is_only_a_pause(self):
        disk = self.directory / "disk"
        with open(disk, "wb") as file:
            file.truncate(64 * MIB)
        port = free_port()
        server = Server(disk, listen=(f"127.0.0.1:{port}",)).start()
        try:
            # A slow copy, so that it is under way when the target goes.
            with Nbdkit(server.url, "rate=16M", "burstiness=0.1", options=("--filter=rate",)) as nbd:
                before = self.sparse_file(64 * MIB)
                copy = subprocess.Popen([environment.tool("nbdcopy"), "--flush", before, nbd.uri])
                deadline = time.monotonic() + environment.seconds(20)
                while not any(self.first_bytes(disk)) and time.monotonic() < deadline:
                    time.sleep(0.02)
                self.assertIsNone(copy.poll())
                server.kill()
                server = Server(disk, listen=(f"127.0.0.1:{port}",)).start()
                self.assertEqual(0, copy.wait(environment.seconds(60)))
                self.assertIn("waiting to connect again", nbd.log())
                tools.run("nbdcopy", nbd.uri, self.directory / "after", timeout=60)
                self.assertTrue(filecmp.cmp(before, self.directory / "after", shallow=False))
            server.stop()
        finally:
            server.kill()


class TgtTest(Scratch):
    def test_copies_both_ways(self):
        with Tgt(64 * MIB) as target, Nbdkit(target.url) as nbd:
            self.assertEqual(64 * MIB, info(nbd.uri)["export-size"])
            self.round_trip(nbd.uri, 64 * MIB)
            tools.qemu_io(nbd.uri, "write -P 0x11 0 8M", "discard 1M 1M", "write -z 3M 1M", "flush",
                          "read -P 0x11 0 1M", "read -P 0x11 2M 1M", "read -P 0 3M 1M", "read -P 0x11 4M 4M")


if __name__ == "__main__":
    unittest.main()
