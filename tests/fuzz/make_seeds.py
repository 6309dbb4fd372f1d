#!/usr/bin/python3
"""Writes the seeds of the fuzzers' corpora: exchanges of real initiators, and one input for each corner of the formats.

  make_seeds.py DIRECTORY        makes DIRECTORY/pdu, /text, /login, /cdb, /parameter_list and
                                /copy_parameter_list

The kept corpora are these seeds, and what libFuzzer found besides that reaches other code (-set_cover_merge=1
-use_counters=0). Their formats are described in the harnesses.
"""

import hashlib
import pathlib
import struct
import sys

SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3
TRANSIT, CONTINUE = 0x80, 0x40

INITIATOR = "InitiatorName=iqn.2004-10.org.example:host"
TARGET = "TargetName=iqn.2004-10.org.example:disk"
LIBISCSI = ["HeaderDigest=None,CRC32C", "DataDigest=None", "InitialR2T=No", "ImmediateData=Yes",
            "MaxBurstLength=262144", "FirstBurstLength=262144", "DefaultTime2Wait=2", "DefaultTime2Retain=0",
            "MaxOutstandingR2T=1", "ErrorRecoveryLevel=0", "IFMarker=No", "OFMarker=No", "MaxConnections=1",
            "MaxRecvDataSegmentLength=262144", "DataPDUInOrder=Yes", "DataSequenceInOrder=Yes"]


def text(*pairs):
    return b"".join(pair.encode() + b"\0" for pair in pairs)


# --- PDUs -----------------------------------------------------------------------------------------------------------

def pdus():
    captured = {
        "login-request": "43870000000001ae80f2fa0100000000280aa5b200000000"
                         "0071aaa90000000100000000000000000000000000000000",
        "login-response": "238700000000012e80f2fa0100000100280aa5b200000000"
                          "000000000071aaa90071aaaa000000000000000000000000",
        "text-request": "4480000000000010000000000000000030b430b2ffffffff"
                        "4ed20c5e0000000100000000000000000000000000000000",
        "text-response": "248000000000007f000000000000000030b430b2ffffffff"
                         "000000014ed20c5e4ed20c5f000000000000000000000000",
        "scsi-command": "01c10000000000000001000000000000280aa5b500000040"
                        "0071aaab0000000312000000400000000000000000000000",
        "data-in": "25810000000000400000000000000000280aa5b5ffffffff"
                   "000000030071aaac0071aaad000000000000000000000000",
    }
    for name, digits in captured.items():
        yield name, bytes.fromhex(digits)
    for opcode in (0x00, 0x02, 0x05, 0x06, 0x10, 0x20, 0x21, 0x22, 0x26, 0x31, 0x32, 0x3f):
        yield f"opcode-{opcode:02x}", bytes([opcode | 0x40 if opcode < 0x20 else opcode, 0x81]) + bytes(range(2, 48))
    command = bytearray.fromhex(captured["scsi-command"])
    extended = struct.pack(">HBB", 17, 1, 0) + bytes(range(16))
    bidirectional = struct.pack(">HBBI", 5, 2, 0, 65536)
    for name, ahs in (("extended-cdb", extended), ("bidirectional", bidirectional), ("both", extended + bidirectional)):
        command[4] = len(ahs) // 4
        yield name, bytes(command) + ahs


# --- Text -----------------------------------------------------------------------------------------------------------

