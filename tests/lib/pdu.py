"""iSCSI PDUs (RFC 7143 §11) as bytes with names: what tests send, right or wrong, and what they receive."""

import struct

from crc32c import crc32c

# Opcodes, RFC 7143 §11.2.1.2.
NOP_OUT, SCSI_COMMAND, TASK_MANAGEMENT, LOGIN = 0x00, 0x01, 0x02, 0x03
TEXT, DATA_OUT, LOGOUT, SNACK = 0x04, 0x05, 0x06, 0x10
NOP_IN, SCSI_RESPONSE, TASK_MANAGEMENT_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE = 0x20, 0x21, 0x22, 0x23, 0x24
DATA_IN, LOGOUT_RESPONSE, R2T, ASYNC, REJECT = 0x25, 0x26, 0x31, 0x32, 0x3F

RESERVED_TAG = 0xFFFFFFFF

# Reject reasons, RFC 7143 §11.17.1.
REJECT_DATA_DIGEST, REJECT_SNACK, REJECT_PROTOCOL_ERROR, REJECT_NOT_SUPPORTED = 0x02, 0x03, 0x04, 0x05
REJECT_IMMEDIATE, REJECT_TASK_IN_PROGRESS, REJECT_INVALID_DATA_ACK, REJECT_INVALID_PDU_FIELD = 0x06, 0x07, 0x08, 0x09
REJECT_OUT_OF_RESOURCES, REJECT_WAITING_FOR_LOGOUT = 0x0A, 0x0C

# Async events, RFC 7143 §11.9.1.
ASYNC_SCSI, ASYNC_LOGOUT_REQUEST, ASYNC_DROP_CONNECTION, ASYNC_DROP_ALL, ASYNC_RENEGOTIATE = 0, 1, 2, 3, 4


def lun_field(lun):
    """A LUN below 256 in peripheral device addressing (SAM-5 §4.7.7.2)."""
    return struct.pack(">HHI", lun, 0, 0)


class Pdu:
    """A PDU: 48 bytes of header, additional headers, data. bytes() sets the lengths in the header by itself."""

    def __init__(self, header=None, data=b"", ahs=b""):
        self.header = bytearray(header if header is not None else 48)
        self.data = bytes(data)
        self.ahs = bytes(ahs)

    def u8(self, offset):
        return self.header[offset]

    def u16(self, offset):
        return struct.unpack_from(">H", self.header, offset)[0]

    def u32(self, offset):
        return struct.unpack_from(">I", self.header, offset)[0]

    def put32(self, offset, value):
        struct.pack_into(">I", self.header, offset, value & 0xFFFFFFFF)
        return self

    def put16(self, offset, value):
        struct.pack_into(">H", self.header, offset, value & 0xFFFF)
        return self

    def put8(self, offset, value):
        self.header[offset] = value & 0xFF
        return self

    opcode = property(lambda self: self.header[0] & 0x3F)
    flags = property(lambda self: self.header[1])
    final = property(lambda self: bool(self.header[1] & 0x80))
    data_length = property(lambda self: int.from_bytes(self.header[5:8], "big"))
    itt = property(lambda self: self.u32(16))
    ttt = property(lambda self: self.u32(20))
    stat_sn = property(lambda self: self.u32(24))
    exp_cmd_sn = property(lambda self: self.u32(28))
    max_cmd_sn = property(lambda self: self.u32(32))

    def set_lengths(self):
        self.header[4] = len(self.ahs) // 4
        self.header[5:8] = len(self.data).to_bytes(3, "big")
        return self

    def bytes(self, header_digest=False, data_digest=False, lengths=True):
        """The PDU as it goes on the wire. `lengths=False` leaves what the header claims."""
        if lengths:
            self.set_lengths()
        head = bytes(self.header) + self.ahs
        body = self.data + bytes(-len(self.data) % 4)
        return (head + (crc32c(head) if header_digest else b"") + body +
                (crc32c(body) if data_digest and self.data else b""))

    def __repr__(self):
        return f"<PDU opcode {self.opcode:#04x} flags {self.flags:#04x} itt {self.itt:#x} data {len(self.data)}>"


