#!/usr/bin/python3
"""`peerlane topology` on machines that are kept as texts (fixtures/), on broken ones, and on this one.

  topology_test.py --write      writes expected/ anew, to be read before it is committed
"""

import json
import os
import pathlib
import pty
import random
import subprocess
import sys
import unittest
import xml.etree.ElementTree

import environment
import server
from machine import Machine

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = sorted((HERE / "fixtures").glob("*.txt"))
GBPS_8X4, GBPS_16X4 = 3938461538, 7876923076


def fixture(name):
    return (HERE / "fixtures" / f"{name}.txt").read_text(encoding="utf-8")


class TopologyTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.machines = 0

    def machine(self, text, privileged=True):
        self.machines += 1
        root = self.directory / f"machine{self.machines}"
        Machine(root, text, privileged)
        return root

    def topology(self, root, *arguments, status=0):
        done = server.run("topology", "--root", root, *arguments)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        self.assertFalse([word for word in server.SANITIZER_REPORTS if word in done.stderr], done.stderr)
        return done

    def view(self, name, *arguments, privileged=True):
        root = self.machine(fixture(name), privileged)
        return json.loads(self.topology(root, "--json", *arguments).stdout)

    @staticmethod
    def ways(view):
        return {(copy["source"], copy["destination"]): copy["way"] for copy in view["copies"]}

    @staticmethod
    def copy(view, source, destination):
        return next(copy for copy in view["copies"] if (copy["source"], copy["destination"]) == (source, destination))


class OutputTest(TopologyTest):
    def test_is_as_expected(self):
        for path in FIXTURES:
            with self.subTest(path.stem):
                text = self.topology(self.machine(fixture(path.stem))).stdout
                expected = (HERE / "expected" / f"{path.stem}.expected").read_text(encoding="utf-8")
                self.assertEqual(expected, text)

    def test_every_drawing_is_well_formed_and_has_every_disk(self):
        for path in FIXTURES:
            with self.subTest(path.stem):
                drawing = self.directory / "machine.svg"
                root = self.machine(fixture(path.stem))
                self.topology(root, "--svg", drawing)
                text = "".join(xml.etree.ElementTree.parse(drawing).getroot().itertext())
                for controller in json.loads(self.topology(root, "--json").stdout)["controllers"]:
                    self.assertIn(controller["serial"], text)

    def test_a_drawing_that_cannot_be_written(self):
        done = self.topology(self.machine(fixture("none")), "--svg", self.directory / "no" / "file", status=1)
        self.assertIn("No such file", done.stderr)

    def test_colours_on_terminals_only(self):
        root = self.machine(fixture("switch"))
        self.assertNotIn("\x1b", self.topology(root).stdout)
        self.assertIn("\x1b[32mbus", self.topology(root, "--color", "always").stdout)
        for colour, coloured in (("auto", True), ("never", False)):
            master, slave = pty.openpty()
            with subprocess.Popen([environment.peerlane(), "topology", "--root", root, "--color", colour],
                                  stdout=slave) as process:
                os.close(slave)
                output = b""
                try:
                    while piece := os.read(master, 65536):
                        output += piece
                except OSError:  # the other end is closed
                    pass
                self.assertEqual(0, process.wait(environment.seconds(20)))
            os.close(master)
            self.assertEqual(coloured, b"\x1b" in output)

    def test_all_shows_functions_without_disks(self):
        root = self.machine(fixture("switch") + "  00:1f.0 accelerator 8086:0b25\n")
        self.assertNotIn("0000:00:1f.0", self.topology(root).stdout)
        self.assertIn("0000:00:1f.0", self.topology(root, "--all").stdout)

    def test_wrong_command_lines(self):
        root = self.machine(fixture("none"))
        self.topology(root, "--policy", "maybe", status=2)
        self.topology(root, "--color", "blue", status=2)


