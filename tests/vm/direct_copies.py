"""`peerlane copy` between disks of a guest, and proofs of where the data went."""

import json
import os

from dma_audit import covered, misplaced
from server import SANITIZER_REPORTS

PEER_MEMORY_USER = os.environ.get("PEERLANE_PEER_MEMORY_USER",
                                  "build/release/tests/vm/peer_memory/peer_memory_user")

KIB = 1 << 10
MIB = 1 << 20

# The first transfer of a copy over the bus: it is read back through host memory, and no more than this is.
PROBE = 64 * KIB


class Copies:
    """Copies in a guest of pci_lab.Lab, checked with the assertions of a test case."""

    def __init__(self, test, guest):
        self.test, self.guest = test, guest

    def path(self, end):
        """Of an end: a path, or a disk's name, D, or D/2 for its second namespace."""
        return end if end.startswith("/") else self.guest.disk(*name_and_namespace(end)).path

    def command(self, source, destination, *options):
        ends = f"{self.path(source)} {self.path(destination)}"
        return f"peerlane copy --json --progress none {ends} {' '.join(options)}"

    def run(self, source, destination, *options, status=0, timeout=60):
        """What the copy says of itself. What it says on standard error is in ["said"]."""
        ended, said = self.guest.run(f"{self.command(source, destination, *options)} > /run/result 2> /run/said || "
                                     "code=$?; cat /run/said; exit ${code:-0}", timeout, check=False)
        self.test.assertEqual(status, ended, said)
        self.test.assertFalse([word for word in SANITIZER_REPORTS if word in said], said)
        result = self.guest.run("cat /run/result")
        return {**(json.loads(result) if result else {}), "said": said}

    def refused(self, source, destination, *options):
        """What is said of a copy that must fail."""
        return self.run(source, destination, *options, status=1)["said"]

    def explain(self, source, destination, *options):
        """The way of all data, what carries it, and the reasons against shorter ways."""
        plan = json.loads(self.guest.run(self.command(source, destination, "--explain", *options)))
        route = max(plan["routes"], key=lambda route: (route["reads_source"], route["bytes"]))
        return route["way"], route["through"], {refusal["way"]: refusal["reason"] for refusal in route["not"]}

    # --- By which way ------------------------------------------------------------------------------------------------

    def went(self, result, **bytes_by_way):
        """Checks what a result says: bytes by way, and that no other way has any."""
        ways = {way: count for way, count in result["bytes_by_way"].items() if count != 0}
        names = {"peer_to_peer": "peer-to-peer", "server_side_copy": "server-side copy", "nvme_copy": "NVMe Copy",
                 "host_memory": "host memory"}
        expected = {names.get(way, way): count for way, count in bytes_by_way.items()}
        self.test.assertEqual(expected, ways, result)
        self.test.assertEqual(bytes_by_way.get("host_memory", 0), result["memory_bytes"])

    def stable(self, destination):
        """Checks that a disk has what it was given on stable storage."""
        self.test.assertTrue(self.guest.audit.flushed(destination), f"{destination} was not flushed")

    def over_the_bus(self, result, count):
        self.went(result, peer_to_peer=count)
        self.test.assertEqual([], result["fallback_reasons"])
        self.test.assertLessEqual(result["probe_bytes"], 2 * PROBE)

    # --- Where the data were -----------------------------------------------------------------------------------------

    def buffers(self):
        """Places that are controller memory buffers."""
        return {f"{disk.name} BAR 2" for disk in self.guest.disks if disk.buffer}

    def exposed(self, source, destination, length, source_offset=0, destination_offset=0):
        """The transfers since the audit's last mark that a copy over the bus cannot have made: reads of the source or
        writes of the destination within the copied range whose data lay elsewhere than in controller memory buffers,
        but for the read of the probe. All of the range must have been read and written."""
        transfers = self.guest.audit.transfers()
        read_begin, write_begin = source_offset, destination_offset
        read_end, write_end = read_begin + length, write_begin + length
        self.test.assertTrue(covered(transfers, "read", source, read_begin, read_end))
        self.test.assertTrue(covered(transfers, "write", destination, write_begin, write_end))
        reads = misplaced(transfers, "read", source, self.buffers(), read_begin, read_end)
        writes = misplaced(transfers, "write", destination, self.buffers(), write_begin, write_end)
        return [read for read in reads if read.offset + read.length > read_begin + PROBE] + writes

    def data_bytes(self, operation, disk):
        """Bytes that a disk has transferred since the audit's last mark: (to or from buffers, to or from RAM)."""
        buffers = self.buffers()
        near = far = 0
        for transfer in self.guest.audit.transfers():
            if (transfer.operation, transfer.disk) == (operation, disk):
                for place, count in transfer.places.items():
                    if place in buffers:
                        near += count
                    else:
                        far += count
        return near, far

    # --- The data themselves, on this host ----------------------------------------------------------------------------

    def same(self, source, destination, length, source_offset=0, destination_offset=0):
        """Checks the disks' contents, as this host has them."""
        self.test.assertTrue(self.contents(source, source_offset, length) ==
                             self.contents(destination, destination_offset, length),
                             f"{source} and {destination} differ")

    def contents(self, disk, offset, length):
        with open(self.guest.image(*name_and_namespace(disk)), "rb") as file:
            file.seek(offset)
            return file.read(length)


def name_and_namespace(disk):
    name, _, namespace = disk.partition("/")
    return name, int(namespace or 1)


def fill(path, size, length, offset=0):
    """Makes a disk's image of `size` bytes: random, where it has `length` bytes from `offset` on."""
    with open(path, "wb") as file:
        file.truncate(size)
        file.seek(offset)
        file.write(os.urandom(length))
