#!/usr/bin/python3
"""`peerlane copy` between files, block devices and standard streams: exact data, holes kept, refusals that change
nothing, copies that are interrupted and go on, and what it tells about it."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time
import unittest

import environment
import server
import tools

MIB = 1 << 20
DIFFERS, INTERRUPTED = 3, 4


def holes(path):
    """The (begin, end) of each hole of a file."""
    found = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at < size:
            begin = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            try:
                at = os.lseek(file.fileno(), begin, os.SEEK_DATA) if begin < size else size
            except OSError:
                at = size
            if begin < at:
                found.append((begin, at))
    return found


class CopyTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.source = self.directory / "source.img"
        self.destination = self.directory / "destination.img"
        self.random = random.Random(1)

    def make(self, path, *parts, size=None):
        """A file of (offset, length) runs of data with holes between them."""
        with open(path, "wb") as file:
            for offset, length in parts:
                file.seek(offset)
                file.write(self.random.randbytes(length))
            if size is not None:
                file.truncate(size)
        return path

    def copy(self, *arguments, status=0, timeout=60):
        done = server.run("copy", *arguments, timeout=timeout)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        self.assertFalse([word for word in server.SANITIZER_REPORTS if word in done.stderr], done.stderr)
        return done

    def start(self, *arguments, **options):
        process = subprocess.Popen([environment.peerlane(), "copy", *map(str, arguments)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def refused(self, *arguments, says, status=1):
        error = self.copy(*arguments, status=status).stderr
        self.assertRegex(error, says)
        self.assertEqual(1, error.count("\n"), error)

    def assert_same(self, first, second):
        self.assertEqual(pathlib.Path(first).read_bytes(), pathlib.Path(second).read_bytes())


class FileTest(CopyTest):
    def test_files_of_any_size_are_exact(self):
        for size in (0, 1, 511, 512, 513, 4095, 4096, 4097, MIB - 1, MIB + 1, 5 * MIB + 777):
            with self.subTest(size=size):
                self.make(self.source, (0, size))
                self.destination.unlink(missing_ok=True)
                self.copy(self.source, self.destination, "--verify")
                self.assert_same(self.source, self.destination)

    def test_holes_are_kept_in_a_new_file(self):
        self.make(self.source, (0, 65536), (8 * MIB, 12345), (20 * MIB, 4096), size=32 * MIB + 99)
        self.copy(self.source, self.destination)
        self.assert_same(self.source, self.destination)
        self.assertTrue(holes(self.source))
        self.assertEqual(holes(self.source), holes(self.destination))

    def test_holes_are_made_in_a_file_that_had_data(self):
        self.make(self.source, (0, 65536), (8 * MIB, 65536), size=16 * MIB)
        self.make(self.destination, (0, 16 * MIB))
        self.copy(self.source, self.destination)
        self.assert_same(self.source, self.destination)
        self.assertEqual(holes(self.source), holes(self.destination))

    def test_zeroes_in_data_become_holes_when_asked_for_and_none_when_forbidden(self):
        self.source.write_bytes(b"\1" * MIB + bytes(6 * MIB) + b"\2" * MIB)
        for sparse, expected in (("always", [(MIB, 7 * MIB)]), ("auto", []), ("never", [])):
            self.destination.unlink(missing_ok=True)
            self.copy(self.source, self.destination, "--sparse", sparse, "--verify")
            self.assert_same(self.source, self.destination)
            self.assertEqual(expected, holes(self.destination), sparse)
        self.make(self.source, (0, 4096), size=4 * MIB)
        self.destination.unlink()
        self.copy(self.source, self.destination, "--sparse", "never")
        self.assertEqual([], holes(self.destination))

    def test_a_longer_file_keeps_what_lies_behind_unless_it_is_to_be_cut(self):
        self.make(self.source, (0, MIB + 1))
        behind = self.random.randbytes(2 * MIB + 5)
        self.destination.write_bytes(behind)
        self.copy(self.source, self.destination, "--verify")
        self.assertEqual(self.source.read_bytes() + behind[MIB + 1:], self.destination.read_bytes())
        self.copy(self.source, self.destination, "--truncate")
        self.assert_same(self.source, self.destination)

    def test_ranges_at_any_byte(self):
        self.make(self.source, (0, 4 * MIB + 11))
        data = self.source.read_bytes()
        for offset, length, to in ((1, 2 * MIB, 0), (511, 1, 8191), (4096, 3 * MIB, 12288), (12345, 2 * MIB + 3, 777)):
            old = self.random.randbytes(5 * MIB + 3)
            self.destination.write_bytes(old)
            self.copy(self.source, self.destination, "--offset", offset, "--length", length, "--destination-offset", to,
                      "--verify")
            expected = old[:to] + data[offset:offset + length] + old[to + length:]
            self.assertEqual(expected, self.destination.read_bytes())

    def test_inside_one_file(self):
        for offset, to in ((0, 100_001), (100_001, 0)):
            self.make(self.source, (0, 3 * MIB))
            data = self.source.read_bytes()
            self.copy(self.source, self.source, "--offset", offset, "--destination-offset", to, "--length", 2 * MIB)
            self.assertEqual(data[:to] + data[offset:offset + 2 * MIB] + data[to + 2 * MIB:], self.source.read_bytes())

    def test_through_the_page_cache(self):
        self.make(self.source, (0, 3 * MIB + 17))
        self.copy(self.source, self.destination, "--no-direct", "--verify")
        self.assert_same(self.source, self.destination)


class RefusalTest(CopyTest):
    def setUp(self):
        super().setUp()
        self.make(self.source, (0, 2 * MIB))

    def test_the_same_disk_under_another_name(self):
        data = self.source.read_bytes()
        link, hard = self.directory / "link", self.directory / "hard"
        link.symlink_to(self.source)
        os.link(self.source, hard)
        for other in (self.source, link, hard):
            self.refused(self.source, other, says="same disk")
            self.refused(self.source, other, "--offset", "4096", says="same disk")
        self.assertEqual(data, self.source.read_bytes())

    def test_no_file_is_made_or_changed_where_the_copy_cannot_begin(self):
        nowhere = self.directory / "missing.img"
        self.refused(nowhere, self.destination, says="missing.img: No such file")
        self.refused(self.source, self.destination, "--offset", "3M", says="behind the end")
        self.refused(self.source, self.destination, "--length", "3M", says="has only")
        self.refused(self.source, self.destination, "--no-grow", says="No such file")
        self.refused(self.source, self.destination, "--resume", self.source, says="not the journal")
        self.refused("iscsi://127.0.0.1:1/iqn.2026-11.test:a/0", self.destination, says="nothing listens there")
        self.refused("rbd://pool/image", self.destination, says="iscsi")
        self.assertFalse(self.destination.exists())
        self.destination.write_bytes(b"old")
        self.refused(self.source, self.destination, "--no-grow", says="too short")
        self.refused(self.source, self.destination, "--resume", self.source, says="not the journal")
        self.refused(nowhere, self.destination, says="No such file")
        self.assertEqual(b"old", self.destination.read_bytes())

    def test_a_disk_that_is_too_small(self):
        self.refused(self.source, "ram:1M", says="ram:1M is too small: .* it has room for 1048576 bytes")

    def test_a_directory_and_a_place_that_is_not_there(self):
        self.refused(self.source, self.directory, says="neither a regular file nor a block device")
        self.refused(self.source, self.directory / "no" / "such", says="No such file")

    def test_options_that_make_no_sense(self):
        for arguments in (["-", "-"], ["-", "x", "--offset", "1"], ["x", "-", "--destination-offset", "1"],
                          ["x", "-", "--explain"], ["a", "b", "--rate", "1"], ["a", "b", "--request-size", "5000000"],
                          ["a", "b", "--no-grow", "--truncate"], ["a", "b", "--length", "many"]):
            self.refused(*arguments, status=2, says="^peerlane: ")

    def test_a_file_that_is_being_served(self):
        self.make(self.destination, (0, 2 * MIB))
        with server.Server(self.destination):
            self.refused(self.source, self.destination, says="another program")

    def test_verification_of_a_stream(self):
        self.refused(self.source, "-", "--verify", says="standard output")


class BlockDeviceTest(CopyTest):
    def setUp(self):
        super().setUp()
        self.make(self.source, (0, MIB), (4 * MIB, MIB), size=8 * MIB)

    def loop(self, size):
        """A loop device on a file of its own."""
        backing = self.make(self.directory / f"loop-{size}", (0, size))
        try:
            done = tools.run("losetup", "--find", "--show", backing, check=False)
        except FileNotFoundError:
            self.skipTest("losetup is not installed")
        if done.returncode != 0:
            self.skipTest("no loop devices here: " + done.stdout.strip())
        device = done.stdout.strip()
        self.addCleanup(tools.run, "losetup", "--detach", device)
        return device

    def test_to_a_block_device_and_back(self):
        device = self.loop(9 * MIB)
        self.copy(self.source, device, "--verify")
        self.assertEqual(self.source.read_bytes(), pathlib.Path(device).read_bytes()[:8 * MIB])
        self.copy(device, self.destination, "--length", "8M", "--sparse", "always")
        self.assert_same(self.source, self.destination)
        self.assertEqual([(MIB, 4 * MIB), (5 * MIB, 8 * MIB)], holes(self.destination))

    def test_one_that_is_too_small_stays_as_it_is(self):
        device = self.loop(4 * MIB)
        before = pathlib.Path(device).read_bytes()
        self.refused(self.source, device, says="is too small")
        self.assertEqual(before, pathlib.Path(device).read_bytes())

    def test_one_that_shows_the_source_is_refused(self):
        device = self.loop(8 * MIB)
        backing = self.directory / f"loop-{8 * MIB}"
        before = backing.read_bytes()
        self.refused(backing, device, says="same disk")
        self.refused(device, backing, says="same disk")
        self.assertEqual(before, backing.read_bytes())

    def test_one_in_use_is_written_only_by_force(self):
        device = self.loop(8 * MIB)
        holder = os.open(device, os.O_RDWR | os.O_EXCL)
        self.addCleanup(os.close, holder)
        self.refused(self.source, device, says="in use.*--force")
        self.copy(self.source, device, "--force", "--verify")


class StreamTest(CopyTest):
    def test_from_standard_input(self):
        for size in (0, 1, 3 * MIB + 5):
            data = self.random.randbytes(size)
            self.destination.unlink(missing_ok=True)
            process = self.start("-", self.destination, stdin=subprocess.PIPE)
            process.communicate(data, timeout=environment.seconds(30))
            self.assertEqual(0, process.returncode)
            self.assertEqual(data, self.destination.read_bytes())

    def test_from_standard_input_into_a_longer_file(self):
        old = self.random.randbytes(3 * MIB + 100)
        self.destination.write_bytes(old)
        process = self.start("-", self.destination, stdin=subprocess.PIPE)
        process.communicate(b"new" * 1000, timeout=environment.seconds(30))
        self.assertEqual(b"new" * 1000 + old[3000:], self.destination.read_bytes())

    def test_zeroes_from_standard_input_become_holes(self):
        process = self.start("-", self.destination, "--sparse", "always", stdin=subprocess.PIPE)
        process.communicate(b"\1" * MIB + bytes(4 * MIB), timeout=environment.seconds(30))
        self.assertEqual(0, process.returncode)
        self.assertEqual(b"\1" * MIB + bytes(4 * MIB), self.destination.read_bytes())
        self.assertEqual([(MIB, 5 * MIB)], holes(self.destination))

    def test_to_standard_output(self):
        self.make(self.source, (0, MIB), (5 * MIB, 77), size=6 * MIB + 3)
        process = self.start(self.source, "-")
        output, error = process.communicate(timeout=environment.seconds(30))
        self.assertEqual(0, process.returncode, error)
        self.assertEqual(self.source.read_bytes(), output)
        process = self.start(self.source, "-", "--offset", "1000001", "--length", "3000001")
        output, _ = process.communicate(timeout=environment.seconds(30))
        self.assertEqual(self.source.read_bytes()[1000001:4000002], output)

    def test_a_reader_that_goes_away(self):
        self.make(self.source, (0, 8 * MIB))
        process = self.start(self.source, "-", "--progress", "none")
        process.stdout.read(1000)
        process.stdout.close()
        self.assertEqual(1, process.wait(environment.seconds(20)))
        self.assertIn(b"standard output", process.stderr.read())

    def test_a_signal_while_nothing_comes(self):
        process = self.start("-", self.destination, stdin=subprocess.PIPE)
        time.sleep(environment.seconds(0.5))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(INTERRUPTED, process.wait(environment.seconds(20)))


class InterruptionTest(CopyTest):
    def setUp(self):
        super().setUp()
        self.journal = self.directory / "journal"
        self.make(self.source, *((at * MIB, MIB - 4096) for at in range(24)), size=24 * MIB + 555)

    def wait_for_progress(self, least):
        """Until so many bytes are in the journal."""
        deadline = time.monotonic() + environment.seconds(40)
        while time.monotonic() < deadline:
            if self.done_in_journal() >= least:
                return
            time.sleep(0.05)
        self.fail("the journal does not advance")

    def done_in_journal(self):
        try:
            return json.loads(self.journal.read_text(encoding="utf-8").split("\n", 1)[1])["done"]
        except FileNotFoundError:
            return 0

    def resume(self):
        before = self.done_in_journal()
        result = json.loads(self.copy(self.source, self.destination, "--resume", self.journal, "--json",
                                      "--verify").stdout)
        self.assertEqual(before, result["resumed_at"])
        self.assert_same(self.source, self.destination)
        self.assertFalse(self.journal.exists())
        self.assertEqual([], list(self.directory.glob("*.new")))
        return result

    def test_a_killed_copy_goes_on(self):
        process = self.start(self.source, self.destination, "--resume", self.journal, "--rate", "2M")
        self.wait_for_progress(1)
        process.kill()
        process.wait()
        done = self.done_in_journal()
        self.assertEqual(self.source.read_bytes()[:done], self.destination.read_bytes()[:done])
        self.assertGreater(self.resume()["resumed_at"], 0)

    def test_an_interrupted_copy_says_so_and_keeps_its_journal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.destination.unlink(missing_ok=True)
            process = self.start(self.source, self.destination, "--resume", self.journal, "--rate", "4M")
            time.sleep(environment.seconds(1.5))
            process.send_signal(number)
            self.assertEqual(INTERRUPTED, process.wait(environment.seconds(20)))
            self.assertIn(b"interrupted", process.stderr.read())
            self.assertGreater(self.done_in_journal(), 0)
            self.resume()

    def test_a_journal_serves_only_the_copy_that_it_is_about(self):
        process = self.start(self.source, self.destination, "--resume", self.journal, "--rate", "4M")
        time.sleep(environment.seconds(1))
        process.send_signal(signal.SIGINT)
        process.wait(environment.seconds(20))
        kept = self.destination.read_bytes()
        again = [self.source, self.destination, "--resume", self.journal]
        self.refused(*again, "--length", "1M", says="does not fit")
        status = self.source.stat()
        os.utime(self.source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        self.refused(*again, says="source.img has changed")
        os.utime(self.source, ns=(status.st_atime_ns, status.st_mtime_ns))
        replaced = self.directory / "replaced"
        os.rename(self.destination, replaced)
        self.destination.write_bytes(kept)
        self.refused(*again, says="is not what it was")
        self.assertEqual(kept, self.destination.read_bytes())
        os.rename(replaced, self.destination)
        os.truncate(self.destination, 1000)
        self.refused(*again, says="shorter than what had been copied")
        self.journal.unlink()
        self.copy(*again)
        self.assert_same(self.source, self.destination)


class DirectTest(CopyTest):
    """Ways that need no more than file systems. Those of the bus are shown in a virtual machine."""

    def mounted(self, kind):
        """A new file system of this kind, on a file."""
        image, place = self.directory / f"{kind}.img", self.directory / kind
        with open(image, "wb") as file:
            file.truncate(512 * MIB)
        tools.run(f"mkfs.{kind}", *({"xfs": ["-m", "reflink=1"], "btrfs": []}.get(kind, ["-q"])), image)
        place.mkdir()
        tools.run("mount", "-o", "loop", image, place)
        self.addCleanup(tools.run, "umount", place)
        return place

    def ways(self, *arguments):
        result = json.loads(self.copy(*arguments, "--json", "--verify").stdout)
        return {way: count for way, count in result["bytes_by_way"].items() if count}

    def check_clones(self, kind):
        place = self.mounted(kind)
        source = self.make(place / "source", (0, 5 * MIB), (20 * MIB, 4 * MIB + 5))
        os.sync()
        free = os.statvfs(place).f_bfree
        self.assertEqual(9 * MIB + 5, self.ways(source, place / "whole").get("clone"))
        self.assert_same(source, place / "whole")
        os.sync()
        self.assertLess((free - os.statvfs(place).f_bfree) * os.statvfs(place).f_frsize, MIB)
        # What fills no whole block, and what lies behind it, has to be written.
        self.make(place / "old", (0, 30 * MIB))
        expected = bytearray((place / "old").read_bytes())
        expected[4096:4096 + 3 * MIB + 100] = source.read_bytes()[8192:8192 + 3 * MIB + 100]
        ways = self.ways(source, place / "old", "--offset", 8192, "--length", 3 * MIB + 100,
                         "--destination-offset", 4096)
        self.assertEqual({"clone": 3 * MIB, "host memory": 100}, ways)
        self.assertEqual(expected, (place / "old").read_bytes())
        # Inside one file, and where offsets do not fit.
        self.assertEqual({"clone": MIB}, self.ways(source, source, "--length", MIB, "--destination-offset", 32 * MIB))
        self.assertEqual({"host memory": MIB}, self.ways(source, place / "odd", "--offset", 1, "--length", MIB))
        written = self.ways(source, place / "written", "--sparse", "never")
        self.assertEqual({"host memory": source.stat().st_size}, written)
        self.refused(source, place / "old", "--only", "clone", "--length", 100, says="begins or ends inside a block")
        self.refused(source, self.destination, "--only", "clone", says="different file systems")
        self.assertFalse(self.destination.exists())

    def test_xfs_shares_blocks(self):
        self.check_clones("xfs")

    def test_btrfs_shares_blocks(self):
        self.check_clones("btrfs")

    def test_others_say_why_not(self):
        place = self.mounted("ext4")
        source = self.make(place / "source", (0, MIB))
        plan = self.copy(source, place / "copy", "--explain").stdout
        self.assertIn("not clone: ext4 does not share blocks", plan)
        self.assertRegex(plan, "not peer-to-peer: .* does not lie on one disk by itself: loop")
        self.refused(source, place / "copy", "--only", "peer-to-peer", says="only peer-to-peer is wanted")
        self.assertFalse((place / "copy").exists())
        self.assertEqual({"host memory": MIB}, self.ways(source, place / "copy", "--only", "host-memory"))


class ReportTest(CopyTest):
    def setUp(self):
        super().setUp()
        self.make(self.source, (0, 4 * MIB), size=16 * MIB)

    def test_the_result_as_json(self):
        result = json.loads(self.copy(self.source, self.destination, "--json").stdout)
        self.assertTrue(result["ok"])
        self.assertEqual(16 * MIB, result["bytes"])
        by_way = {way: count for way, count in result["bytes_by_way"].items() if count}
        self.assertEqual({"skip": 12 * MIB, "host memory": 4 * MIB}, by_way)
        self.assertEqual(4 * MIB, result["memory_bytes"])
        self.assertEqual((0, [], ""), (result["probe_bytes"], result["fallback_reasons"], result["through"]))
        self.assertGreater(result["elapsed_seconds"], 0)

    def test_quiet(self):
        done = self.copy(self.source, self.destination, "--quiet")
        self.assertEqual(("", ""), (done.stdout, done.stderr))

    def test_the_plan(self):
        text = self.copy(self.source, self.destination, "--explain").stdout
        self.assertIn("host memory  4 MiB in 1 extent", text)
        self.assertIn("skip         12 MiB in 1 extent", text)
        self.assertIn("not zeroes: the source has data there", text)
        self.assertFalse(self.destination.exists())
        self.make(self.destination, (0, MIB))
        before = self.destination.read_bytes()
        plan = json.loads(self.copy(self.source, self.destination, "--explain", "--json").stdout)
        self.assertEqual(before, self.destination.read_bytes())
        at = 0
        for extent in plan["extents"]:
            self.assertEqual(at, extent["source_offset"])
            at += extent["length"]
        self.assertEqual(16 * MIB, at)
        self.assertEqual("host memory", plan["routes"][plan["extents"][0]["route"]]["way"])

    def test_progress_lines_say_what_is_so(self):
        self.make(self.source, (0, 14 * MIB))
        started = time.monotonic()
        error = self.copy(self.source, self.destination, "--rate", "1536K", "--progress", "lines").stderr
        self.assertGreater(time.monotonic() - started, 5)
        first, error = error.split("\n", 1)
        self.assertRegex(first, "^.* -> .*: 14 MiB.*, by host memory")
        match = re.match(r"(\d+)% of 14 MiB, (\d+) ([kM])B/s, (\d+) s left\n", error)
        self.assertTrue(match, error)
        self.assertTrue(50 <= int(match[1]) <= 95, error)
        rate = int(match[2]) * (1000 if match[3] == "k" else 1_000_000)
        self.assertTrue(1_000_000 <= rate <= 4_000_000, error)
        self.assertTrue(0 < int(match[4]) <= 6, error)

    def test_progress_as_json_lines(self):
        self.make(self.source, (0, 14 * MIB))
        error = self.copy(self.source, self.destination, "--rate", "1536K", "--progress", "json").stderr
        lines = [json.loads(line) for line in error.splitlines()]
        self.assertTrue(lines)
        for line in lines:
            self.assertEqual(14 * MIB, line["total"])
            self.assertTrue(0 < line["done"] <= line["total"])

    def test_a_bar_ends_its_line(self):
        self.make(self.source, (0, 2 * MIB))
        process = self.start(self.source, self.destination, "--rate", "2M", "--progress", "bar")
        _, error = process.communicate(timeout=environment.seconds(30))
        self.assertRegex(error, rb"\n\r\[[# ]{24}\] \d+% of 2 MiB")
        self.assertTrue(error.endswith(b"\r"))


if __name__ == "__main__":
    unittest.main()