def texts():
    yield "libiscsi", b"\x01\x00" + text(*LIBISCSI) + b"\0\0"
    yield "libiscsi-discovery", b"\x05\x03" + text(*LIBISCSI)
    yield "open-iscsi", b"\x01\x00" + text("HeaderDigest=None", "DataDigest=None", "DefaultTime2Wait=2",
                                          "DefaultTime2Retain=0", "IFMarker=No", "OFMarker=No", "ErrorRecoveryLevel=0",
                                          "InitialR2T=No", "ImmediateData=Yes", "MaxBurstLength=16776192",
                                          "FirstBurstLength=262144", "MaxOutstandingR2T=1", "MaxConnections=1",
                                          "DataPDUInOrder=Yes", "DataSequenceInOrder=Yes",
                                          "MaxRecvDataSegmentLength=262144")
    yield "non-leading", b"\x09\x00" + text("MaxBurstLength=512", "HeaderDigest=CRC32C")
    yield "full-feature", b"\x02\x00" + text("SendTargets=All", "MaxRecvDataSegmentLength=0x1000", "HeaderDigest=None")
    yield "security", b"\x00\x00" + text("AuthMethod=KRB5,CHAP,None", "CHAP_A=5,6,7,8", INITIATOR, "CHAP_I=7",
                                        "CHAP_C=0x0102030405060708", "CHAP_R=0bZm9vYmFy", "CHAP_N=alice")
    yield "extensions", b"\x01\x07" + text("X-org.example.key=1", "X#NodeArchitecture=a,b", "iSCSIProtocolLevel=2",
                                          "TaskReporting=FastAbort,ResponseFence,RFC3720", "IFMarkInt=2048~8192",
                                          "RDMAExtensions=Yes", "OFMarker=NotUnderstood")
    yield "bursts", b"\x01\x02" + text("FirstBurstLength=65536", "MaxBurstLength=512")
    yield "names", b"\x01\x00" + text("A=iqn.2004-10.org.example:\u4f8b", "B=eui.02004567A425678D",
                                     "C=naa.62004567BA64678D0123456789ABCDEF",
                                     "D=iscsi://user%secret@[2001:db8::1]:3260/iqn.a.b/1?header_digest=crc32c&x=",
                                     "E=iscsi://host/iqn.a%3Ab/16383")


# --- Login ----------------------------------------------------------------------------------------------------------

def request(current, following=None, pairs=(), flags=0, cid=0):
    byte1 = current << 2 | flags
    if following is not None:
        byte1 |= TRANSIT | following
    data = text(*pairs)
    return struct.pack(">BBBH", 0, byte1, cid, len(data)) + data


def raw(bhs, data=b""):
    return b"\x80" + bhs.ljust(48, b"\0") + struct.pack(">H", len(data)) + data


def chap_response(algorithm, secret):
    digest, size = {5: ("md5", 16), 6: ("sha1", 20), 7: ("sha256", 32), 8: ("sha3_256", 32)}[algorithm]
    # The harness's random numbers count up from 1: the challenge first, then the identifier.
    challenge, identifier = bytes(range(1, size + 1)), bytes([size + 1])
    return "CHAP_R=0x" + hashlib.new(digest, identifier + secret + challenge).hexdigest()


