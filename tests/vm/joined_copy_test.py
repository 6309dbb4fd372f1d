#!/usr/bin/python3
"""A client asks, and the disks do it: two NVMe disks behind one switch are logical units of a target, and a client on
the other side of a network has one copied to the other with EXTENDED COPY.

The target is `peerlane serve` in a guest, the client is on this host. Nothing is taken from what Peerlane says: QEMU's
trace of the disks shows that no data lay in the target's RAM, and QEMU's capture of the guest's network card that none
went to the client or came from it. Both proofs are shown to fail where they should.

A second service in the guest is another target, whose disks the first one's machine has as well: a dual-ported disk
could not be told from that."""

import concurrent.futures
import json
import os
import pathlib
import random
import re
import struct
import threading
import unittest

import environment
import machine
from capture import Capture
from direct_copies import MIB, PROBE, Copies
from extended_copy import blocks_to_blocks, identification, ipv4, lid1, lid4, naa_of, start_copy
from initiator import Connection, Session
from pci_lab import ROOT, Disk, Lab, image
from server import run

BLOCK = 512
DISK = 48 * MIB
SIZE = 16 * MIB
PORT = 3260

# The other target has one LUN at each of two ports: a partition of P, which may be read by the first service, too, and
# Q, which may not.
SHARED_PORT, APART_PORT = 3261, 3262
SHARED, APART = "iqn.2026-11.test:shared", "iqn.2026-11.test:apart"
IDENTITIES = {"P": ("eui64=0x0025385b71b0a1c2", "eui.0025385b71b0a1c2"),
              "Q": ("eui64=0x0025385b71b0a1c3", "eui.0025385b71b0a1c3")}
PARTITION = MIB  # where it begins
SAMPLES = 2 * 8 * (64 << 10)  # what is compared of a copy of SIZE, by both services

SERVICE = """
[service]
allow_anonymous = true
state = "/run/{name}-state"
"""
PORTAL = """
[[portal]]
listen = "{address}:{port}"
group = {group}
"""
TARGET = """
[[target]]
name = "{name}"
portal_groups = [{group}]
"""
LUN = """
[[target.lun]]
disk = "{disk}"
"""
CACHED = 'cache = "write-back"\n'
PEER = """
[[peer]]
target = "{target}"
portal = "{address}:{port}"
"""

# A command and its answer take some hundred bytes, and TCP's and Ethernet's headers. Of a copy through the client there
# would be twice SIZE.
WIRE_LIMIT = 8 << 10

MISCOMPARE = 0x0E
COMPARING = 8      # sessions
LONGEST_WAIT = 30  # seconds for a command beside others

# What makes data known wherever they are: the beginning of each LINE bytes. The rest is random.
LINE = 64
SIGN = os.urandom(16)


