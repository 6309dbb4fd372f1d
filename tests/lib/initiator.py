"""An iSCSI initiator that does what it is told, right or wrong (RFC 7143): for what no library client would do.

    connection = Connection(("127.0.0.1", 3260))        PDUs, digests
    session = Session(connection, target).login()       login, CmdSN and StatSN, commands, data transfer
    session.write(0, data); session.read(0, 8)

A Session keeps the sequence numbers and answers NOP-Ins; whoever needs something out of order sends PDUs on its
connection.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct
import time

import environment
import pdu as wire
from crc32c import crc32c
from pdu import Pdu, decode_keys, encode_keys

SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3

# What open-iscsi proposes, by and large.
USUAL_KEYS = {
    "HeaderDigest": "None", "DataDigest": "None", "MaxConnections": "1", "InitialR2T": "No", "ImmediateData": "Yes",
    "MaxRecvDataSegmentLength": "262144", "MaxBurstLength": "1048576", "FirstBurstLength": "262144",
    "DefaultTime2Wait": "2", "DefaultTime2Retain": "0", "MaxOutstandingR2T": "1", "DataPDUInOrder": "Yes",
    "DataSequenceInOrder": "Yes", "ErrorRecoveryLevel": "0",
}

CHAP_ALGORITHMS = {"5": "md5", "6": "sha1", "7": "sha256", "8": "sha3_256"}


class Closed(Exception):
    """The other end closed or reset the connection."""


class TimedOut(Exception):
    """Nothing came within the time allowed."""


class LoginFailed(Exception):
    """The target answered a login with a status that is not success."""

    def __init__(self, status):
        super().__init__(f"login status {status:04x}h")
        self.status = status


class Rejected(Exception):
    """The target sent a Reject PDU."""

    def __init__(self, pdu):
        super().__init__(f"Reject, reason {pdu.u8(2):#04x}")
        self.reason = pdu.u8(2)
        self.pdu = pdu


class CheckCondition(Exception):
    """A command ended with another status than GOOD."""

    def __init__(self, result):
        super().__init__(f"status {result.status:#04x}, sense {result.sense_key:x}h "
                         f"{result.asc:02x}h/{result.ascq:02x}h")
        self.result = result


class Connection:
    """A TCP connection that carries PDUs."""

    def __init__(self, address, timeout=10):
        self.timeout = environment.seconds(timeout)
        self.socket = socket.create_connection(address, self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header_digest = False
        self.data_digest = False
        self._received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def send(self, pdu):
        self.send_bytes(pdu.bytes(self.header_digest, self.data_digest))

    def receive_bytes(self, count, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else environment.seconds(timeout))
        while len(self._received) < count:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                piece = self.socket.recv(1 << 20)
            except socket.timeout:
                raise TimedOut(f"{count} bytes expected, {len(self._received)} came") from None
            except ConnectionResetError as error:
                raise Closed(str(error)) from error
            if not piece:
                raise Closed("end of stream")
            self._received += piece
        data, self._received = self._received[:count], self._received[count:]
        return data

    def receive(self, timeout=None):
        """The next PDU; its digests are checked."""
        header = self.receive_bytes(48, timeout)
        ahs = self.receive_bytes(header[4] * 4) if header[4] else b""
        if self.header_digest and self.receive_bytes(4) != crc32c(header + ahs):
            raise AssertionError("the header digest is wrong")
        length = int.from_bytes(header[5:8], "big")
        padded = self.receive_bytes(length + -length % 4) if length else b""
        if self.data_digest and length and self.receive_bytes(4) != crc32c(padded):
            raise AssertionError("the data digest is wrong")
        return Pdu(header, padded[:length], ahs)

    def expect_close(self, timeout=10):
        """Waits until the other end closes; what it sends before that is returned."""
        pdus = []
        deadline = time.monotonic() + environment.seconds(timeout)
        while True:
            try:
                left = max(deadline - time.monotonic(), 0.001) / environment.TIME_FACTOR
                pdus.append(self.receive(left))
            except Closed:
                return pdus

    def close(self):
        self.socket.close()

    def abort(self):
        """Closes with a reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Result:
    """How a command ended."""

    def __init__(self, status, data=b"", sense=b"", flags=0, residual=0, response=0):
        self.status, self.data, self.sense = status, data, sense
        self.flags, self.residual, self.response = flags, residual, response
        self.sense_key, self.asc, self.ascq = 0, 0, 0
        if len(sense) >= 4 and sense[0] & 0x7F in (0x72, 0x73):
            self.sense_key, self.asc, self.ascq = sense[1] & 0xF, sense[2], sense[3]
        elif len(sense) >= 14 and sense[0] & 0x7F in (0x70, 0x71):
            self.sense_key, self.asc, self.ascq = sense[2] & 0xF, sense[12], sense[13]

    overflow = property(lambda self: bool(self.flags & 0x04))
    underflow = property(lambda self: bool(self.flags & 0x02))