def logins():
    who = (INITIATOR, TARGET, "SessionType=Normal")
    yield "one-request", b"\x08" + request(OPERATIONAL, FULL_FEATURE, (*who, *LIBISCSI))
    yield "discovery", b"\0" + request(OPERATIONAL, FULL_FEATURE, (INITIATOR, "SessionType=Discovery", *LIBISCSI))
    yield "two-stages", (b"\0" + request(SECURITY, OPERATIONAL, (*who, "AuthMethod=None")) +
                         request(OPERATIONAL, FULL_FEATURE, LIBISCSI))
    yield "straight", b"\0" + request(SECURITY, FULL_FEATURE, (*who, "AuthMethod=CHAP,None", "MaxBurstLength=512"))
    yield "pieces", (b"\0" + request(OPERATIONAL, None, who, CONTINUE) + request(OPERATIONAL, None, (), CONTINUE) +
                     request(OPERATIONAL, FULL_FEATURE, LIBISCSI))
    many = [f"X-org.example.key{i}=1" for i in range(60)]
    yield "long-answer", (b"\0" + request(OPERATIONAL, FULL_FEATURE, (*who, "MaxRecvDataSegmentLength=512", *many)) +
                          6 * request(OPERATIONAL, FULL_FEATURE))
    for algorithm in (5, 6, 7, 8):
        proof = ("CHAP_N=alice", chap_response(algorithm, b"AliceSecret123"))
        start = (request(SECURITY, OPERATIONAL, (*who, "AuthMethod=CHAP,None")) +
                 request(SECURITY, None, (f"CHAP_A={algorithm}",)))
        end = request(OPERATIONAL, FULL_FEATURE, LIBISCSI)
        yield f"chap-{algorithm}", b"\x03" + start + request(SECURITY, OPERATIONAL, proof) + end
        mutual = (*proof, "CHAP_I=1", "CHAP_C=0xc211b261c01de2b6334d24d5210c07b58e1eb5be50f7a671279c5ea0bc831f7e")
        yield f"mutual-{algorithm}", b"\x07" + start + request(SECURITY, OPERATIONAL, mutual) + end
        reflected = (*proof, "CHAP_I=1", "CHAP_C=0x" + bytes(range(1, {5: 17, 6: 21}.get(algorithm, 33))).hex())
        yield f"reflected-{algorithm}", b"\x07" + start + request(SECURITY, OPERATIONAL, reflected)
    yield "skips-chap", b"\x03" + request(OPERATIONAL, FULL_FEATURE, who)
    yield "no-name", b"\0" + request(OPERATIONAL, FULL_FEATURE, (TARGET,))
    yield "absent", b"\0" + request(OPERATIONAL, FULL_FEATURE, (INITIATOR, "TargetName=iqn.a.b:absent"))
    yield "moved", b"\0" + request(OPERATIONAL, FULL_FEATURE, (INITIATOR, "TargetName=iqn.a.b:moved"))
    yield "other-type", b"\0" + request(OPERATIONAL, FULL_FEATURE, (INITIATOR, "SessionType=Boot"))
    yield "reinstatement", b"\x30" + request(OPERATIONAL, FULL_FEATURE, who)
    yield "no-room", b"\x40" + request(OPERATIONAL, FULL_FEATURE, who)
    yield "nop-first", b"\0" + raw(bytes([0x40, 0x80]))
    yield "nop-later", b"\0" + request(SECURITY, OPERATIONAL, (*who, "AuthMethod=None")) + raw(bytes([0x40, 0x80]))
    yield "version", b"\0" + raw(bytes([0x43, 0x87, 2, 1]), text(*who))
    header = bytearray(48)
    header[0:2] = bytes([0x43, 0x87])
    header[8:16] = bytes([0x80, 1, 2, 3, 4, 5, 0, 7])
    yield "continuation", b"\x30" + raw(bytes(header), text(*who, *LIBISCSI))
    yield "second-connection", b"\x10" + raw(bytes(header), text(*who))
    yield "lost-session", b"\0" + raw(bytes(header), text(*who))


# --- Commands -------------------------------------------------------------------------------------------------------

SIMPLE, ORDERED, HEAD_OF_QUEUE, ACA = 1, 2, 3, 4
SENDS, RECEIVES = 1, 2
SLOW = 0x80


def command(cdb, receives=None, sends=None, nexus=0, attribute=SIMPLE):
    """A command of the CDB harness; what it sends is `sends` bytes, or `sends` itself."""
    cdb = bytes(cdb)
    out = bytes([nexus << 3 | attribute << 4, (RECEIVES if receives is not None else 0) |
                 (SENDS if sends is not None else 0), len(cdb) - 6]) + cdb
    if receives is not None:
        out += struct.pack(">H", receives)
    if sends is not None:
        data = sends if isinstance(sends, bytes) else bytes(range(64))[:sends]
        out += struct.pack(">H", sends if isinstance(sends, int) else len(sends)) + data[:64]
    return out


def action(kind, which=0):
    return bytes([which << 3 | kind])


def release(which=0):
    return action(1, which)


def abort(which=0):
    return action(2, which)


def cdb_6(code, byte1=0, lba=0, length=0):
    return struct.pack(">BBHBB", code, byte1, lba, length, 0)


def cdb_10(code, byte1=0, lba=0, length=0, control=0):
    return struct.pack(">BBIBHB", code, byte1, lba, 0, length, control)


def cdb_12(code, byte1=0, lba=0, length=0):
    return struct.pack(">BBIIBB", code, byte1, lba, length, 0, 0)


def cdb_16(code, byte1=0, lba=0, length=0):
    return struct.pack(">BBQIBB", code, byte1, lba, length, 0, 0)


def cdb_32(service_action, byte10=0, lba=0, length=0):
    return struct.pack(">BBIBBHBBQIII", 0x7F, 0, 0, 0, 24, service_action, byte10, 0, lba, 0, 0, length)