def partition_table(begin, end):
    """A sector that makes one partition of a disk (MBR)."""
    entry = struct.pack("<B3xB3xII", 0, 0x83, begin // BLOCK, (end - begin) // BLOCK)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def signed(length):
    rest = LINE - len(SIGN)
    random = os.urandom(length // LINE * rest)
    return b"".join(SIGN + random[at:at + rest] for at in range(0, len(random), rest))


class JoinedCopyTest(unittest.TestCase):
    """LUN 0 is A and LUN 1 is B, behind one switch and with controller memory buffers; LUN 2 is C, elsewhere. P and Q
    of the other target are behind the switch."""

    @classmethod
    def setUpClass(cls):
        cls.images = pathlib.Path(cls.enterClassContext(environment.memory_scratch()))
        cls.data = signed(SIZE)
        for name, begin in (("A", 0), ("P", PARTITION), ("Q", 0)):
            with open(image(cls.images, name), "wb") as file:
                file.write(partition_table(begin, DISK) if begin else b"")
                file.seek(begin)
                file.write(cls.data)
                file.truncate(DISK)
        cls.capture = Capture(cls.images / "capture")
        sizes = (DISK // MIB,)
        disks = (Disk("A", buffer=8, namespaces=sizes), Disk("B", buffer=8, namespaces=sizes),
                 Disk("C", ROOT, namespaces=sizes),
                 *(Disk(name, namespaces=sizes, options=f",{option}") for name, (option, _) in IDENTITIES.items()))
        cls.guest = cls.enterClassContext(Lab(disks, images=cls.images, qemu_arguments=cls.capture.qemu_arguments,
                                              network=",".join(f"hostfwd=tcp:127.0.0.1:0-{machine.ADDRESS}:{port}"
                                                               for port in (PORT, SHARED_PORT))))
        cls.guest.run("ip link set lo up")
        cls.guest.believe_identities(*IDENTITIES)
        cls.serve_others()
        cls.target = cls.serve()
        cls.port = cls.forwarded_port(PORT)
        cls.session = cls.log_in()
        cls.units = [identification(naa_of(cls.session, lun)) for lun in range(3)]

    @classmethod
    def serve(cls):
        """Starts the target; its name."""
        name, shared = "iqn.2026-11.test:ours", json.dumps([IDENTITIES["P"][1]])
        luns = "".join(LUN.format(disk=cls.guest.disk(disk).path) for disk in "ABC")
        cls.start("ours", 3, PORTAL.format(address=machine.ADDRESS, port=PORT, group=1),
                  TARGET.format(name=name, group=1), luns,
                  PEER.format(target=SHARED, address=machine.ADDRESS, port=SHARED_PORT), f"shared_disks = {shared}",
                  PEER.format(target=APART, address=machine.ADDRESS, port=APART_PORT))
        return name

    @classmethod
    def serve_others(cls):
        places = [(SHARED, SHARED_PORT, 1, cls.guest.disk("P").path + "p1", CACHED),
                  (APART, APART_PORT, 2, cls.guest.disk("Q").path, "")]
        cls.start("others", 2,
                  *(PORTAL.format(address=machine.ADDRESS, port=port, group=group) for _, port, group, *_ in places),
                  *(TARGET.format(name=name, group=group) + LUN.format(disk=path) + more
                    for name, _, group, path, more in places))

    @classmethod
    def start(cls, name, luns, *parts):
        """A service, and waits until it has its LUNs."""
        text = SERVICE.format(name=name) + "".join(parts)
        job = cls.guest.start(f"cat > /run/{name}.toml << 'END'\n{text}\nEND\n"
                              f"peerlane serve --config /run/{name}.toml & echo $! > /run/{name}; wait")
        cls.guest.wait_until(f"[ $(grep -c ^iscsi: {job}.output) = {luns} ]")
        cls.addClassCleanup(cls.stop, name, job)

    @classmethod
    def log_in(cls, timeout=60, port=None, target=None, luns=3):
        session = Session(Connection(("127.0.0.1", port or cls.port), timeout), target or cls.target).login()
        cls.addClassCleanup(session.close)
        for lun in range(luns):
            session.test_unit_ready(lun)
        return session

    @classmethod
    def stop(cls, name, job):
        cls.guest.run(f"kill -TERM $(cat /run/{name})")
        cls.guest.finish(job)

    @classmethod
    def forwarded_port(cls, port):
        """The port of this host at which QEMU has one of the guest's."""
        said = cls.guest.qmp.execute("human-monitor-command", **{"command-line": "info usernet"})
        return int(re.search(r"TCP\[HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +"
                             rf"{re.escape(machine.ADDRESS)} +{port}\b", said)[1])

    def setUp(self):
        self.copies = Copies(self, self.guest)
        self.guest.audit.mark()
        self.capture.mark()

    def copy(self, destination, count, source_lba=0, destination_lba=0):
        """Asks for a copy of LUN 0 to another one; blocks."""
        segment = blocks_to_blocks(0, destination, count, source_lba, destination_lba)
        task = start_copy(self.session, lid1(self.units, [segment]))
        self.assertEqual(0, self.session.wait(task, 120).status)

    def copy_from_peer(self, port, count, lba=0):
        """Asks for a copy from the LUN of the other target at a port to B; blocks."""
        units = [ipv4(machine.ADDRESS, port, 0), self.units[1]]
        task = start_copy(self.session, lid1(units, [blocks_to_blocks(0, 1, count, lba, lba)]))
        self.assertEqual(0, self.session.wait(task, 120).status)

    def carried(self):
        """Bytes of the disks' data that went over the network."""
        return self.capture.count(SIGN) * LINE

    def nothing_carried(self):
        self.assertEqual(0, self.carried())
        self.assertLess(self.capture.bytes(), WIRE_LIMIT)

    def test_the_client_asks_and_the_disks_do_it(self):
        self.copy(1, SIZE // BLOCK)
        self.assertEqual([], self.copies.exposed("A", "B", SIZE))
        self.nothing_carried()
        self.session.flush(1)
        self.copies.stable("B")
        self.assertTrue(self.data == self.copies.contents("B", 0, SIZE), "B is not what A is")

    def test_peerlane_copy(self):
        """The command asks for it by itself, and says which way the target took."""
        urls = [f"iscsi://127.0.0.1:{self.port}/{self.target}/{lun}" for lun in range(2)]
        done = run("copy", *urls, "--json", "--progress", "none", "--length", SIZE, "--destination-offset", SIZE)
        self.assertEqual(0, done.returncode, done.stderr)
        said = json.loads(done.stdout)
        ways = {way: count for way, count in said["bytes_by_way"].items() if count}
        self.assertEqual({"third-party copy": SIZE}, ways)
        self.assertEqual(0, said["memory_bytes"])
        self.assertEqual(SIZE, said["storage"]["bytes_by_way"]["peer-to-peer"], said)
        self.assertEqual([], self.copies.exposed("A", "B", SIZE, 0, SIZE))
        self.assertEqual(0, self.carried())
        self.assertLess(self.capture.bytes(), 4 * WIRE_LIMIT)  # with two logins, and questions about the disks
        self.copies.stable("B")
        self.assertTrue(self.data == self.copies.contents("B", SIZE, SIZE), "B is not what A is")

    def test_several_segments_of_the_longer_form(self):
        segments = [blocks_to_blocks(0, 1, 4096, at * 4096, 65536 + (3 - at) * 4096) for at in range(4)]
        parameters = lid4(self.units, segments, 0x20001)
        self.assertEqual(0, self.session.wait(start_copy(self.session, parameters, lid4_form=True), 120).status)
        for at in range(4):
            source, destination, length = at * 2 * MIB, 32 * MIB + (3 - at) * 2 * MIB, 2 * MIB
            self.assertEqual([], self.copies.exposed("A", "B", length, source, destination))
            self.assertTrue(self.data[source:source + length] == self.copies.contents("B", destination, length))
        self.nothing_carried()

    def test_a_disk_elsewhere(self):
        """The proof for the bus fails for a copy through the target's memory. The client still carries nothing."""
        self.copy(2, SIZE // BLOCK)
        exposed = self.copies.exposed("A", "C", SIZE)
        self.assertLessEqual(2 * SIZE - PROBE, sum(transfer.length for transfer in exposed))
        self.nothing_carried()
        self.assertTrue(self.data == self.copies.contents("C", 0, SIZE), "C is not what A is")

    def test_a_peer_whose_disk_is_here(self):
        """The disks do it, though one is another target's. What both services compare crosses RAM."""
        self.copy_from_peer(SHARED_PORT, SIZE // BLOCK)
        exposed = self.copies.exposed("P", "B", SIZE, PARTITION)
        self.assertEqual({("P", "read")}, {(transfer.disk, transfer.operation) for transfer in exposed})
        self.assertLessEqual(sum(transfer.length for transfer in exposed), SAMPLES)
        self.nothing_carried()
        self.assertTrue(self.data == self.copies.contents("B", 0, SIZE), "B is not what P is")

    def test_what_the_peer_has_only_in_memory(self):
        """It is written out before the disk is read."""
        at, data = 20 * MIB, signed(4 * MIB)
        others = self.log_in(port=self.forwarded_port(SHARED_PORT), target=SHARED, luns=1)
        for begin in range(0, len(data), MIB):
            others.write((at + begin) // BLOCK, data[begin:begin + MIB])
        self.copy_from_peer(SHARED_PORT, len(data) // BLOCK, at // BLOCK)
        near, far = self.copies.data_bytes("write", "B")
        self.assertLess(far, PROBE)
        self.assertLess(len(data) - PROBE, near)
        self.assertTrue(data == self.copies.contents("B", at, len(data)), "B is not what the peer had taken")

    def test_a_peer_whose_disk_is_not_to_be_used(self):
        self.copy_from_peer(APART_PORT, SIZE // BLOCK)
        exposed = self.copies.exposed("Q", "B", SIZE)
        self.assertLessEqual(2 * SIZE - PROBE, sum(transfer.length for transfer in exposed))
        self.nothing_carried()
        self.assertTrue(self.data == self.copies.contents("B", 0, SIZE), "B is not what Q is")

    def test_a_copy_through_the_client(self):
        """Both proofs fail for one."""
        blocks, at = 2048, 40 * MIB // BLOCK
        self.session.write(at, self.session.read(0, blocks), lun=1)
        length = blocks * BLOCK
        self.assertEqual(2 * length, self.carried())
        self.assertLess(2 * length, self.capture.bytes())
        exposed = self.copies.exposed("A", "B", length, 0, at * BLOCK)
        self.assertLessEqual(2 * length - PROBE, sum(transfer.length for transfer in exposed))
        self.assertTrue(self.data[:length] == self.copies.contents("B", at * BLOCK, length))

    def test_opposite_directions_and_who_wants_blocks_for_himself(self):
        """Two copies of the same blocks, one to and one fro, hold one disk while they wait for the other; COMPARE AND
        WRITE to both waits for both, and has them wait. Nobody does so for ever. Each block is of one disk or the
        other in the end."""
        length, at = MIB // 4, 40 * MIB
        old = [os.urandom(length) for _ in "AB"]
        for lun, data in enumerate(old):
            self.session.write(at // BLOCK, data, lun=lun)
        rounds, ended = 80, threading.Event()

        def copy(session, source, destination):
            segment = blocks_to_blocks(source, destination, length // BLOCK, at // BLOCK, at // BLOCK)
            for _ in range(rounds):
                self.assertEqual(0, session.wait(start_copy(session, lid1(self.units, [segment]))).status)

        def compare(session, lun):
            """Of what is nowhere: the disk is read, and nothing is written."""
            choose, nowhere = random.Random(lun), SIGN * (2 * BLOCK // len(SIGN))
            while not ended.is_set():
                lba = at // BLOCK + choose.randrange(length // BLOCK)
                result = session.execute(struct.pack(">BBQ3xBxx", 0x89, 0, lba, 1), data=nowhere, lun=lun)
                self.assertEqual(MISCOMPARE, result.sense_key)

        with concurrent.futures.ThreadPoolExecutor(COMPARING + 2) as threads:
            sessions = [self.log_in(LONGEST_WAIT) for _ in range(COMPARING + 2)]
            comparing = [threads.submit(compare, sessions[i], i % 2) for i in range(COMPARING)]
            copying = [threads.submit(copy, sessions[COMPARING + i], i, 1 - i) for i in range(2)]
            try:
                for each in copying:
                    each.result()
            finally:
                ended.set()
            for each in comparing:
                each.result()
        for name in "AB":
            self.session.flush("AB".index(name))
            new = self.copies.contents(name, at, length)
            for begin in range(0, length, BLOCK):
                block = slice(begin, begin + BLOCK)
                self.assertIn(new[block], (old[0][block], old[1][block]))


if __name__ == "__main__":
    unittest.main()
