#!/usr/bin/python3
"""The shell commands that reach disks: discover, info, bench, pr, unmap and sg, with Peerlane's target and with tgt."""

import json
import pathlib
import signal
import socket
import subprocess
import time
import unittest

import environment
import server
import tgt
from server import Server

MIB = 1 << 20
SECRET = "a secret of some length"
CHAP = {"PEERLANE_CHAP_USER": "user", "PEERLANE_CHAP_SECRET": SECRET}

OK, FAILURE, USAGE, DIFFERS, INTERRUPTED = range(5)
CHECK_CONDITION, CONFLICT = 10, 12


class CommandTest(unittest.TestCase):
    def peerlane(self, *arguments, status=OK, env=None, timeout=60):
        """Runs a command, which must end with `status`; its output."""
        done = server.run(*arguments, env=env, timeout=timeout)
        self.assertEqual(done.returncode, status, f"{arguments}:\n{done.stdout}{done.stderr}")
        for word in server.SANITIZER_REPORTS:
            self.assertNotIn(word, done.stderr)
        if status == OK:
            self.assertEqual(done.stderr, "")
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.peerlane(arguments[0], "--json", *arguments[1:], **options))

    def complaint(self, *arguments, status=FAILURE, env=None):
        """Runs a command that must fail; what it says on standard error."""
        done = server.run(*arguments, env=env, timeout=60)
        self.assertEqual(done.returncode, status, f"{arguments}:\n{done.stdout}{done.stderr}")
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        return done.stderr

    def scratch_file(self, content):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / "file"
        path.write_bytes(content)
        return path


def closed_port():
    """A port of the loopback on which nobody listens."""
    return tgt.free_port()


class DiscoverTest(CommandTest):
    def test_targets_and_units(self):
        with Server("ram:64M", "ram:32M") as target:
            host, port = target.address
            found = self.json("discover", f"{host}:{port}")
            self.assertEqual([each["name"] for each in found["targets"]], [target.target])
            self.assertEqual(found["targets"][0]["portals"][0]["port"], port)
            self.assertIsNone(found["targets"][0]["error"])
            units = found["targets"][0]["luns"]
            self.assertEqual([(unit["lun"], unit["size"]) for unit in units], [(0, 64 * MIB), (1, 32 * MIB)])
            self.assertEqual([unit["url"] for unit in units], target.urls)
            self.assertNotEqual(units[0]["identity"], units[1]["identity"])
            text = self.peerlane("discover", f"{host}:{port}")
            self.assertIn(target.urls[1], text)
            self.assertIn("64 MiB", text)

    def test_targets_only(self):
        with Server("ram:64M", options=("--chap-user", "user", "--chap-secret-env", "S"), env={"S": SECRET}) as target:
            host, port = target.address
            found = self.json("discover", f"{host}:{port}", "--targets-only", env=CHAP)
            self.assertNotIn("luns", found["targets"][0])

    def test_a_refusal_is_told_of_each_target_and_ends_nothing(self):
        with tgt.Tgt(16 * MIB, accounts={"user": SECRET}) as target:
            # tgt has a discovery session without an account, and wants one for the target.
            found = self.json("discover", f"127.0.0.1:{target.port}", status=FAILURE)
            self.assertEqual([each["name"] for each in found["targets"]], [tgt.TARGET])
            self.assertTrue(found["targets"][0]["error"])
            found = self.json("discover", f"127.0.0.1:{target.port}", env=CHAP)
            self.assertIn((1, 16 * MIB), [(unit["lun"], unit["size"]) for unit in found["targets"][0]["luns"]])

    def test_nobody_there(self):
        self.assertIn("refused", self.complaint("discover", f"127.0.0.1:{closed_port()}").lower())

    def test_wrong_use(self):
        self.complaint("discover", status=USAGE)
        self.complaint("discover", "iscsi://127.0.0.1/iqn.2026-11.dev.peerlane:x/0", status=USAGE)


