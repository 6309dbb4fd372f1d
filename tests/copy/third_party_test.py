#!/usr/bin/python3
"""`peerlane copy` between disks of targets: the target does it, nothing of the data comes through the client, and where
that cannot be, the reason is told and the client does it."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import unittest

import environment
import server
import tools
from initiator import connect
from proxy import Proxy
from server import Server
from tgt import Tgt

MIB = 1 << 20
INTERRUPTED = 4

# Memory disks, of which a file system can set nothing aside; to copy one takes two seconds.
CHANGING = ("ram:8M", ("ram:8M", 'bandwidth = "4M"'))


class ThirdPartyTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def image(self, name, size, data=True):
        path = self.directory / name
        path.write_bytes(os.urandom(size) if data else b"")
        os.truncate(path, size)
        return path

    def serve(self, *disks, **options):
        started = Server(*disks, **options).start()
        self.addCleanup(started.kill)
        return started

    def copy(self, *arguments, status=0):
        done = server.run("copy", *arguments, timeout=60)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        self.assertFalse([word for word in server.SANITIZER_REPORTS if word in done.stderr], done.stderr)
        return done

    def copied(self, *arguments):
        return json.loads(self.copy(*arguments, "--json").stdout)

    def explained(self, *arguments):
        """The route of the data."""
        plan = json.loads(self.copy(*arguments, "--explain", "--json").stdout)
        return plan["routes"][0]


class OneTargetTest(ThirdPartyTest):
    def test_the_target_copies_and_the_client_sees_commands_only(self):
        source, destination = self.image("source", 70 * MIB + 512), self.image("destination", 80 * MIB, data=False)
        target = self.serve(source, destination)
        with Proxy(*target.address) as proxy:
            urls = [url.replace(f":{target.address[1]}/", f":{proxy.port}/") for url in target.urls]
            told = self.copied(*urls)
            through_the_wire = proxy.passed()
        self.assertEqual(70 * MIB + 512, told["bytes_by_way"]["third-party copy"])
        self.assertEqual((0, 0), (told["memory_bytes"], told["fallbacks"]))
        self.assertLess(through_the_wire, 64 << 10)
        self.assertEqual(source.read_bytes(), destination.read_bytes()[:source.stat().st_size])
        self.assertFalse(any(destination.read_bytes()[source.stat().st_size:]))
        ways = told["storage"]["bytes_by_way"]
        self.assertEqual(70 * MIB + 512, sum(ways.values()))
        self.assertEqual(ways.get("host memory", 0), told["storage"]["memory_bytes"])
        self.assertIn(told["storage"]["carried_by"].split(" within")[0], ways)

    def test_it_says_so_beforehand_and_afterwards(self):
        target = self.serve(self.image("source", 4 * MIB), "ram:4M")
        route = self.explained(*target.urls)
        self.assertEqual("third-party copy", route["way"])
        self.assertEqual(f"within the target {target.target} by tokens, which runs host memory", route["through"])
        self.assertTrue([reason for reason in route["there"] if re.match("not (.+, )?peer-to-peer: .", reason)], route)
        text = self.copy(*target.urls, "--explain").stdout
        self.assertRegex(text, r"third-party copy 4 MiB in 1 extent, within the target iqn")
        self.assertRegex(text, r"    there not clone, server-side copy, NVMe Copy, peer-to-peer: ")
        self.assertRegex(self.copy(*target.urls).stdout,
                         r"4 MiB by third-party copy within the target \S+ by tokens, which ran host memory; "
                         r"0 bytes through")

    def test_tokens_can_be_done_without(self):
        source, destination = self.image("source", 4 * MIB), self.image("destination", 4 * MIB)
        target = self.serve(source, destination)
        for urls in ((target.urls[0] + "?tokens=no", target.urls[1]), (target.urls[0], target.urls[1] + "?tokens=no")):
            route = self.explained(*urls)
            self.assertEqual(f"within the target {target.target} by EXTENDED COPY, which runs host memory",
                             route["through"])
            self.assertIn("not tokens: they are not wanted", route["there"])
        self.assertEqual(4 * MIB, self.copied(*urls)["bytes_by_way"]["third-party copy"])
        self.assertEqual(source.read_bytes(), destination.read_bytes())

    @unittest.skipUnless(environment.has_ipv6(), "no IPv6 here")
    def test_over_ipv6(self):
        source, destination = self.image("source", 4 * MIB), self.image("destination", 4 * MIB)
        target = self.serve(source, destination, listen=("[::1]:0",))
        self.assertEqual(4 * MIB, self.copied(*target.urls)["bytes_by_way"]["third-party copy"])
        self.assertEqual(source.read_bytes(), destination.read_bytes())

    def test_ranges_land_where_they_are_to_and_nowhere_else(self):
        source, destination = self.image("source", 4 * MIB), self.image("destination", 4 * MIB)
        before = destination.read_bytes()
        target = self.serve(source, destination)
        told = self.copied(*target.urls, "--offset", MIB + 512, "--length", MIB, "--destination-offset", 2 * MIB - 1024)
        self.assertEqual(MIB, told["bytes_by_way"]["third-party copy"])
        at = 2 * MIB - 1024
        expected = before[:at] + source.read_bytes()[MIB + 512:2 * MIB + 512] + before[at + MIB:]
        self.assertEqual(expected, destination.read_bytes())

    def test_disks_with_other_blocks(self):
        source, destination = self.image("source", 4 * MIB), self.image("destination", 4 * MIB)
        config = self.directory / "config.toml"
        config.write_text(f"""