def cdbs():
    plain = {
        "test-unit-ready": command(cdb_6(0x00)), "request-sense": command(cdb_6(0x03, length=252), 252),
        "inquiry": command(cdb_6(0x12, length=255), 255), "report-luns": command(cdb_12(0xA0, length=4096), 4096),
        "mode-sense-6": command(bytes([0x1A, 0, 0x3F, 0xFF, 255, 0]), 255),
        "mode-sense-10": command(bytes([0x5A, 0x10, 0x3F, 0xFF, 0, 0, 0, 4, 0, 0]), 1024),
        "read-capacity-10": command(cdb_10(0x25), 8), "read-capacity-16": command(cdb_16(0x9E, 0x10, 0, 32), 32),
        "operation-codes": command(bytes([0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0x10, 0, 0, 0]), 4096),
        "operation-code": command(bytes([0xA3, 0x0C, 0x83, 0x9E, 0, 0x10, 0, 0, 1, 0, 0, 0]), 256),
        "functions": command(bytes([0xA3, 0x0D, 0x80, 0, 0, 0, 0, 0, 0, 16, 0, 0]), 16),
        "port-groups": command(bytes([0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]), 1024),
        "identifying-information": command(bytes([0xA3, 0x05, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]), 1024),
        "timestamp": command(bytes([0xA3, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0]), 12),
        "log-sense": command(bytes([0x4D, 0, 0x40, 0, 0, 0, 0, 4, 0, 0]), 1024),
        "read-keys": command(bytes([0x5E, 0, 0, 0, 0, 0, 0, 4, 0, 0]), 1024),
        "full-status": command(bytes([0x5E, 3, 0, 0, 0, 0, 0, 4, 0, 0]), 1024),
        "stop-and-start": command(cdb_6(0x1B)) + command(cdb_10(0x28, 0, 0, 1), 512) + command(cdb_6(0x1B, length=1)),
        "lba-status": command(cdb_16(0x9E, 0x12, 200, 256), 256),
        "pre-fetch": command(cdb_10(0x34, 0, 0, 8)) + command(cdb_16(0x90, 2, 0, 8)),
        "prevent-removal": command(cdb_6(0x1E, length=1)), "diagnostic": command(cdb_6(0x1D, 4)),
        "defects": command(cdb_10(0x37, 0, 0x1C000000, 64), 64) +
                   command(bytes([0xB7, 0x1C] + [0] * 7 + [64, 0, 0]), 64),
        "reserve-6": command(cdb_6(0x16)) + command(cdb_6(0x00), nexus=1) + command(cdb_6(0x17)),
        "sanitize-status": command(cdb_10(0x48, 0x1F)),
    }
    for page in (0x00, 0x80, 0x83, 0x86, 0x8F, 0xB0, 0xB1, 0xB2):
        plain[f"vpd-{page:02x}"] = command(bytes([0x12, 1, page, 4, 0, 0]), 1024)
    for name, code, make in (("6", 0, cdb_6), ("10", 0x20, cdb_10), ("12", 0xA0, cdb_12), ("16", 0x80, cdb_16)):
        plain["transfer-" + name] = (command(make(0x0A | code, 0, 3, 4), sends=2048) +
                                     command(make(0x08 | code, 0, 2, 6), 3072))
    for name, base, make in (("10", 0x20, cdb_10), ("12", 0xA0, cdb_12), ("16", 0x80, cdb_16)):
        plain["verify-" + name] = (command(make(0x0E | base, 2, 9, 2), sends=1024) +
                                   command(make(0x0F | base, 2, 9, 2), sends=1024) +
                                   command(make(0x0F | base, 6, 300, 8), sends=512) +
                                   command(make(0x0F | base, 0, 0, 64)))
    plain["transfer-32"] = (command(cdb_32(0x0B, 0, 3, 4), sends=2048) + command(cdb_32(0x09, 0, 3, 4), 2048) +
                            command(cdb_32(0x0C, 2, 3, 4), sends=2048) + command(cdb_32(0x0A, 0, 3, 4)) +
                            command(cdb_32(0x0D, 8, 3, 4), sends=512) + command(cdb_32(0x12, 0, 3, 0), 64))
    plain["write-same"] = (command(cdb_10(0x41, 0, 5, 9), sends=512) + command(cdb_16(0x93, 8, 5, 64), sends=512) +
                           command(cdb_16(0x93, 9, 8, 0)) + command(cdb_16(0x93, 0, 500, 0), sends=512))
    plain["flush"] = command(cdb_10(0x35)) + command(cdb_16(0x91, 2, 10, 20))
    plain["unmap"] = command(cdb_10(0x42, 0, 0, 24), sends=struct.pack(">HHIQII", 22, 16, 0, 8, 16, 0))
    plain["compare-and-write"] = command(bytes([0x89] + [0] * 12 + [1, 0, 0]), sends=1024)
    plain["or-write"] = command(cdb_16(0x8B, 0, 400, 2), sends=1024) + command(cdb_16(0x9C, 0, 0, 8), sends=4096)
    plain["long-cdb"] = command(bytes(260)) + command(bytes([0x7F, 0, 0, 0, 0, 0, 0, 252]) + bytes(252))
    plain["past-the-end"] = (command(cdb_10(0x28, 0, 511, 2), 1024) +
                             command(cdb_16(0x8A, 0, (1 << 64) - 1, 2), sends=1024))
    plain["unequal-lengths"] = (command(cdb_10(0x28, 0, 0, 8), 100) + command(cdb_10(0x2A, 0, 0, 8), sends=1000) +
                                command(cdb_10(0x2A, 0, 0, 8), sends=1024) + command(cdb_10(0x2A, 0, 0, 1), 512))
    for name, actions in plain.items():
        yield name, b"\0" + actions
    write, read = command(cdb_10(0x2A, 0, 0, 8), sends=4096), command(cdb_10(0x28, 0, 0, 8), 4096)
    yield "slow", bytes([SLOW]) + write + read + release(1) + release() + release() + read + release()
    ordered = command(cdb_10(0x2A, 8, 0, 8), sends=4096, attribute=ORDERED)
    yield "ordered", bytes([SLOW]) + read + ordered + read + release() + release() + release() + abort() + release()
    yield "aborted", bytes([SLOW]) + write + read + abort() + abort(1) + write
    failing = command(cdb_10(0x28, 0, 600, 1, 4), 512)
    yield "aca", b"\0" + failing + read + command(cdb_6(0x03, length=18), 18, attribute=ACA) + action(4, 3) + read
    yield "head-of-queue", bytes([SLOW]) + ordered + read + command(cdb_6(0), attribute=HEAD_OF_QUEUE) + action(4)
    for number, error in enumerate(("io", "space", "memory", "read-only", "none"), 1):
        yield "error-" + error, (bytes([0x04]) + action(3, number) + write + read + command(cdb_10(0x35)) +
                                 plain["unmap"])
    yield "attention", b"\0" + action(4, 1) + b"\x2a\x09" + plain["inquiry"] + read + read
    for number in range(7):
        yield f"disk-{1 << number:02x}", bytes([1 << number]) + write + read + plain["write-same"] + plain["vpd-b2"]
    yield "two", bytes([SLOW]) + write + command(cdb_10(0x2A, 0, 4, 8), sends=4096, nexus=1) + 4 * release(1)


