"""Persistent reservations (SPC-4 §6.15, §6.16), as tests ask for them."""

import struct

REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE, REGISTER_AND_MOVE = range(8)
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS = 1, 3
WRITE_EXCLUSIVE_REGISTRANTS_ONLY, EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 5, 6

CONFLICT = 0x18


def reserve_out(session, action, key=0, action_key=0, kind=0, aptpl=False, lun=0):
    """PERSISTENT RESERVE OUT; its Result, whatever the status."""
    data = struct.pack(">QQIBBH", key, action_key, 0, 1 if aptpl else 0, 0, 0)
    return session.execute(struct.pack(">BBBHIB", 0x5F, action, kind, 0, len(data), 0), data=data, lun=lun)


def reserve_in(session, action, lun=0, length=8192):
    return session.check(struct.pack(">BB5xHB", 0x5E, action, length, 0), read_length=length, lun=lun).data


def keys(session, lun=0):
    """(PRGENERATION, keys in order)."""
    data = reserve_in(session, 0, lun)
    generation, size = struct.unpack_from(">II", data)
    return generation, list(struct.unpack_from(f">{size // 8}Q", data, 8))


def reservation(session, lun=0):
    """(key, type) of the reservation, or None."""
    data = reserve_in(session, 1, lun)
    if struct.unpack_from(">I", data, 4)[0] == 0:
        return None
    return struct.unpack_from(">Q", data, 8)[0], data[21] & 15


def capabilities(session, lun=0):
    """(PTPL_C, PTPL_A)."""
    data = reserve_in(session, 2, lun)
    return bool(data[2] & 1), bool(data[3] & 1)


def full_status(session, lun=0):
    """[(key, holder, relative target port, initiator port name)]."""
    data = reserve_in(session, 3, lun)
    end, at, found = 8 + struct.unpack_from(">I", data, 4)[0], 8, []
    while at < end:
        port, size = struct.unpack_from(">HI", data, at + 18)
        name = data[at + 28:at + 24 + size].rstrip(b"\0").decode()
        found.append((struct.unpack_from(">Q", data, at)[0], bool(data[at + 12] & 1), port, name))
        at += 24 + size
    return found
