"""EXTENDED COPY (SPC-4 §6.4, §6.5) as tests ask for it: parameter lists, and what names logical units in them."""

import socket
import struct

BLOCK = 512
CHECK = 2
COPY_ABORTED, ILLEGAL_REQUEST = 0x0A, 0x05
ADDRESSED_UNIT = 0xFFFF
TCP = 6
FULL_BLOCKS = 0x02  # segment descriptor: blocks to blocks
IN_PROGRESS, DONE, FAILED = 0, 1, 2  # COPY MANAGER STATUS of RECEIVE COPY STATUS (LID1)


def sense_of(result):
    """Sense key and additional sense code of fixed or descriptor format."""
    sense = result.sense
    if sense[0] & 0x7F >= 0x72:
        return sense[1] & 0xF, sense[2] << 8 | sense[3]
    return sense[2] & 0xF, sense[12] << 8 | sense[13]


def naa_of(session, lun):
    """The NAA designator in page 83h."""
    page = session.execute(struct.pack(">BBBHB", 0x12, 1, 0x83, 255, 0), lun=lun, read_length=255).data
    at = 4
    while at < len(page):
        if page[at + 1] & 0x3F == 3:
            return page[at + 4:at + 4 + page[at + 3]]
        at += 4 + page[at + 3]
    raise AssertionError("no NAA designator")


def identification(designator, block=BLOCK):
    """A CSCD descriptor E4h of a disk."""
    return struct.pack(">BBHBBBB", 0xE4, 0, 0, 1, 3, 0, len(designator)) + designator.ljust(20, b"\0") + \
        b"\0" + block.to_bytes(3, "big")


def ipv4(address, port, lun, block=BLOCK, protocol=TCP):
    """A CSCD descriptor E5h of a disk: a LUN of the target at an address."""
    return struct.pack(">BBHQ4s6xHHHB3s", 0xE5, 0, 0, lun << 48, socket.inet_aton(address), port, 0, protocol, 0,
                       block.to_bytes(3, "big"))


def ipv6(address, port, lun, block=BLOCK, protocol=TCP):
    """A CSCD descriptor EAh, with its extension, which takes a second place in the list."""
    return struct.pack(">BBHQ16sB3s", 0xEA, 0, 0, lun << 48, socket.inet_pton(socket.AF_INET6, address), 0,
                       block.to_bytes(3, "big")) + struct.pack(">B3xHH24x", 0xFF, port, protocol)


def blocks_to_blocks(source, destination, count, source_lba, destination_lba):
    """A segment descriptor; source and destination are indices of CSCD descriptors."""
    return struct.pack(">BBHHHHHQQ", FULL_BLOCKS, 0x02, 0x18, source, destination, 0, count, source_lba,
                       destination_lba)


def lid1(cscds, segments, identifier=0, usage=3, priority=0):
    """The parameter list of LID1."""
    targets, copies = b"".join(cscds), b"".join(segments)
    return struct.pack(">BBHIII", identifier, usage << 3 | priority, len(targets), 0, len(copies), 0) + targets + copies


def lid4(cscds, segments, identifier, immediate=False, priority=0):
    """The parameter list of LID4, whose list identifier is held."""
    targets, copies = b"".join(cscds), b"".join(segments)
    return struct.pack(">BBH11xBBBHI18xHHH", 1, priority, 0x20, int(immediate), 0xFF, 0, 0x1C, identifier, len(targets),
                       len(copies), 0) + targets + copies


def start_copy(session, parameters, lun=0, lid4_form=False):
    """Sends the command; its Task."""
    return session.start(struct.pack(">BB8xIxx", 0x83, int(lid4_form), len(parameters)), data=parameters, lun=lun)


def abort_operation(session, identifier, lun=0):
    """COPY OPERATION ABORT; its Result."""
    return session.execute(struct.pack(">BBI10x", 0x83, 0x1C, identifier), lun=lun)


def extended_copy(parameters):
    """The CDB of LID1."""
    return struct.pack(">BB8xIxx", 0x83, 0, len(parameters))


def copy_status(session, identifier):
    """(status, segments, bytes) of RECEIVE COPY STATUS(LID1)."""
    data = session.execute(struct.pack(">BBB7xIxx", 0x84, 0, identifier, 12), read_length=12).data
    segments, units, count = struct.unpack_from(">HBI", data, 5)
    return data[4] & 0x7F, segments, count << 10 * units