# --- Parameter lists ------------------------------------------------------------------------------------------------

SECOND, OTHER_LENGTH = 1, 2


def with_list(code, action_code, parameters, cdb=b"", flags=0, length=None):
    """A command of the parameter list harness; `cdb` is what follows its first byte."""
    out = bytes([code, action_code, flags]) + cdb.ljust(15, b"\0") + struct.pack(">H", len(parameters)) + parameters
    return out + (struct.pack(">H", length) if flags & OTHER_LENGTH else b"")


def unmap(*ranges):
    descriptors = b"".join(struct.pack(">QII", lba, count, 0) for lba, count in ranges)
    return struct.pack(">HHI", 6 + len(descriptors), len(descriptors), 0) + descriptors


def reserve_out(service_action, key=0, action_key=0, scope_type=0, flags=0, more=b"", nexus=0):
    """PERSISTENT RESERVE OUT (SPC-4 table 197)."""
    parameters = struct.pack(">QQIBBH", key, action_key, 0, flags, 0, 0) + more
    return with_list(0x5F, service_action, parameters, bytes([service_action, scope_type]), nexus)


def parameter_lists():
    yield "unmap", b"\0" + with_list(0x42, 0, unmap((0, 8), (100, 1))) + with_list(0x42, 0, unmap((511, 1), (512, 1)))
    yield "unmap-4096", b"\x01" + with_list(0x42, 0, unmap((63, 1))) + with_list(0x42, 0, unmap((64, 1)))
    yield "unmap-many", b"\0" + with_list(0x42, 0, unmap(*((i, 1) for i in range(257))))
    yield "unmap-lengths", (b"\0" + with_list(0x42, 0, unmap((0, 1))[:7]) + with_list(0x42, 0, unmap((0, 1))[:20]) +
                            with_list(0x42, 0, unmap((0, 1)), flags=OTHER_LENGTH, length=65535) +
                            with_list(0x42, 0, b""))
    caching, control = bytes([8, 18, 4]) + bytes(17), bytes([10, 10, 4]) + bytes(9)
    extension = bytes([0x4A, 1, 0, 28]) + bytes(28)
    exceptions, recovery = bytes([28, 10]) + bytes(10), bytes([1, 10]) + bytes(10)
    for name, page in (("caching", caching), ("control", control), ("extension", extension), ("exceptions", exceptions),
                       ("recovery", recovery), ("two-pages", caching + control)):
        yield "mode-select-6-" + name, b"\0" + with_list(0x15, 0, bytes(4) + page, b"\x10")
        yield "mode-select-10-" + name, b"\0" + with_list(0x55, 0, bytes(8) + page, b"\x11")
    descriptor = bytes(8) + bytes([0, 0, 2, 0, 0, 0, 2, 0])
    with_descriptor = descriptor[:7] + b"\x08" + descriptor[8:] + caching
    yield "mode-select-descriptor", b"\0" + with_list(0x55, 0, with_descriptor, b"\x10")
    register = reserve_out(6, 0, 1) + reserve_out(6, 0, 2, nexus=SECOND)
    yield "reserve", (b"\0" + register + reserve_out(1, 1, 0, 5) + reserve_out(2, 1, 0, 5) +
                      reserve_out(3, 2, nexus=SECOND))
    yield "register", b"\0" + reserve_out(0, 0, 1, flags=1) + reserve_out(0, 1, 7) + reserve_out(0, 7, 0)
    yield "preempt", b"\0" + register + reserve_out(1, 1, 0, 1) + reserve_out(4, 2, 1, 3, nexus=SECOND)
    yield "preempt-and-abort", b"\0" + register + reserve_out(1, 1, 0, 7) + reserve_out(5, 2, 1, 8, nexus=SECOND)
    name = b"iqn.2026-11.test:initiator-1".ljust(32, b"\0")
    transport = bytes([5, 0]) + struct.pack(">H", len(name)) + name
    yield "specified-ports", b"\0" + reserve_out(0, 0, 1, flags=8, more=struct.pack(">I", len(transport)) + transport)
    moving = struct.pack(">QQBBHI", 1, 9, 0, 1, 1, len(transport)) + transport
    yield "register-and-move", (b"\0" + register + reserve_out(1, 1, 0, 1) + with_list(0x5F, 7, moving, b"\x07"))
    yield "port-groups", b"\0" + with_list(0xA4, 0x0A, bytes(4) + bytes([0, 0, 0, 1]), b"\x0a")
    yield "identifying", b"\0" + with_list(0xA4, 6, b"disk of the fuzzer\0", b"\x06") + with_list(0xA4, 6, b"", b"\x06")
    yield "timestamp", b"\0" + with_list(0xA4, 0x0F, bytes(4) + bytes([1, 2, 3, 4, 5, 6, 0, 0]), b"\x0f")
    for service_action, parameters in ((1, bytes([1, 0, 0, 4, 0xAA, 0, 0, 0])), (2, b""), (3, b""), (0x1F, b"")):
        sanitize = with_list(0x48, service_action, parameters, bytes([service_action]))
        yield f"sanitize-{service_action:02x}", b"\0" + sanitize
    yield "diagnostic", b"\0" + with_list(0x1D, 0, bytes([0x40, 0, 0, 10]) + bytes(10), b"\x10")
    yield "log-select", b"\0" + with_list(0x4C, 0, bytes(8), b"\x03")