class InfoTest(CommandTest):
    def test_remote(self):
        with Server("ram:64M", options=("--block-size", "4096")) as target:
            info = self.json("info", target.url)
            self.assertEqual(info["geometry"]["size"], 64 * MIB)
            self.assertEqual(info["geometry"]["logical_block_size"], 4096)
            self.assertTrue(info["capabilities"]["unmap"])
            self.assertIn(info["identity"]["stable"], info["unit"]["names"])
            self.assertEqual(info["session"]["target"], target.target)
            self.assertEqual(info["session"]["header_digest"], "none")
            self.assertIsNone(info["reservations"]["reservation"])
            self.assertTrue(info["port_groups"])
            digests = self.json("info", target.url + "?header_digest=require&data_digest=require")
            self.assertEqual(digests["session"]["data_digest"], "CRC32C")
            text = self.peerlane("info", target.url)
            for word in ("64 MiB", target.target, "Persistent reservations", "active/optimized"):
                self.assertIn(word, text)

    def test_tgt(self):
        with tgt.Tgt(16 * MIB) as target:
            info = self.json("info", target.url)
            self.assertEqual(info["geometry"]["size"], 16 * MIB)
            self.assertEqual(info["unit"]["vendor"].strip(), "IET")

    def test_reserved_by_another(self):
        """What a reservation hides is not told, and not what keeps the disk from being shown."""
        with Server("ram:64M") as target:
            self.peerlane("pr", target.url, "register", "--new-key", "0x1")
            self.peerlane("pr", target.url, "reserve", "--key", "0x1", "--type", "exclusive-access")
            info = self.json("info", target.url)
            self.assertEqual(info["geometry"]["size"], 64 * MIB)
            self.assertEqual(info["reservations"]["reservation"]["type"], "exclusive-access")
            self.assertIsNone(info["unit"]["write_cache"])
            self.assertTrue(info["capabilities"]["volatile_cache"], "not known, and so to be reckoned with")
            self.assertIn("another initiator has reserved the unit", self.peerlane("info", target.url))
            self.assertIn("0x1", self.peerlane("pr", target.url + "?isid=80504c000002", "read-keys"))
            for arguments in (("copy", target.url, self.scratch_file(b"").with_name("copy")),
                              ("bench", target.url, "--time", "0.2"),
                              ("bench", target.url, "--time", "0.2", "--pattern", "write", "--yes")):
                self.assertIn("another initiator has reserved", self.complaint(*arguments))
            # Nothing is hidden from who has it, nor from all others when it is gone.
            self.assertFalse(self.json("info", target.url + "?isid=80504c000001")["unit"]["write_cache"])
            self.peerlane("pr", target.url, "release", "--key", "0x1", "--type", "exclusive-access")
            self.assertFalse(self.json("info", target.url)["unit"]["write_cache"])

    def test_paths(self):
        with Server("ram:64M", listen=("127.0.0.1:0", "127.0.0.2:0")) as target:
            portals = sorted(url.split("/")[2] for url in target.urls)
            found = self.json("info", target.url + "?paths=all")
            self.assertEqual(sorted(path["portal"] for path in found["paths"].values()), portals)
            self.assertEqual({path["state"] for path in found["paths"].values()}, {"optimized"})
            self.assertEqual(found["session"]["target"], target.target)
            found = self.json("info", target.url + "?sessions=3")
            self.assertEqual([path["portal"] for path in found["paths"].values()], 3 * [target.url.split("/")[2]])
            self.assertEqual(len({path["session"] for path in found["paths"].values()}), 3)
            self.assertIn(f"{portals[1]}: optimized", self.peerlane("info", target.url + "?paths=all"))
            self.assertNotIn("paths", self.json("info", target.url))
            self.complaint("info", target.url + "?paths=some", status=USAGE)
            self.complaint("info", target.url + "?sessions=0", status=USAGE)

    def test_local(self):
        path = self.scratch_file(bytes(3 * MIB))
        info = self.json("info", path)
        self.assertEqual(info["geometry"]["size"], 3 * MIB)
        self.assertNotIn("session", info)
        self.assertEqual(self.json("info", "ram:1M")["geometry"]["size"], MIB)

    def test_what_is_wrong(self):
        with Server("ram:1M", options=("--chap-user", "user", "--chap-secret-env", "S"), env={"S": SECRET}) as target:
            wrong = {**CHAP, "PEERLANE_CHAP_SECRET": "another secret, wrong"}
            self.complaint("info", target.url)
            self.complaint("info", target.url, env=wrong)
            self.peerlane("info", target.url, env=CHAP)
            self.complaint("info", target.url.replace("/0", "/7"), env=CHAP)
            self.complaint("info", target.url.replace("peerlane:", "peerlane:no-"), env=CHAP)
            self.assertIn("discover", self.complaint("info", target.portal_url, status=USAGE, env=CHAP))
        self.complaint("info", f"iscsi://127.0.0.1:{closed_port()}/iqn.2026-11.dev.peerlane:x/0")
        self.complaint("info", "/no/such/file")
        self.complaint("info", status=USAGE)