class Task:
    """A command on its way."""

    def __init__(self, itt, cmd_sn, data_out, read_length):
        self.itt, self.cmd_sn, self.data_out = itt, cmd_sn, data_out
        self.data_in = bytearray(read_length)
        self.data_in_length = 0
        self.result = None
        self.r2ts = []
        self.data_sn = 0


class Session:
    """A session with one connection. `keys` are proposed at login on top of USUAL_KEYS; the value None omits one."""

    def __init__(self, connection, target=None, *, initiator="iqn.2026-11.test:client", keys=None, chap=None,
                 mutual=None, algorithms="7,6,5", isid=None, tsih=0, cid=0, discovery=False):
        self.connection, self.target, self.initiator = connection, target, initiator
        self.keys = {**USUAL_KEYS, **(keys or {})}
        self.chap, self.mutual, self.algorithms = chap, mutual, algorithms
        self.isid = isid if isid is not None else b"\x80" + os.urandom(5)
        self.tsih, self.cid, self.discovery = tsih, cid, discovery
        self.cmd_sn, self.exp_stat_sn, self.max_cmd_sn, self.next_itt = 1, 0, 1, 1
        self.negotiated = {}
        self.login_answers = []
        self.asyncs, self.tasks, self.unexpected = [], {}, []
        self.answer_r2t = True  # False: R2Ts are kept in their task for the test to look at
        self.answer_nops = True

    # --- Login -------------------------------------------------------------------------------------------------------

    def names(self):
        keys = [("InitiatorName", self.initiator), ("SessionType", "Discovery" if self.discovery else "Normal")]
        return keys + ([("TargetName", self.target)] if self.target else [])

    def login_step(self, keys, csg, nsg=0, transit=True, more=False):
        """Sends one Login request and returns the response; `keys` may be bytes."""
        self.send_login(keys, csg, nsg, transit, more)
        return self.login_response()

    def send_login(self, keys, csg, nsg=0, transit=True, more=False):
        data = keys if isinstance(keys, bytes) else encode_keys(keys)
        self.connection.send(wire.login_request(data, 0, self.cmd_sn, self.exp_stat_sn, isid=self.isid, tsih=self.tsih,
                                                cid=self.cid, csg=csg, nsg=nsg, transit=transit, more=more))

    def login_response(self):
        answer = self.connection.receive()
        if answer.opcode == wire.REJECT:
            raise Rejected(answer)
        assert answer.opcode == wire.LOGIN_RESPONSE, answer
        status = answer.u16(36)
        if status:
            raise LoginFailed(status)
        self.exp_stat_sn = answer.stat_sn + 1
        self.max_cmd_sn = answer.max_cmd_sn
        self.tsih = answer.u16(14)
        pairs = decode_keys(answer.data)
        self.login_answers += pairs
        return answer

    def login(self):
        """The whole login phase; returns self."""
        if self.chap:
            self.authenticate()
        else:
            self.login_step(self.names() + [("AuthMethod", "None")], SECURITY, OPERATIONAL)
        self.negotiate()
        return self

    def authenticate(self):
        self.login_step(self.names() + [("AuthMethod", "CHAP")], SECURITY, transit=False)
        answer = dict(decode_keys(self.login_step([("CHAP_A", self.algorithms)], SECURITY, transit=False).data))
        self.chap_algorithm = answer["CHAP_A"]
        digest = CHAP_ALGORITHMS[answer["CHAP_A"]]
        name, secret = self.chap
        response = chap_response(digest, int(answer["CHAP_I"], 0), secret, chap_bytes(answer["CHAP_C"]))
        keys = [("CHAP_N", name), ("CHAP_R", "0x" + response.hex())]
        challenge = os.urandom(len(response))
        if self.mutual:
            keys += [("CHAP_I", "77"), ("CHAP_C", "0x" + challenge.hex())]
        answer = dict(decode_keys(self.login_step(keys, SECURITY, OPERATIONAL).data))
        if self.mutual:
            mutual_name, mutual_secret = self.mutual
            expected = chap_response(digest, 77, mutual_secret, challenge)
            assert answer["CHAP_N"] == mutual_name, answer
            assert hmac.compare_digest(chap_bytes(answer["CHAP_R"]), expected), "the target does not know its secret"

    def negotiate(self):
        """The operational stage, and with it the way into full feature phase."""
        keys = {key: value for key, value in self.keys.items() if value is not None}
        answer = self.login_step(keys, OPERATIONAL, FULL_FEATURE)
        while not answer.final:
            answer = self.login_step([], OPERATIONAL, FULL_FEATURE)
        assert answer.flags & 3 == FULL_FEATURE, answer
        self.negotiated = {**USUAL_KEYS, **keys, **dict(self.login_answers)}
        self.connection.header_digest = self.negotiated["HeaderDigest"] == "CRC32C"
        self.connection.data_digest = self.negotiated["DataDigest"] == "CRC32C"

    def number(self, key):
        return int(self.negotiated[key], 0)

    @property
    def target_segment(self):
        """How much data the target takes in one PDU."""
        return int(dict(self.login_answers).get("MaxRecvDataSegmentLength", "8192"), 0)

    # --- Commands ----------------------------------------------------------------------------------------------------

    def new_itt(self):
        self.next_itt += 1
        return self.next_itt

    def take_cmd_sn(self):
        self.cmd_sn += 1
        return self.cmd_sn - 1

    def start(self, cdb, *, lun=0, data=None, read_length=0, length=None, attribute=1, immediate=False,
              unsolicited=True):
        """Sends a SCSI command with the data that may go with it; returns its Task."""
        itt = self.new_itt()
        cmd_sn = self.cmd_sn if immediate else self.take_cmd_sn()
        task = Task(itt, cmd_sn, data, read_length)
        self.tasks[itt] = task
        expected = length if length is not None else len(data) if data is not None else read_length
        first, final = b"", True
        if data is not None and unsolicited:
            allowed = min(self.number("FirstBurstLength"), len(data))
            if self.negotiated["ImmediateData"] == "Yes":
                first = data[:min(allowed, self.target_segment)]
            final = self.negotiated["InitialR2T"] == "Yes" or len(first) >= allowed
        self.connection.send(wire.scsi_command(cdb, itt, cmd_sn, self.exp_stat_sn, lun=lun, read=read_length > 0,
                                               write=data is not None, length=expected, data=first, final=final,
                                               attribute=attribute, immediate=immediate))
        if not final:
            self.send_data(task, wire.RESERVED_TAG, len(first), allowed - len(first), lun)
        return task

    def send_data(self, task, ttt, offset, length, lun=0):
        """A sequence of Data-Out PDUs."""
        data_sn, end = 0, offset + length
        while offset < end:
            piece = task.data_out[offset:min(offset + self.target_segment, end)]
            self.connection.send(wire.data_out(piece, task.itt, ttt, self.exp_stat_sn, lun=lun, data_sn=data_sn,
                                               offset=offset, final=offset + len(piece) >= end))
            offset += len(piece)
            data_sn += 1

    def wait(self, task, timeout=None):
        """Waits for the end of a task; its Result."""
        while task.result is None:
            self.step(timeout)
        del self.tasks[task.itt]
        return task.result

    def execute(self, cdb, **arguments):
        """Sends a command and waits for its Result, whatever its status."""
        return self.wait(self.start(cdb, **arguments))

    def check(self, cdb, **arguments):
        """As execute, but another status than GOOD is an exception; after a unit attention the command is repeated."""
        for _ in range(8):
            result = self.execute(cdb, **arguments)
            if not (result.status == 2 and result.sense_key == 6):
                break
        if result.status:
            raise CheckCondition(result)
        return result

    def step(self, timeout=None):
        """Receives one PDU and does what it asks for; returns it."""
        received = self.connection.receive(timeout)
        if received.opcode in (wire.SCSI_RESPONSE, wire.DATA_IN, wire.R2T) and received.itt in self.tasks:
            self._for_task(received, self.tasks[received.itt])
        elif received.opcode == wire.NOP_IN and received.ttt != wire.RESERVED_TAG and self.answer_nops:
            answer = wire.nop_out(wire.RESERVED_TAG, self.cmd_sn, self.exp_stat_sn, ttt=received.ttt)
            answer.header[8:16] = received.header[8:16]
            self.connection.send(answer)
        elif received.opcode == wire.ASYNC:
            self._count_status(received)
            self.asyncs.append(received)
        elif received.opcode == wire.REJECT:
            self._count_status(received)
            raise Rejected(received)
        else:
            if not (received.opcode == wire.NOP_IN and received.itt == wire.RESERVED_TAG):
                self._count_status(received)
            self.unexpected.append(received)
        if self._newer(received.max_cmd_sn, self.max_cmd_sn):
            self.max_cmd_sn = received.max_cmd_sn
        return received

    @staticmethod
    def _newer(one, other):
        return 0 < (one - other) & 0xFFFFFFFF < 0x80000000

    def _count_status(self, received):
        assert received.stat_sn == self.exp_stat_sn & 0xFFFFFFFF, \
            f"{received}: StatSN {received.stat_sn}, expected {self.exp_stat_sn}"
        self.exp_stat_sn = (received.stat_sn + 1) & 0xFFFFFFFF

    def _for_task(self, received, task):
        if received.opcode == wire.R2T:
            task.r2ts.append(received)
            if self.answer_r2t:
                self.send_data(task, received.ttt, received.u32(40), received.u32(44))
            return
        if received.opcode == wire.DATA_IN:
            assert received.u32(36) == task.data_sn, f"{received}: DataSN {received.u32(36)}, expected {task.data_sn}"
            task.data_sn += 1
            offset = received.u32(40)
            assert offset + len(received.data) <= len(task.data_in), f"{received}: more data than asked for"
            task.data_in[offset:offset + len(received.data)] = received.data
            task.data_in_length = max(task.data_in_length, offset + len(received.data))
            if not received.flags & 1:
                return
            self._count_status(received)
            task.result = Result(received.u8(3), bytes(task.data_in[:task.data_in_length]), b"", received.flags & 0x06,
                                 received.u32(44))
            return
        self._count_status(received)
        sense_length = int.from_bytes(received.data[:2], "big") if len(received.data) >= 2 else 0
        task.result = Result(received.u8(3), bytes(task.data_in[:task.data_in_length]),
                             received.data[2:2 + sense_length], received.flags & 0x06, received.u32(44), received.u8(2))

    def collect(self, opcode, itt=None, timeout=None):
        """Waits for a PDU that belongs to no task: a NOP-In, a Text, Logout or task management response, an Async."""
        while True:
            for kept in (self.unexpected, self.asyncs):
                for received in kept:
                    if received.opcode == opcode and (itt is None or received.itt == itt):
                        kept.remove(received)
                        return received
            self.step(timeout)

    # --- Disk commands -----------------------------------------------------------------------------------------------

    def capacity(self, lun=0):
        """(number of blocks, block size)."""
        cdb = bytes([0x9E, 0x10]) + bytes(8) + struct.pack(">I", 32) + bytes(2)
        data = self.check(cdb, read_length=32, lun=lun).data
        last, size = struct.unpack_from(">QI", data)
        return last + 1, size

    def read(self, lba, blocks, block_size=512, lun=0):
        cdb = struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0)
        return self.check(cdb, read_length=blocks * block_size, lun=lun).data

    def write(self, lba, data, block_size=512, fua=False, lun=0):
        cdb = struct.pack(">BBQIBB", 0x8A, 8 if fua else 0, lba, len(data) // block_size, 0, 0)
        return self.check(cdb, data=data, lun=lun)

    def flush(self, lun=0):
        return self.check(struct.pack(">BBQIBB", 0x91, 0, 0, 0, 0, 0), lun=lun)

    def test_unit_ready(self, lun=0):
        return self.check(bytes(6), lun=lun)

    # --- Other requests ----------------------------------------------------------------------------------------------

    def ping(self, data=b"ping", immediate=True, timeout=None):
        itt = self.new_itt()
        cmd_sn = self.cmd_sn if immediate else self.take_cmd_sn()
        self.connection.send(wire.nop_out(itt, cmd_sn, self.exp_stat_sn, data=data, immediate=immediate))
        return self.collect(wire.NOP_IN, itt, timeout)

    def manage(self, function, *, lun=0, task=None, referenced=None, ref_cmd_sn=None, immediate=True, timeout=None):
        """Sends a task management function; the response code of its answer."""
        itt = self.new_itt()
        cmd_sn = self.cmd_sn if immediate else self.take_cmd_sn()
        tag = task.itt if task else wire.RESERVED_TAG if referenced is None else referenced
        sn = task.cmd_sn if task else 0 if ref_cmd_sn is None else ref_cmd_sn
        self.connection.send(wire.task_management(function, itt, cmd_sn, self.exp_stat_sn, lun=lun, referenced=tag,
                                                  ref_cmd_sn=sn, immediate=immediate))
        return self.collect(wire.TASK_MANAGEMENT_RESPONSE, itt, timeout).u8(2)

    def text(self, keys, timeout=None):
        """A Text request in one PDU; the pairs of the whole answer."""
        itt, pairs, ttt = self.new_itt(), [], wire.RESERVED_TAG
        data = keys if isinstance(keys, bytes) else encode_keys(keys)
        answer_data = b""
        while True:
            self.connection.send(wire.text_request(data, itt, self.take_cmd_sn(), self.exp_stat_sn, ttt=ttt))
            answer = self.collect(wire.TEXT_RESPONSE, itt, timeout)
            answer_data += answer.data
            if answer.final:
                pairs += decode_keys(answer_data)
                return pairs
            data, ttt = b"", answer.ttt

    def logout(self, reason=0, cid=None, timeout=None):
        """Asks to end the session (0), a connection (1) or for recovery (2); the response code."""
        itt = self.new_itt()
        self.connection.send(wire.logout(reason, itt, self.cmd_sn, self.exp_stat_sn,
                                         cid=self.cid if cid is None else cid))
        return self.collect(wire.LOGOUT_RESPONSE, itt, timeout).u8(2)

    def close(self):
        self.connection.close()


def chap_response(digest, identifier, secret, challenge):
    """RFC 1994 §4.1."""
    return hashlib.new(digest, bytes([identifier]) + secret.encode() + challenge).digest()


def chap_bytes(text):
    """A large binary value (RFC 7143 §6.1): 0x and hexadecimal, or 0b and base64."""
    if text[:2].lower() == "0x":
        digits = text[2:]
        return bytes.fromhex("0" * (len(digits) % 2) + digits)
    return base64.b64decode(text[2:])


def connect(server, **arguments):
    """A session with a Server under test, logged in; closed at the latest when the test ends."""
    session = Session(Connection(server.address), server.target, **arguments)
    server.clients.append(session)
    return session.login()


def discover(address, **arguments):
    """What SendTargets=All says: pairs in order."""
    session = Session(Connection(address), discovery=True, **arguments).login()
    try:
        return session.text([("SendTargets", "All")])
    finally:
        session.close()
