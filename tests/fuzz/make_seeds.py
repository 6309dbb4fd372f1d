#!/usr/bin/python3
"""Writes the seeds of the fuzzers' corpora: exchanges of real initiators, and one input for each corner of the formats.

  make_seeds.py DIRECTORY        makes DIRECTORY/pdu, /text and /login

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


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, seeds in (("pdu", pdus()), ("text", texts()), ("login", logins())):
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, content in seeds:
            (folder / seed).write_bytes(content)


if __name__ == "__main__":
    main()