class BenchTest(CommandTest):
    def check_result(self, result, pattern):
        self.assertGreater(result["ios"], 0)
        self.assertIsNone(result["error"])
        latency = result["latency_us"]
        order = [latency[key] for key in ("min", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")]
        self.assertEqual(order, sorted(order))
        self.assertGreater(latency["min"], 0)
        self.assertEqual(result["ios"], result["reads"]["ios"] + result["writes"]["ios"])
        self.assertEqual(result["reads"]["ios"] > 0, "write" not in pattern)
        self.assertEqual(result["writes"]["ios"] > 0, "read" not in pattern)

    def test_patterns(self):
        with Server("ram:64M") as target:
            for pattern in ("read", "write", "rw", "randread", "randwrite", "randrw"):
                with self.subTest(pattern):
                    result = self.json("bench", target.url, "--pattern", pattern, "--time", "0.3", "--depth", "8",
                                       "--yes")
                    self.check_result(result, pattern)
            result = self.json("bench", target.url, "--sessions", "3", "--threads", "2", "--time", "0.3",
                               "--warm-up", "0.1")
            self.check_result(result, "randread")
            self.assertAlmostEqual(result["seconds"], 0.3, places=3)

    def test_paths(self):
        """Each session of the load has a disk of its own, with the paths that the URL names."""
        with Server("ram:64M", listen=("127.0.0.1:0", "127.0.0.2:0")) as target:
            result = self.json("bench", target.url + "?paths=all&sessions=2", "--sessions", "2", "--pattern",
                               "randwrite", "--verify", "--bytes", "8M", "--yes")
            self.check_result(result, "randwrite")
            self.assertEqual(result["ios"], 2048)
            # Each with two portals and two sessions through each, and once to see how large the disk is.
            sessions = [line for line in target.log().splitlines() if "began" in line and target.target in line]
            self.assertEqual(len(sessions), (2 + 1) * 2 * 2)

    def test_tgt(self):
        with tgt.Tgt(16 * MIB) as target:
            self.check_result(self.json("bench", target.url, "--time", "0.3"), "randread")
            result = self.json("bench", target.url, "--pattern", "randwrite", "--verify", "--bytes", "8M", "--yes")
            self.assertEqual(result["ios"], 2048)
            self.assertGreater(result["verify"]["blocks_checked"], 1000)

    def test_local_disks(self):
        path = self.scratch_file(bytes(4 * MIB))
        for disk in (path, "ram:4M"):
            result = self.json("bench", disk, "--pattern", "randrw", "--bytes", "2M", "--threads", "2", "--sessions",
                               "2", "--yes")
            self.assertEqual(result["ios"], 512)

    def test_large_blocks(self):
        with Server("ram:64M") as target:
            result = self.json("bench", target.url, "--pattern", "write", "-b", "4M", "-q", "4", "--bytes", "64M",
                               "--verify", "--yes")
            self.assertEqual((result["ios"], result["verify"]["blocks_checked"]), (16, 16))

    def test_verification_across_runs(self):
        path = self.scratch_file(bytes(MIB))
        common = ("bench", path, "--verify", "--seed", "7")
        self.peerlane(*common, "--pattern", "write", "--bytes", "1M", "--yes")
        # Other blocks than it was written in.
        self.peerlane(*common, "--pattern", "read", "--block-size", "64K", "--bytes", "1M")
        self.complaint("bench", path, "--verify", "--seed", "8", "--bytes", "1M", status=DIFFERS)
        with open(path, "r+b") as file:
            file.seek(0x4000)
            block = file.read(512)
            file.seek(0x2200)
            file.write(block)
        said = self.complaint(*common, "--pattern", "read", "--depth", "1", "--bytes", "1M", status=DIFFERS)
        self.assertIn("offset 8704", said)
        self.assertIn("what belongs at 16384", said)

    def test_rate(self):
        with Server("ram:16M") as target:
            result = self.json("bench", target.url, "--rate", "500", "--time", "1", "--depth", "4")
            self.assertAlmostEqual(result["ios"], 500, delta=100)

    def test_writing_asks_for_consent(self):
        content = bytes(range(256)) * 4096
        path = self.scratch_file(content)
        said = self.complaint("bench", path, "--pattern", "randrw", status=USAGE)
        self.assertIn("--yes", said)
        self.assertEqual(path.read_bytes(), content)
        self.peerlane("bench", path, "--pattern", "read", "--bytes", "1M")
        self.assertEqual(path.read_bytes(), content)

    def test_the_range_is_kept(self):
        content = bytes(range(256)) * 4096
        path = self.scratch_file(content)
        self.peerlane("bench", path, "--pattern", "randwrite", "--offset", "256K", "--length", "512K", "--bytes", "4M",
                      "--yes")
        now = path.read_bytes()
        self.assertEqual(now[:MIB // 4], content[:MIB // 4])
        self.assertEqual(now[3 * MIB // 4:], content[3 * MIB // 4:])
        self.assertNotEqual(now, content)

    def test_wrong_use(self):
        with Server("ram:1M", options=("--block-size", "4096")) as target:
            for options in (("--block-size", "512"), ("--block-size", "100"), ("--offset", "1G"), ("--length", "2M"),
                            ("--depth", "0"), ("--threads", "2"), ("--pattern", "dance"), ("--verify",),
                            ("--sessions", "200", "--block-size", "64K")):
                with self.subTest(options):
                    self.complaint("bench", target.url, "--time", "0.1", *options, status=USAGE)
        self.complaint("bench", target.url)

    def test_an_interrupted_run_reports(self):
        with Server("ram:16M") as target:
            process = subprocess.Popen([environment.peerlane(), "bench", target.url, "--json", "--time", "600"],
                                       stdout=subprocess.PIPE, text=True)
            time.sleep(environment.seconds(1))
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=environment.seconds(20))
            self.assertEqual(process.returncode, INTERRUPTED)
            self.assertGreater(json.loads(output)["ios"], 0)


class ReservationTest(CommandTest):
    def pr(self, url, *arguments, **options):
        return self.json("pr", url, *arguments, **options)

    def test_two_initiators(self):
        with Server("ram:16M") as target:
            one, other = target.url, target.url + "?isid=80504c0000ff"
            self.pr(one, "register", "--new-key", "0x1")
            self.pr(other, "register", "--new-key", "0x2")
            self.assertEqual(sorted(self.pr(one, "read-keys")["keys"]), ["0x1", "0x2"])
            self.pr(one, "reserve", "--key", "1", "--type", "we")
            held = self.pr(other, "read-reservation")["reservation"]
            self.assertEqual(held, {"key": "0x1", "type": "write-exclusive"})
            full = self.pr(other, "read-full-status")["registrations"]
            self.assertEqual({(each["key"], each["holds"]) for each in full},
                             {("0x1", "write-exclusive"), ("0x2", None)})
            self.assertEqual(self.json("info", target.url)["reservations"]["reservation"]["key"], "0x1")

            said = self.complaint("pr", other, "reserve", "--key", "2", "--type", "we", status=CONFLICT)
            self.assertIn("RESERVATION CONFLICT", said)
            self.complaint("bench", other, "--pattern", "write", "--bytes", "1M", "--yes")
            self.peerlane("bench", other, "--pattern", "read", "--bytes", "1M")
            mine = target.url + "?isid=80504c000001"
            self.peerlane("bench", mine, "--pattern", "write", "--bytes", "1M", "--yes")
            write = ("--out", "00" * 512, "--", "2a", "00", "00", "00", "00", "00", "00", "00", "01", "00")
            self.complaint("sg", other, *write, status=CONFLICT)

            self.pr(other, "preempt", "--key", "2", "--victim", "1", "--type", "ea")
            self.assertEqual(self.pr(other, "read-keys")["keys"], ["0x2"])
            self.pr(other, "release", "--key", "2", "--type", "ea")
            self.assertIsNone(self.pr(other, "read-reservation")["reservation"])
            self.pr(other, "clear", "--key", "2")
            self.assertEqual(self.pr(other, "read-keys")["keys"], [])
            self.assertIn("persist_capable", self.pr(one, "report-capabilities"))

    def test_reading_what_another_one_has_for_itself(self):
        with Server("ram:16M") as target:
            holder = target.url + "?isid=80504c0000ff"
            self.pr(holder, "register", "--new-key", "0x2")
            self.pr(holder, "reserve", "--key", "2", "--type", "ea")
            self.assertEqual(self.pr(target.url, "read-reservation")["reservation"]["type"], "exclusive-access")
            host, port = target.address
            self.assertEqual(self.json("discover", f"{host}:{port}")["targets"][0]["luns"][0]["size"], 16 * MIB)
            self.pr(target.url, "register", "--new-key", "1")
            self.pr(target.url, "preempt", "--key", "1", "--victim", "2", "--type", "ea")

    def test_wrong_use(self):
        with Server("ram:1M") as target:
            for arguments in (("reserve", "--type", "we"), ("reserve", "--key", "1"), ("register",), ("dance",),
                              ("reserve", "--key", "x", "--type", "we"), ("preempt", "--key", "1", "--type", "we"),
                              ("clear", "--key", "1", "--aptpl")):
                with self.subTest(arguments):
                    self.complaint("pr", target.url, *arguments, status=USAGE)
        self.complaint("pr", "ram:1M", "read-keys", status=USAGE)


class UnmapTest(CommandTest):
    def test_a_range_reads_as_zeroes_afterwards(self):
        with Server("ram:16M") as target:
            self.peerlane("bench", target.url, "--pattern", "write", "--bytes", "16M", "-b", "1M", "--yes")
            self.peerlane("unmap", target.url, "--offset", "4M", "--length", "2M", "--yes")
            path = self.scratch_file(b"")
            self.peerlane("copy", "--quiet", target.url, path)
            content = path.read_bytes()
            self.assertEqual(content[4 * MIB:6 * MIB], bytes(2 * MIB))
            self.assertNotEqual(content[4 * MIB - 512:4 * MIB], bytes(512))
            self.assertNotEqual(content[6 * MIB:6 * MIB + 512], bytes(512))
            self.peerlane("unmap", target.url, "--all", "--yes")

    def test_wrong_use(self):
        content = bytes(range(256)) * 4096
        path = self.scratch_file(content)
        self.assertIn("--yes", self.complaint("unmap", path, "--all", status=USAGE))
        self.complaint("unmap", path, "--yes", status=USAGE)
        self.complaint("unmap", path, "--offset", "100", "--length", "512", "--yes", status=USAGE)
        self.complaint("unmap", path, "--offset", "512K", "--length", "1M", "--yes", status=USAGE)
        self.complaint("unmap", path, "--all", "--length", "512", "--yes", status=USAGE)
        self.assertEqual(path.read_bytes(), content)


class RawCommandTest(CommandTest):
    def test_data_in_and_out(self):
        with Server("ram:1M") as target:
            block = bytes(range(256)) * 2
            path = self.scratch_file(block)
            self.peerlane("sg", target.url, "--out-file", path, "--", "2a 00 00 00 00 05 00 00 01 00")
            back = path.with_name("back")
            read = ("28", "00", "00", "00", "00", "05", "00", "00", "01", "00")
            self.peerlane("sg", target.url, "--in", "512", "--in-file", back, "--", *read)
            self.assertEqual(back.read_bytes(), block)
            answer = self.json("sg", target.url, "--in", "512", "--", *read)
            self.assertEqual((answer["status"], bytes.fromhex(answer["data"])), (0, block))
            self.assertIn("PEERLANE", self.peerlane("sg", target.url, "--in", "96", "--", "120000006000").upper())
            self.peerlane("sg", target.url, "--", "00", "00", "00", "00", "00", "00")

    def test_sense_is_told(self):
        with Server("ram:1M") as target:
            beyond = ("--in", "512", "--", "28", "00", "7f", "ff", "ff", "ff", "00", "00", "01", "00")
            said = self.complaint("sg", target.url, *beyond, status=CHECK_CONDITION)
            self.assertIn("LOGICAL BLOCK ADDRESS OUT OF RANGE", said)
            answer = json.loads(server.run("sg", target.url, "--json", *beyond).stdout)
            self.assertEqual((answer["sense"]["key"], answer["sense"]["asc"]), (5, 0x21))
            said = self.complaint("sg", target.url, "--", "ff0000000000", status=CHECK_CONDITION)
            self.assertIn("INVALID COMMAND OPERATION CODE", said)
            said = self.complaint("sg", target.url.replace("/0", "/9"), "--", "000000000000", status=CHECK_CONDITION)
            self.assertIn("LOGICAL UNIT NOT SUPPORTED", said)

    def test_wrong_use(self):
        with Server("ram:1M") as target:
            for arguments in (("--", "12"), ("--", "zz0000000000"), ("--", "123"), ("--in", "0", "--", "000000000000"),
                              ("--in", "1", "--out", "00", "--", "000000000000"), ()):
                with self.subTest(arguments):
                    self.complaint("sg", target.url, *arguments, status=USAGE)
        self.complaint("sg", "ram:1M", "--", "000000000000", status=USAGE)

    def test_no_answer_has_an_end(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            self.complaint("sg", f"iscsi://127.0.0.1:{port}/iqn.2026-11.dev.peerlane:x/0", "--", "000000000000")


if __name__ == "__main__":
    unittest.main()
