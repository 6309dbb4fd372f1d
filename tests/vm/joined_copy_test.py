#!/usr/bin/python3
"""A client asks, and the disks do it: two NVMe disks behind one switch are logical units of a target, and a client on
the other side of a network has one copied to the other with EXTENDED COPY.

The target is `peerlane serve` in a guest, the client is on this host. Nothing is taken from what Peerlane says: QEMU's
trace of the disks shows that no data lay in the target's RAM, and QEMU's capture of the guest's network card that none
went to the client or came from it. Both proofs are shown to fail where they should."""

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
from extended_copy import blocks_to_blocks, identification, lid1, lid4, naa_of, start_copy
from initiator import Connection, Session
from pci_lab import ROOT, Disk, Lab, image
from server import run

BLOCK = 512
DISK = 48 * MIB
SIZE = 16 * MIB
PORT = 3260

# A command and its answer take some hundred bytes, and TCP's and Ethernet's headers. Of a copy through the client there
# would be twice SIZE.
WIRE_LIMIT = 8 << 10

MISCOMPARE = 0x0E
COMPARING = 8      # sessions
LONGEST_WAIT = 30  # seconds for a command beside others

# What makes data known wherever they are: the beginning of each LINE bytes. The rest is random.
LINE = 64
SIGN = os.urandom(16)


def signed(length):
    rest = LINE - len(SIGN)
    random = os.urandom(length // LINE * rest)
    return b"".join(SIGN + random[at:at + rest] for at in range(0, len(random), rest))


class JoinedCopyTest(unittest.TestCase):
    """LUN 0 is A and LUN 1 is B, behind one switch and with controller memory buffers; LUN 2 is C, elsewhere."""

    @classmethod
    def setUpClass(cls):
        cls.images = pathlib.Path(cls.enterClassContext(environment.scratch()))
        cls.data = signed(SIZE)
        with open(image(cls.images, "A"), "wb") as file:
            file.write(cls.data)
            file.truncate(DISK)
        cls.capture = Capture(cls.images / "capture")
        sizes = (DISK // MIB,)
        disks = (Disk("A", buffer=8, namespaces=sizes), Disk("B", buffer=8, namespaces=sizes),
                 Disk("C", ROOT, namespaces=sizes))
        cls.guest = cls.enterClassContext(Lab(disks, images=cls.images, qemu_arguments=cls.capture.qemu_arguments,
                                              network=f"hostfwd=tcp:127.0.0.1:0-{machine.ADDRESS}:{PORT}"))
        cls.target = cls.serve()
        cls.port = cls.forwarded_port()
        cls.session = cls.log_in()
        cls.units = [identification(naa_of(cls.session, lun)) for lun in range(3)]

    @classmethod
    def serve(cls):
        """Starts the target; its name."""
        paths = " ".join(cls.guest.disk(name).path for name in "ABC")
        job = cls.guest.start(f"peerlane serve --allow-anonymous --listen {machine.ADDRESS}:{PORT} --state /run/state "
                              f"{paths} & echo $! > /run/server; wait")
        urls = cls.guest.wait_until(f"[ $(grep -c ^iscsi: {job}.output) = 3 ] && grep ^iscsi: {job}.output")
        cls.addClassCleanup(cls.stop, job)
        return urls.split()[0].split("/")[3]

    @classmethod
    def log_in(cls, timeout=60):
        session = Session(Connection(("127.0.0.1", cls.port), timeout), cls.target).login()
        cls.addClassCleanup(session.close)
        for lun in range(3):
            session.test_unit_ready(lun)
        return session

    @classmethod
    def stop(cls, job):
        cls.guest.run("kill -TERM $(cat /run/server)")
        cls.guest.finish(job)

    @classmethod
    def forwarded_port(cls):
        """The port of this host at which QEMU has the target's."""
        said = cls.guest.qmp.execute("human-monitor-command", **{"command-line": "info usernet"})
        return int(re.search(r"TCP\[HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+)", said)[1])

    def setUp(self):
        self.copies = Copies(self, self.guest)
        self.guest.audit.mark()
        self.capture.mark()

    def copy(self, destination, count, source_lba=0, destination_lba=0):
        """Asks for a copy of LUN 0 to another one; blocks."""
        segment = blocks_to_blocks(0, destination, count, source_lba, destination_lba)
        task = start_copy(self.session, lid1(self.units, [segment]))
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