# --- Third-party copy -------------------------------------------------------------------------------------------------

COPY_LID1, COPY_LID4, POPULATE, WRITE, RESULTS, PAGE, TOKEN, COPY_CDB = range(8)

# As libiscsi names a unit, and copies from its beginning to its end.
UNIT = bytes.fromhex("e400000001030008 39095312220551eb 000000000000000000000000 00000200")
SEGMENT = bytes.fromhex("02000018 00000000 00000800 0000000000000000 0000000000007800")


def lid1(cscds, segments, inline=b"", list_id=1, flags=0x10):
    """EXTENDED COPY(LID1) (SPC-4 6.5)."""
    return struct.pack(">BBHIII", list_id, flags, len(cscds), 0, len(segments), len(inline)) + cscds + segments + inline


def lid4(cscds, segments, inline=b"", list_id=1, flags=0x10):
    """EXTENDED COPY(LID4) (SPC-4 6.4)."""
    header = struct.pack(">BBH11xBB3xI18xHHH", 1, flags, 32, 1, 0xFF, list_id, len(cscds), len(segments), len(inline))
    return header + cscds + segments + inline


def ranges(*extents):
    descriptors = b"".join(struct.pack(">QII", lba, count, 0) for lba, count in extents)
    return struct.pack(">H", len(descriptors)) + descriptors


