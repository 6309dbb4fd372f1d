#!/usr/bin/python3
"""The audit itself, on traces that are written here: what it must not overlook."""

import pathlib
import unittest

import environment
from dma_audit import RAM, Audit, Copied, Transfer, covered, misplaced

# Two buffers side by side, one far away.
PLACES = [(0x200000, 0x300000, "B"), (0x100000, 0x200000, "A"), (0x900000, 0xa00000, "C")]


def io_command(nsid=1):
    return f"pci_nvme_io_cmd cid 7 nsid 0x{nsid:x} sqid 1 opc 0x2 opname 'NVME_NVM_CMD_READ'\n"


def read(lba, count, nsid=1):
    return (io_command(nsid) +
            f"pci_nvme_read cid 7 nsid {nsid} nlb {count // 512} count {count} lba 0x{lba:x}\n")


def write(lba, count, nsid=2, verb="write"):
    return (io_command(nsid) +
            f"pci_nvme_write cid 7 opname '{verb}' nsid {nsid} nlb {count // 512} count {count} lba 0x{lba:x}\n")


def address(at, count):
    return f"pci_nvme_map_addr addr 0x{at:x} len {count}\n"


class AuditTest(unittest.TestCase):
    def setUp(self):
        directory = environment.memory_scratch()
        self.addCleanup(directory.cleanup)
        self.trace = pathlib.Path(directory.name) / "trace"
        self.trace.touch()
        self.audit = Audit(self.trace, {1: "A", 2: "B"}, PLACES)

    def transfers(self, text):
        with open(self.trace, "a", encoding="ascii") as file:
            file.write(text)
        return self.audit.transfers()

    def test_reads_and_writes(self):
        found = self.transfers(read(8, 8192) + address(0x100000, 4096) + address(0x5000, 4096) +
                               write(16, 4096) + address(0x900000, 4096))
        self.assertEqual([Transfer("A", "read", 4096, 8192, {"A": 4096, RAM: 4096}),
                          Transfer("B", "write", 8192, 4096, {"C": 4096})], found)

    def test_ranges_that_cross_places(self):
        (found,) = self.transfers(read(0, 0x300000) + address(0xff000, 0x300000))
        self.assertEqual({RAM: 0x1000 + 0xff000, "A": 0x100000, "B": 0x100000}, found.places)
        self.assertEqual(0x300000, sum(found.places.values()))

    def test_the_edges_of_a_place(self):
        (found,) = self.transfers(read(0, 2048) + address(0x8ffe00, 512) + address(0x900000, 512) +
                                  address(0x9ffe00, 512) + address(0xa00000, 512))
        self.assertEqual({RAM: 1024, "C": 1024}, found.places)

    def test_addresses_of_other_commands(self):
        found = self.transfers(read(0, 4096) + address(0x100000, 4096) +
                               "pci_nvme_admin_cmd cid 3 sqid 0 opc 0x6 opname 'NVME_ADM_CMD_IDENTIFY'\n" +
                               address(0x5000, 4096) + io_command() + address(0x6000, 4096))
        self.assertEqual([{"A": 4096}], [transfer.places for transfer in found])

    def test_an_unknown_disk(self):
        (found,) = self.transfers(read(0, 512, nsid=9) + address(0, 512))
        self.assertEqual("namespace 9", found.disk)

    def test_what_was_before_the_mark(self):
        self.transfers(read(0, 512) + address(0, 512))
        self.audit.mark()
        self.assertEqual([], self.audit.transfers())
        self.assertEqual(1, len(self.transfers(write(0, 512) + address(0, 512))))

    def test_copies_within_a_disk(self):
        with open(self.trace, "a", encoding="ascii") as file:
            for _ in range(2):
                file.write(io_command() + "pci_nvme_copy cid 7 nsid 1 nr 2 format 0x0\n" +
                           "pci_nvme_copy_source_range slba 0x0 nlb 8\npci_nvme_copy_source_range slba 0x8 nlb 4\n")
        self.assertEqual({"A": Copied(2, 24)}, self.audit.copied())

    def test_flushed(self):
        flush = "pci_nvme_flush_ns nsid 0x{}\n".format
        copy = "pci_nvme_copy cid 7 nsid 2 nr 2 format 0x0\n"
        for text, flushed in (("", False), (write(0, 512), False), (flush(1), False), (flush(2), True),
                              (read(0, 512, nsid=2), True), (copy, False), (flush(2) + write(0, 512, nsid=1), True)):
            self.transfers(text)
            self.assertEqual(flushed, self.audit.flushed("B"), text)

    def test_misplaced(self):
        found = self.transfers(read(0, 4096) + address(0x100000, 4096) +      # right
                               read(8, 4096) + address(0x5000, 4096) +        # in RAM
                               read(16, 4096) + address(0x100000, 2048) + address(0x5000, 2048) +  # half of it
                               read(24, 4096) + address(0x100000, 2048) +     # not all of it is known
                               read(32, 4096) +                               # nothing is
                               write(8, 4096) + address(0x5000, 4096))        # of another disk
        offsets = [transfer.offset // 512 for transfer in misplaced(found, "read", "A", {"A"}, 0, 1 << 20)]
        self.assertEqual([8, 16, 24, 32], offsets)
        self.assertEqual([8], [t.offset // 512 for t in misplaced(found, "read", "A", {"A"}, 8191, 8192)])
        self.assertEqual([], misplaced(found, "read", "A", {"A", RAM}, 0, 24 * 512))
        self.assertEqual(1, len(misplaced(found, "write", "B", {"A"}, 0, 1 << 20)))

    def test_covered(self):
        found = self.transfers(read(8, 4096) + read(0, 4096) + read(24, 4096) + read(0, 4096, nsid=2))
        self.assertTrue(covered(found, "read", "A", 0, 8192))
        self.assertTrue(covered(found, "read", "A", 4096, 8000))
        self.assertFalse(covered(found, "read", "A", 0, 8193))
        self.assertFalse(covered(found, "write", "A", 0, 512))


if __name__ == "__main__":
    unittest.main()