def scsi_command(cdb, itt, cmd_sn, exp_stat_sn, *, lun=0, read=False, write=False, length=0, data=b"", final=True,
                 attribute=1, immediate=False, ahs=b""):
    rest = cdb[16:]
    if rest:  # RFC 7143 §11.2.2.3
        ahs += (struct.pack(">HBB", len(rest) + 1, 1, 0) + rest).ljust((len(rest) + 7) // 4 * 4, b"\0")
    pdu = Pdu(data=data, ahs=ahs)
    pdu.put8(0, SCSI_COMMAND | (0x40 if immediate else 0))
    pdu.put8(1, (0x80 if final else 0) | (0x40 if read else 0) | (0x20 if write else 0) | attribute)
    pdu.header[8:16] = lun_field(lun)
    pdu.put32(16, itt).put32(20, length).put32(24, cmd_sn).put32(28, exp_stat_sn)
    pdu.header[32:48] = bytes(cdb[:16]).ljust(16, b"\0")
    return pdu


def data_out(data, itt, ttt, exp_stat_sn, *, lun=0, data_sn=0, offset=0, final=True):
    pdu = Pdu(data=data)
    pdu.put8(0, DATA_OUT).put8(1, 0x80 if final else 0)
    pdu.header[8:16] = lun_field(lun)
    pdu.put32(16, itt).put32(20, ttt).put32(28, exp_stat_sn).put32(36, data_sn).put32(40, offset)
    return pdu


def nop_out(itt, cmd_sn, exp_stat_sn, *, ttt=RESERVED_TAG, data=b"", immediate=True, lun=0):
    pdu = Pdu(data=data)
    pdu.put8(0, NOP_OUT | (0x40 if immediate else 0)).put8(1, 0x80)
    pdu.header[8:16] = lun_field(lun)
    return pdu.put32(16, itt).put32(20, ttt).put32(24, cmd_sn).put32(28, exp_stat_sn)


def task_management(function, itt, cmd_sn, exp_stat_sn, *, lun=0, referenced=RESERVED_TAG, ref_cmd_sn=0,
                    immediate=True):
    pdu = Pdu()
    pdu.put8(0, TASK_MANAGEMENT | (0x40 if immediate else 0)).put8(1, 0x80 | function)
    pdu.header[8:16] = lun_field(lun)
    return pdu.put32(16, itt).put32(20, referenced).put32(24, cmd_sn).put32(28, exp_stat_sn).put32(32, ref_cmd_sn)


def text_request(data, itt, cmd_sn, exp_stat_sn, *, ttt=RESERVED_TAG, final=True, more=False, immediate=False):
    pdu = Pdu(data=data)
    pdu.put8(0, TEXT | (0x40 if immediate else 0)).put8(1, (0x80 if final else 0) | (0x40 if more else 0))
    return pdu.put32(16, itt).put32(20, ttt).put32(24, cmd_sn).put32(28, exp_stat_sn)


def logout(reason, itt, cmd_sn, exp_stat_sn, *, cid=0, immediate=True):
    pdu = Pdu()
    pdu.put8(0, LOGOUT | (0x40 if immediate else 0)).put8(1, 0x80 | reason)
    return pdu.put32(16, itt).put16(20, cid).put32(24, cmd_sn).put32(28, exp_stat_sn)


def login_request(data, itt, cmd_sn, exp_stat_sn, *, isid, tsih=0, cid=0, csg=0, nsg=1, transit=True, more=False,
                  version_max=0, version_min=0):
    pdu = Pdu(data=data)
    pdu.put8(0, LOGIN | 0x40)
    pdu.put8(1, (0x80 if transit else 0) | (0x40 if more else 0) | csg << 2 | (nsg if transit else 0))
    pdu.put8(2, version_max).put8(3, version_min)
    pdu.header[8:14] = isid
    return pdu.put16(14, tsih).put32(16, itt).put16(20, cid).put32(24, cmd_sn).put32(28, exp_stat_sn)


def encode_keys(keys):
    """Key=value pairs, a dict or a list of pairs, as the data of a Login or Text request."""
    pairs = keys.items() if isinstance(keys, dict) else keys
    return b"".join(f"{key}={value}".encode() + b"\0" for key, value in pairs)


def decode_keys(data):
    """The pairs of a response, in order."""
    pairs = []
    for piece in data.split(b"\0"):
        if piece:
            key, _, value = piece.partition(b"=")
            pairs.append((key.decode(), value.decode()))
    return pairs