def with_data_length(body):
    return struct.pack(">H", len(body)) + body


def rod_token(rod_type=0x00800001):
    creator = struct.pack(">IHHQ", rod_type, 0, 504, 1) + UNIT + struct.pack(">QQ", 0, 1 << 20)
    return (creator + bytes(32) + struct.pack(">IBBH", 512, 0, 3, 0xC000)).ljust(512, b"\0")


def copy_parameter_lists():
    ipv4 = struct.pack(">BBHQ4s6xH2xHBBH", 0xE5, 0, 0, 0, bytes([192, 0, 2, 7]), 3260, 6, 0, 0, 512)
    extension = struct.pack(">B3xHH", 0xFF, 3260, 6)
    ipv6 = struct.pack(">BBHQ16sI", 0xEA, 0, 0, 0, bytes(15) + b"\1", 512) + extension.ljust(32, b"\0")
    service = struct.pack(">BB10x16sI", 0xEB, 0, bytes([192, 0, 2, 7]), 512) + (extension + UNIT[4:28]).ljust(32, b"\0")
    rod = struct.pack(">BBHHHIII2xBBII", 0xFE, 0, 0, 0, 0, 0x10000, 60, 60, 1, 1, 0, 512)
    offsets = struct.pack(">BBHHHIQQHH", 0x0A, 0, 28, 0, 0xFFFF, 512, 0, 8, 1, 2)
    inline = struct.pack(">BBHHHIII", 4, 0, 16, 0, 0, 512, 2, 3)
    verify = struct.pack(">BBHHHI", 7, 0, 8, 0, 0, 1 << 24)
    register = struct.pack(">BBHHHQQI", 0x14, 0, 24, 0, 0, 1, 2, 0)
    for name, kind, form in (("lid1", COPY_LID1, lid1), ("lid4", COPY_LID4, lid4)):
        begin = bytes([kind, 8])
        yield name, begin + form(UNIT, SEGMENT)
        yield name + "-units", begin + form(UNIT + ipv4 + ipv6 + service + rod, SEGMENT)
        yield name + "-segments", begin + form(UNIT, SEGMENT + offsets + inline + verify + register, b"inline")
        yield name + "-too-many", bytes([kind, 2]) + form(UNIT * 3, SEGMENT)
        yield name + "-too-many-segments", bytes([kind, 2]) + form(UNIT, SEGMENT * 3)
        yield name + "-no-such-unit", begin + form(UNIT, SEGMENT[:4] + bytes([0, 0, 0, 1]) + SEGMENT[8:])
        yield name + "-no-identifier", bytes([kind, 1]) + form(UNIT, SEGMENT, list_id=0, flags=0x18)
    yield "populate", bytes([POPULATE, 4]) + with_data_length(struct.pack(">BBIIH", 2, 0, 60, 0x00800001, 0) +
                                                              ranges((0, 8), (64, 8)))
    yield "populate-overlap", bytes([POPULATE, 4]) + with_data_length(struct.pack(">BBIIH", 0, 0, 0, 0, 0) +
                                                                      ranges((0, 8), (7, 8)))
    zeroes = struct.pack(">IHH", 0xFFFF0001, 0, 504).ljust(512, b"\0")
    for name, token in (("write", rod_token()), ("write-zeroes", zeroes)):
        yield name, bytes([WRITE, 4]) + with_data_length(struct.pack(">B5xQ", 2, 8) + token + bytes(6) + ranges((0, 8)))
    status = struct.pack(">BBHIBBBBQH6x", 0x10, 1, 1, 0xFFFFFFFE, 0, 8, 8, 0xF1, 16, 0) + bytes([0x72]) + bytes(7)
    made = struct.pack(">IH", 514, 0) + rod_token()
    yield "results-lid1", bytes([RESULTS, 0]) + struct.pack(">IBHBI", 8, 0x82, 1, 1, 5)
    yield "results-token", bytes([RESULTS, 0]) + struct.pack(">I", len(status + made)) + status + made
    yield "results-failure", bytes([RESULTS, 0]) + struct.pack(">I52xBBH", 64, 2, 0, 8) + bytes([0x72]) + bytes(7)
    yield "results-parameters", bytes([RESULTS, 0]) + bytes.fromhex(
        "0000002c 01000000 00400040 00002000 00000000 00000000 00000000 00000000 000000ff ff000000 00000004 020714e4")
    yield "results-all-tokens", bytes([RESULTS, 0]) + struct.pack(">II", 4 + 96, 0) + rod_token()[:96]
    # The example of sg3_utils, and the descriptors that it does not have.
    yield "page", bytes([PAGE, 0]) + bytes.fromhex(
        "008f008c 00000020 000000000000 0123 0000003c 0000001e 0000009988776655 0000004455667788"
        "00010010 0d 0000 0300 1200 83021011 840107 0000"
        "0004001c 00000000 001c0040 00012233 00998877 000000000000000000000000"
        "00080004 02 02e9 00 000c000c 0008 0000 0001 c000 ffff 0000 000d0014 121000112233445566778899aabbccddeefedc00")
    features = struct.pack(">B11xIII18xH", 0, 1, 600, 60, 48) + struct.pack(">BBHHHQQQQ8x", 0, 0, 44, 0, 8, 1, 2, 3, 4)
    rods = struct.pack(">HH", 0, 64) + struct.pack(">IBBH56x", 0x10000, 3, 0, 0)
    general = struct.pack(">IIIBB18x", 4, 4, 0, 9, 0)
    held = struct.pack(">IB23x", 0, 0)
    body = b"".join(struct.pack(">HH", code, len(content)) + content
                    for code, content in ((0x0106, features), (0x0108, rods), (0x8001, general), (0xC001, held)))
    yield "page-rods", bytes([PAGE, 0]) + struct.pack(">BBH", 0, 0x8F, len(body)) + body
    yield "token", bytes([TOKEN, 0]) + rod_token()
    yield "cdb-out", bytes([COPY_CDB, 0]) + bytes.fromhex("83100000000000000101000000200500")
    yield "cdb-in", bytes([COPY_CDB, 0]) + bytes.fromhex("84070000010100000000000004000000")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, seeds in (("pdu", pdus()), ("text", texts()), ("login", logins()), ("cdb", cdbs()),
                        ("parameter_list", parameter_lists()), ("copy_parameter_list", copy_parameter_lists())):
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, content in seeds:
            (folder / seed).write_bytes(content)


if __name__ == "__main__":
    main()