class VerdictTest(TopologyTest):
    def test_behind_a_switch(self):
        view = self.view("switch")
        for pair, way in self.ways(view).items():
            self.assertEqual("host memory" if "nvme3n1" in pair else "peer-to-peer", way, pair)
        near = self.copy(view, "nvme0n1", "nvme1n1")
        self.assertEqual(("bus address", "0000:03:00.0", GBPS_8X4),
                         (near["mapping"], near["provider"], near["bandwidth"]))
        self.assertEqual(4, near["providers"][0]["distance"])
        neutral = self.copy(view, "nvme1n1", "nvme2n1")  # by the memory of a third one, which an IOMMU is in front of
        self.assertEqual(("0000:03:00.0", True), (neutral["provider"], neutral["providers"][0]["translated"]))
        self.assertEqual(8, neutral["providers"][0]["distance"])
        self.assertIn("no switch above both", self.copy(view, "nvme0n1", "nvme3n1")["reason"])

    def test_acs_redirect(self):
        view = self.view("switch_acs", "--policy", "kernel")
        self.assertEqual({"host memory"}, set(self.ways(view).values()))
        copy = self.copy(view, "nvme0n1", "nvme1n1")
        self.assertIn("ACS redirect is on at 0000:02:00.0", copy["reason"])
        self.assertIn("pci=disable_acs_redir=0000:02:00.0;0000:02:01.0 ", copy["remedy"])

    def test_where_both_meet_redirects(self):
        """Of two functions below one root port, Linux looks at that port as well; of two namespaces there is no way."""
        view = self.view("shared_port", "--policy", "kernel")
        ways = self.ways(view)
        self.assertEqual("host memory", ways["nvme0n1", "nvme1n1"])
        self.assertIn("ACS redirect is on at 0000:00:03.0,", self.copy(view, "nvme0n1", "nvme1n1")["reason"])
        inside = self.copy(view, "nvme1n1", "nvme1n2")
        self.assertEqual(("peer-to-peer", "0000:02:00.1", None),
                         (inside["way"], inside["provider"], inside["bandwidth"]))

    def test_a_host_bridge_that_forwards_and_the_policy(self):
        root = self.machine(fixture("amd"))
        for policy, way in (("off", "host memory"), ("same-switch", "host memory"), ("kernel", "peer-to-peer")):
            view = json.loads(self.topology(root, "--json", "--policy", policy).stdout)
            self.assertEqual({way}, set(self.ways(view).values()))
            copy = self.copy(view, "nvme0n1", "nvme3n1")
            self.assertEqual("through host bridge", copy["mapping"])
            self.assertEqual(policy != "kernel", f"policy {policy} does not allow it" in copy["reason"])
            self.assertEqual(GBPS_16X4, copy["bandwidth"])

    def test_two_sockets(self):
        view = self.view("two_sockets", "--policy", "kernel")
        ways = self.ways(view)
        self.assertEqual("peer-to-peer", ways["nvme0n1", "nvme1n1"])
        self.assertEqual("host memory", ways["nvme0n1", "nvme4n1"])
        self.assertEqual("host memory", ways["nvme1n1", "nvme2n1"])  # one of its two paths is on the other socket
        self.assertIn("between its own root ports only", self.copy(view, "nvme1n1", "nvme2n1")["reason"])

    def test_a_virtual_machine(self):
        view = self.view("qemu")
        for pair, way in self.ways(view).items():
            far = "nvme3n1" in pair or "nvme4n1" in pair
            self.assertEqual("host memory" if far else "peer-to-peer", way, pair)
        self.assertIn("over tcp", self.copy(view, "nvme0n1", "nvme4n1")["reason"])
        # As near as the other one, with more free.
        self.assertEqual("0000:04:00.0", self.copy(view, "nvme0n1", "nvme1n1")["provider"])

    def test_without_privileges(self):
        view = self.view("switch", privileged=False)
        self.assertEqual("unknown", self.ways(view)["nvme0n1", "nvme1n1"])
        self.assertEqual("host memory", self.ways(view)["nvme0n1", "nvme3n1"])  # does not depend on it
        self.assertIn("root", view["not_visible"][0])
        roles = {function["address"]: function["role"] for function in view["functions"]}
        self.assertEqual(("root port", "upstream port", "downstream port"),
                         (roles["0000:00:01.0"], roles["0000:01:00.0"], roles["0000:02:00.0"]))

    def test_memory_that_an_older_kernel_keeps_to_itself(self):
        root = self.machine(fixture("switch"))
        for path in root.rglob("p2pmem/allocate"):
            path.unlink()
        copy = self.copy(json.loads(self.topology(root, "--json").stdout), "nvme0n1", "nvme1n1")
        self.assertEqual(("host memory", []), (copy["way"], copy["providers"]))
        self.assertIn("0000:03:00.0 is for the kernel only", copy["reason"])

    def test_a_buffer_that_is_not_for_data(self):
        text = fixture("one").replace("subsystem=nvme-subsys0", "subsystem=nvme-subsys0 cmbsz=0x400201") + (
            "pci0000:20\n  20:00.0 nvme 144d:a80a\n    controller nvme1 serial=B\n      namespace nvme1n1 259:9 1G\n")
        view = json.loads(self.topology(self.machine(text), "--json").stdout)
        self.assertIn("CMBSZ.RDS", self.copy(view, "nvme0n1", "nvme1n1")["reason"])
        view = json.loads(self.topology(self.machine(text.replace("0x400201", "0x400219")), "--json").stdout)
        self.assertIn("CONFIG_PCI_P2PDMA", self.copy(view, "nvme0n1", "nvme1n1")["remedy"])
        view = json.loads(self.topology(self.machine(text.replace("0x400201", "0x121d")), "--json").stdout)
        copy = self.copy(view, "nvme0n1", "nvme1n1")
        self.assertIn("has 1 MiB, and Linux takes multiples of 2 MiB only", copy["reason"])
        self.assertNotIn("CONFIG_PCI_P2PDMA", copy["remedy"])


