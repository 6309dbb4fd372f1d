"""Where the data of NVMe reads and writes went, as the disks themselves saw it: QEMU's trace has the bus address of
every piece of memory that a command names. What lies in no device's memory range lies in the guest's RAM.

A command is traced by one thread and all at once: what it is, then the addresses that it names. Those of admin
commands, and of I/O commands other than reads and writes, are left out; NVMe Copy commands are counted.
"""

import collections
import os
import re
import typing

EVENTS = ("pci_nvme_admin_cmd", "pci_nvme_io_cmd", "pci_nvme_read", "pci_nvme_write", "pci_nvme_map_addr",
          "pci_nvme_copy", "pci_nvme_copy_source_range", "pci_nvme_flush_ns")
RAM = "RAM"

_COMMAND = re.compile(r"pci_nvme_(?:admin|io)_cmd ")
_TRANSFER = re.compile(r"pci_nvme_(read|write) cid \d+ .*?nsid (\d+) nlb (\d+) count (\d+) lba 0x([0-9a-f]+)")
_ADDRESS = re.compile(r"pci_nvme_map_addr addr 0x([0-9a-f]+) len (\d+)")
_COPY = re.compile(r"pci_nvme_copy cid \d+ nsid (\d+) ")
_FLUSH = re.compile(r"pci_nvme_flush_ns nsid 0x([0-9a-f]+)")
_RANGE = re.compile(r"pci_nvme_copy_source_range slba 0x[0-9a-f]+ nlb (\d+)")


class Transfer(typing.NamedTuple):
    disk: str
    operation: str  # "read" or "write"
    offset: int     # in bytes, as `length`
    length: int
    places: dict    # bytes by place


class Copied(typing.NamedTuple):
    """What NVMe Copy commands did within disks."""

    commands: int
    blocks: int


def events_file(directory):
    """Writes the names of the events that an audit needs, for QEMU's -trace events=."""
    path = directory / "trace-events"
    path.write_text("".join(f"{event}\n" for event in EVENTS), encoding="ascii")
    return path


class Audit:
    """Reads a trace that QEMU goes on writing: what it has written since the last mark()."""

    def __init__(self, trace, disks, places):
        """`disks`: names by NSID. `places`: (start, end, name) of memory ranges on the bus, without overlaps."""
        self._trace = trace
        self._disks = disks
        self._places = sorted(places)
        self._start = 0

    def mark(self):
        """Forgets what has been until now."""
        self._start = os.path.getsize(self._trace)

    def transfers(self):
        """Reads and writes, in the order in which the disks began them."""
        found = []
        addresses = None  # of the transfer that is being read
        for line in self._lines():
            if match := _ADDRESS.match(line):
                if addresses is not None:
                    for place, count in self._split(int(match[1], 16), int(match[2])):
                        addresses[place] += count
            elif _COMMAND.match(line):
                addresses = None
            elif match := _TRANSFER.match(line):
                blocks, count = int(match[3]), int(match[4])
                addresses = collections.Counter()
                found.append(Transfer(self._name(match[2]), match[1], int(match[5], 16) * (count // blocks), count,
                                      addresses))
        return [transfer._replace(places=dict(transfer.places)) for transfer in found]

    def copied(self):
        """By disk, for those that copied within themselves."""
        commands, blocks = collections.Counter(), collections.Counter()
        disk = None
        for line in self._lines():
            if match := _COPY.match(line):
                disk = self._name(match[1])
                commands[disk] += 1
            elif (match := _RANGE.match(line)) and disk is not None:
                blocks[disk] += int(match[1])
        return {disk: Copied(count, blocks[disk]) for disk, count in commands.items()}

    def flushed(self, disk):
        """Whether the disk was told to bring what it had been given to stable storage, after the last of it."""
        last = None
        for line in self._lines():
            if match := _FLUSH.match(line):
                if self._name(int(match[1], 16)) == disk:
                    last = "flush"
            elif match := _TRANSFER.match(line) or _COPY.match(line):
                nsid = match[2] if match.re is _TRANSFER else match[1]
                if self._name(nsid) == disk and match[0].startswith(("pci_nvme_write", "pci_nvme_copy")):
                    last = "write"
        return last == "flush"

    def _name(self, nsid):
        return self._disks.get(int(nsid), f"namespace {nsid}")

    def _lines(self):
        with open(self._trace, encoding="ascii", errors="replace") as file:
            file.seek(self._start)
            return file.read().splitlines()

    def _split(self, address, count):
        """The places of a range of addresses, each with its bytes."""
        end = address + count
        for first, last, name in self._places:
            if address < first < end:
                yield RAM, first - address
                address = first
            if first <= address < last and address < end:
                inside = min(end, last) - address
                yield name, inside
                address += inside
        if address < end:
            yield RAM, end - address


def misplaced(transfers, operation, disk, allowed, begin, end):
    """Transfers of a disk that touch its bytes from `begin` to `end` and lie elsewhere than in `allowed` places, wholly
    or in part, or whose addresses do not add up to what they transfer."""
    return [transfer for transfer in transfers
            if transfer.operation == operation and transfer.disk == disk
            and transfer.offset < end and transfer.offset + transfer.length > begin
            and (not transfer.places.keys() <= set(allowed) or sum(transfer.places.values()) != transfer.length)]


def covered(transfers, operation, disk, begin, end):
    """Whether a disk's transfers cover all of its bytes from `begin` to `end`."""
    at = begin
    for transfer in sorted((t for t in transfers if t.operation == operation and t.disk == disk),
                           key=lambda transfer: transfer.offset):
        if transfer.offset <= at:
            at = max(at, transfer.offset + transfer.length)
    return at >= end
