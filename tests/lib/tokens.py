"""ROD tokens as initiators ask for them and use them (SPC-4 §5.17.6, SBC-3 §5.7, §5.45)."""

import struct

# COPY OPERATION STATUS
DONE, FAILED, DONE_PARTLY_USED, DONE_RESIDUAL, IN_FOREGROUND, IN_BACKGROUND, TERMINATED = 1, 2, 3, 4, 0x11, 0x12, 0x60
# ROD TYPE
POINT_IN_TIME, VULNERABLE, PERSISTENT, ANY = 0x800000, 0x800001, 0x800002, 0x80FFFF
ZERO_TOKEN = struct.pack(">IHH", 0xFFFF0001, 0, 0x1F8).ljust(512, b"\0")


def ranges_of(ranges):
    return b"".join(struct.pack(">QII", lba, count, 0) for lba, count in ranges)


def populate_list(ranges, immediate=False, timeout=0, kind=None):
    """The parameter list of POPULATE TOKEN."""
    descriptors = ranges_of(ranges)
    flags = int(immediate) | (2 if kind is not None else 0)
    return struct.pack(">HBBII2xH", 14 + len(descriptors), flags, 0, timeout, kind or 0, len(descriptors)) + descriptors


def write_list(token, ranges, offset=0, immediate=False, delete=False):
    """The parameter list of WRITE USING TOKEN."""
    descriptors = ranges_of(ranges)
    return struct.pack(">HB5xQ", 534 + len(descriptors), int(immediate) | int(delete) << 1, offset) + token + \
        struct.pack(">6xH", len(descriptors)) + descriptors


def populate_token(session, identifier, ranges, lun=0, **how):
    data = populate_list(ranges, **how)
    return session.execute(struct.pack(">BB4xIIxx", 0x83, 0x10, identifier, len(data)), lun=lun, data=data)


def write_using_token(session, identifier, token, ranges, lun=0, **how):
    data = write_list(token, ranges, **how)
    return session.execute(struct.pack(">BB4xIIxx", 0x83, 0x11, identifier, len(data)), lun=lun, data=data)


class TokenInformation:
    """What RECEIVE ROD TOKEN INFORMATION tells."""

    def __init__(self, data):
        self.service_action = data[4] & 0x1F
        self.status = data[5] & 0x7F
        self.units = data[15]
        self.count = int.from_bytes(data[16:24], "big")
        sense = data[14]
        self.sense = data[32:32 + data[13]] if data[13] else b""
        at = 32 + sense
        length = int.from_bytes(data[at:at + 4], "big")
        self.token = data[at + 6:at + 6 + 512] if length else None


def token_information(session, identifier, lun=0):
    """None if nobody knows that identifier."""
    result = session.execute(struct.pack(">BBI4xIxx", 0x84, 0x07, identifier, 1024), lun=lun, read_length=1024)
    return TokenInformation(result.data) if result.status == 0 else None