class PathTest(TopologyTest):
    def test_only_the_disks_beneath(self):
        root = self.machine(fixture("two_sockets"))
        view = json.loads(self.topology(root, "--json", "md0").stdout)
        self.assertEqual({("nvme0n1", "nvme4n1"), ("nvme4n1", "nvme0n1")}, set(self.ways(view)))
        self.assertFalse(view["paths"][0]["direct"])
        self.assertIn("md0 > md0 > nvme0n1, nvme4n1", self.topology(root, "md0").stdout)

    def test_what_is_not_there(self):
        done = self.topology(self.machine(fixture("one")), "nvme0n1p1", "sda", status=1)
        self.assertIn("sda: no block device", done.stderr)
        self.assertIn("nvme0n1p1 > nvme0n1p1 > nvme0n1", done.stdout)

    def test_of_this_machine(self):
        done = server.run("topology", "--json")
        self.assertEqual(0, done.returncode, done.stderr)
        view = json.loads(done.stdout)
        devices = pathlib.Path("/sys/bus/pci/devices")
        functions = {path.name for path in devices.iterdir()} if devices.is_dir() else set()
        self.assertEqual(functions, {function["address"] for function in view["functions"]})
        disks = {path.name for path in pathlib.Path("/sys/class/block").iterdir()}
        self.assertEqual(disks, {device["name"] for device in view["block_devices"]})
        done = server.run("topology", "/proc/version", "/no/such/path")
        self.assertEqual(1, done.returncode)
        self.assertIn("type proc", done.stderr)


class BrokenTest(TopologyTest):
    def test_garbage_in_any_file(self):
        generator = random.Random(7)
        for name in ("switch_acs", "two_sockets"):
            root = self.machine(fixture(name))
            files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
            links = sorted(path for path in root.rglob("*") if path.is_symlink())
            for _ in range(15):
                for path in generator.sample(files, 8):
                    path.write_bytes(generator.randbytes(generator.choice((0, 1, 64, 5000))))
                for path in generator.sample(links, 2):
                    path.unlink(missing_ok=True)
                    path.symlink_to(generator.choice(("/", ".", "..", "nowhere", path.name)))
                drawing = self.directory / "broken.svg"
                text = self.topology(root, "--all", "--svg", drawing, "--policy", "kernel").stdout
                self.assertFalse([c for c in text if c != "\n" and ord(c) < 32])
                xml.etree.ElementTree.parse(drawing)
                json.loads(self.topology(root, "--json").stdout)

    def test_names_that_would_be_markup(self):
        root = self.machine(fixture("one"))
        for path in root.rglob("model"):
            path.write_text("</svg>&\"'<b>\n", encoding="utf-8")
        drawing = self.directory / "markup.svg"
        self.topology(root, "--svg", drawing)
        self.assertIn("</svg>&\"", "".join(xml.etree.ElementTree.parse(drawing).getroot().itertext()))

    def test_a_root_that_is_not_there(self):
        self.assertIn("Not understood", self.topology(self.directory / "nothing").stdout)


def write_expected():
    for path in FIXTURES:
        with environment.scratch() as directory:
            root = pathlib.Path(directory) / "machine"
            Machine(root, fixture(path.stem))
            text = server.run("topology", "--root", root).stdout
            (HERE / "expected" / f"{path.stem}.expected").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write_expected()
    else:
        unittest.main()