[[portal]]
listen = "127.0.0.1:0"
[[target]]
[[target.lun]]
disk = "{source}"
[[target.lun]]
disk = "{destination}"
block_size = 4096
""", encoding="utf-8")
        target = self.serve(config=config, luns=2)
        told = self.copied(*target.urls, "--verify")
        self.assertEqual(4 * MIB, told["bytes_by_way"]["third-party copy"])
        self.assertEqual(source.read_bytes(), destination.read_bytes())
        told = self.copied(*reversed(target.urls), "--offset", 512, "--length", 8192, "--destination-offset", 512)
        self.assertEqual({"third-party copy": 4096, "host memory": 4096},
                         {way: count for way, count in told["bytes_by_way"].items() if count})
        self.assertEqual(source.read_bytes(), destination.read_bytes())

    def test_holes_stay_holes(self):
        source, destination = self.image("source", 32 * MIB, data=False), self.image("destination", 32 * MIB)
        with open(source, "r+b") as file:
            file.seek(8 * MIB)
            file.write(os.urandom(MIB))
        target = self.serve(source, destination)
        told = self.copied(*target.urls)
        self.assertEqual((MIB, 31 * MIB), (told["bytes_by_way"]["third-party copy"], told["bytes_by_way"]["zeroes"]))
        self.assertEqual(source.read_bytes(), destination.read_bytes())
        self.assertLess(destination.stat().st_blocks * 512, 3 * MIB)

    def test_the_target_shares_blocks_where_its_file_system_can(self):
        place = self.directory / "place"
        place.mkdir()
        image = self.image("xfs", 320 * MIB, data=False)
        tools.run("mkfs.xfs", "-m", "reflink=1", image)
        tools.run("mount", "-o", "loop", image, place)
        self.addCleanup(tools.run, "umount", place)
        source, destination = self.image("place/source", 16 * MIB), self.image("place/destination", 16 * MIB)
        target = self.serve(source, destination)
        through = self.explained(*target.urls)["through"]
        self.assertEqual(f"within the target {target.target} by tokens, which runs clone", through)
        told = self.copied(*target.urls)
        self.assertEqual({"bytes_by_way": {"clone": 16 * MIB}, "memory_bytes": 0, "carried_by": "clone"},
                         told["storage"])
        self.assertEqual(source.read_bytes(), destination.read_bytes())

    def test_what_the_target_must_not_do_is_not_asked_for(self):
        target = self.serve(self.image("source", 4 * MIB), "ram:4M")
        for arguments in (("--sparse", "never"), ("--sparse", "always"), ("--only", "host-memory")):
            told = self.copied(*target.urls, *arguments)
            self.assertEqual(0, told["bytes_by_way"]["third-party copy"], arguments)
        told = self.copied(*target.urls, "--only", "third-party")
        self.assertEqual(4 * MIB, told["bytes_by_way"]["third-party copy"])


class SlowTargetTest(ThirdPartyTest):
    def setUp(self):
        super().setUp()
        # Seconds to copy: 64 MiB at 8 MiB/s.
        self.target = self.serve((self.image("source", 64 * MIB), 'bandwidth = "8M"'), "ram:64M")
        process = subprocess.Popen([environment.peerlane(), "copy", *self.target.urls, "--progress", "json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.process = process

    def test_progress_moves_while_one_command_goes_on(self):
        _, told = self.process.communicate(timeout=environment.seconds(60))
        self.assertEqual(0, self.process.returncode, told)
        lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        between = {line["done"] for line in lines if 0 < line["done"] < 64 * MIB}
        self.assertTrue(between, lines)

    def test_an_interrupted_copy_ends_soon_and_for_good(self):
        time.sleep(1)
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        _, told = self.process.communicate(timeout=environment.seconds(30))
        self.assertEqual(INTERRUPTED, self.process.returncode, told)
        self.assertLess(time.monotonic() - began, environment.seconds(4))
        first, again = (self.copied(self.target.urls[1], self.directory / name) for name in ("first", "again"))
        self.assertTrue(first["ok"] and again["ok"])
        self.assertEqual((self.directory / "first").read_bytes(), (self.directory / "again").read_bytes())


class ChangingDiskTest(ThirdPartyTest):
    """Somebody else writes to the first blocks of the source, after they have been copied."""

    def setUp(self):
        super().setUp()
        self.target = self.serve(*CHANGING)
        self.session = connect(self.target)
        self.addCleanup(self.session.close)
        self.data = os.urandom(8 * MIB)
        self.session.test_unit_ready()
        for at in range(0, len(self.data), MIB):
            self.session.write(at // 512, self.data[at:at + MIB])

    def copied_while(self, change, *arguments):
        """Copies `arguments`; meanwhile, in a thread, change(over), with an event that is set after the copy."""
        over = threading.Event()
        changing = threading.Thread(target=change, args=(over,))
        changing.start()
        self.addCleanup(changing.join)
        self.addCleanup(over.set)
        told = self.copied(*self.target.urls, *arguments)
        over.set()
        changing.join()
        self.copy(self.target.urls[1], self.directory / "result", *arguments)
        return told, (self.directory / "result").read_bytes()

    def test_what_is_copied_is_what_was_there_at_one_moment(self):
        new = os.urandom(4096)

        def write(_):
            time.sleep(0.7)
            self.session.write(0, new)

        told, result = self.copied_while(write)
        self.assertEqual(f"within the target {self.target.target} by tokens", told["through"].split(",")[0])
        self.assertEqual(new + self.data[4096:], result)
        self.assertEqual(8 * MIB, sum(told["storage"]["bytes_by_way"].values()))

    def test_a_disk_that_is_written_all_the_time_is_copied_all_the_same(self):
        def write(over):
            while not over.wait(0.05):
                self.session.write(0, os.urandom(4096))

        told, result = self.copied_while(write, "--length", 2 * MIB)
        self.assertRegex(told["through"], r"by tokens, then EXTENDED COPY \(WRITE USING TOKEN: .*23h/06h\)")
        self.assertEqual(2 * MIB, told["bytes_by_way"]["third-party copy"])
        self.assertEqual(self.data[4096:2 * MIB], result[4096:])


class OtherTargetTest(ThirdPartyTest):
    def test_a_file_is_no_disk_of_a_target(self):
        target = self.serve("ram:4M")
        route = self.explained(self.image("source", 4 * MIB), target.url)
        self.assertEqual("host memory", route["way"])
        self.assertRegex({each["way"]: each["reason"] for each in route["not"]}["third-party copy"],
                         "source is no disk of a target")

    def test_a_target_that_cannot_reach_the_other_leaves_it_to_the_client(self):
        source = self.image("source", 4 * MIB)
        first, second = (self.serve(disk, options=("--target-name", f"iqn.2026-11.test:{name}"))
                         for disk, name in ((source, "first"), ("ram:4M", "second")))
        route = self.explained(first.url, second.url)
        self.assertEqual("host memory", route["way"])
        self.assertRegex({each["way"]: each["reason"] for each in route["not"]}["third-party copy"],
                         "EXTENDED COPY: COPY ABORTED")
        self.copied(first.url, second.url)
        back = self.directory / "back"
        self.copy(second.url, back)
        self.assertEqual(source.read_bytes(), back.read_bytes())

    def test_two_targets_of_one_name_are_not_taken_for_one(self):
        """As on machines that were made from one image: the second one may have a disk by the name of the source."""
        source, destination = self.image("source", 4 * MIB), self.image("destination", 4 * MIB)
        first, second = (self.serve(*disks, options=("--target-name", "iqn.2026-11.test:same"))
                         for disks in ((source,), ("ram:4M", destination)))
        urls = (first.urls[0], second.urls[1])
        route = self.explained(*urls)
        self.assertEqual("host memory", route["way"])
        self.assertRegex({each["way"]: each["reason"] for each in route["not"]}["third-party copy"], "is not known")
        self.copied(*urls)
        self.assertEqual(source.read_bytes(), destination.read_bytes())

    def test_tgt_has_no_third_party_copies(self):
        source = self.image("source", 4 * MIB)
        target = self.serve(source)
        with Tgt(4 * MIB) as tgt:
            route = self.explained(target.url, tgt.url)
            self.assertEqual("host memory", route["way"])
            self.assertRegex({each["way"]: each["reason"] for each in route["not"]}["third-party copy"],
                             "does not offer third-party copies|RECEIVE COPY OPERATING PARAMETERS|EXTENDED COPY")
            told = self.copied(target.url, tgt.url, "--verify")
            self.assertEqual(4 * MIB, told["bytes_by_way"]["host memory"])


if __name__ == "__main__":
    unittest.main()
