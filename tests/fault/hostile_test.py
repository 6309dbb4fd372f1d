#!/usr/bin/python3
"""Hostile and broken peers, while a healthy initiator goes on undisturbed and the server's memory stays bounded."""

import os
import pathlib
import random
import resource
import select
import socket
import struct
import time
import unittest

import environment
import pdu as wire
from initiator import Closed, Connection, LoginFailed, Rejected, Session, TimedOut, connect
from pdu import Pdu
from server import Server
from workload import HealthyInitiator


DISCOVERY_KEYS = wire.encode_keys([("InitiatorName", "iqn.2026-11.test:x"), ("SessionType", "Discovery")])


ORDERED = 2

# What the server may keep, in KiB: docs/architecture.md, "Memory". Sanitizers keep freed memory besides.
BASE_KIB, WORKER_KIB, CONNECTION_KIB, SESSION_KIB = 64 << 10, 520 << 10, 128, 3 << 10
SANITIZERS_KIB = 512 << 10 if environment.TIME_FACTOR > 1 else 0


def write_16(lba, blocks):
    return struct.pack(">BBQIBB", 0x8A, 0, lba, blocks, 0, 0)


class HostileTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("ram:64M").start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        self.healthy = HealthyInitiator(self.server)
        self.enterContext(self.healthy)

    def raw(self, data, wait=0.2):
        """Sends bytes on a new connection and looks for a while at what happens; whatever does is fine but a hang."""
        with Connection(self.server.address) as connection:
            try:
                connection.send_bytes(data)
                connection.receive_bytes(1 << 20, wait)
            except (Closed, TimedOut):
                pass

    def closed(self, connection, timeout=10):
        connection.expect_close(timeout)

    # --- Before login ------------------------------------------------------------------------------------------------

    def test_noise(self):
        noise = random.Random(1)
        for length in (1, 47, 48, 49, 100, 4096, 1 << 20):
            self.raw(noise.randbytes(length), 0.05)

    def test_other_protocols(self):
        for greeting in (b"GET / HTTP/1.1\r\nHost: disk\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
                         b"\x16\x03\x01\x02\x00\x01" * 20):
            self.raw(greeting * 3)

    def test_connect_and_close(self):
        for _ in range(200):
            Connection(self.server.address).close()
        for _ in range(200):
            Connection(self.server.address).abort()

    def test_every_opcode_as_first_pdu(self):
        for opcode in range(64):
            self.raw(Pdu().put8(0, opcode).put8(1, 0x80).bytes(), 0.02)

    def test_login_that_claims_more_data_than_allowed(self):
        for length in (8193, 65536, 0xFFFFFF):
            pdu = wire.login_request(b"", 0, 1, 0, isid=b"\x80" + bytes(5))
            pdu.header[5:8] = length.to_bytes(3, "big")
            with Connection(self.server.address) as connection:
                # It is refused as soon as more has come than a login may bring, not when all of it has.
                connection.send_bytes(pdu.bytes(lengths=False) + bytes(8193))
                self.closed(connection)

    def test_login_with_additional_headers(self):
        pdu = wire.login_request(wire.encode_keys([("InitiatorName", "iqn.2026-11.test:x")]), 0, 1, 0, isid=bytes(6))
        pdu.ahs = os.urandom(1020)
        self.raw(pdu.bytes())

    def test_truncated_login_at_every_byte(self):
        pdu = wire.login_request(DISCOVERY_KEYS, 0, 1, 0, isid=bytes(6)).bytes()
        for length in range(0, len(pdu), 3):
            with Connection(self.server.address) as connection:
                connection.send_bytes(pdu[:length])

    def test_login_with_every_flag_byte(self):
        for flags in range(0, 256, 5):
            pdu = wire.login_request(DISCOVERY_KEYS, 0, 1, 0, isid=bytes(6))
            pdu.put8(1, flags)
            self.raw(pdu.bytes(), 0.02)

    def test_very_many_keys(self):
        text = b"".join(b"X-key-%d=1\0" % i for i in range(5000))
        with Connection(self.server.address) as connection:
            session = Session(connection, self.server.target)
            with self.assertRaises((LoginFailed, Closed, Rejected)):
                session.login_step(wire.encode_keys(session.names()), 0, transit=False)
                for start in range(0, len(text), 8000):
                    session.login_step(text[start:start + 8000], 0, transit=False, more=True)
                session.login_step(b"", 0, 1)
                raise Closed("it got through, within the limits")

    # --- After login -------------------------------------------------------------------------------------------------

    def session(self, **keys):
        session = connect(self.server, keys=keys)
        self.addCleanup(session.close)
        session.test_unit_ready()
        return session

    def test_data_segment_longer_than_declared(self):
        session = self.session()
        for length in (session.target_segment + 4, 0xFFFFFF):
            session = self.session()
            pdu = wire.nop_out(session.new_itt(), session.cmd_sn, session.exp_stat_sn)
            pdu.header[5:8] = length.to_bytes(3, "big")
            session.connection.send_bytes(pdu.bytes(lengths=False))
            # Nobody may be made to wait for 16 MiB that were never agreed on.
            answers = session.connection.expect_close()
            self.assertLessEqual(len(answers), 1)

    def test_command_truncated_and_connection_closed(self):
        for length in (1, 20, 47, 48, 49, 4000, 48 + 8191):
            session = self.session()
            command = wire.scsi_command(write_16(60000, 16), 5, session.cmd_sn, session.exp_stat_sn, write=True,
                                        length=8192, data=os.urandom(8192)).bytes()
            session.connection.send_bytes(command[:length])
            (session.connection.abort if length % 2 else session.close)()
        self.assertEqual(bytes(8192), self.session().read(60000, 16), "half a command writes nothing")

    def test_random_headers(self):
        noise = random.Random(2)
        for _ in range(60):
            session = self.session()
            for _ in range(5):
                pdu = Pdu(noise.randbytes(48), noise.randbytes(noise.choice((0, 4, 512))))
                pdu.header[0] &= 0x7F
                if noise.random() < 0.8:
                    pdu.put32(24, session.cmd_sn)
                pdu.header[8:16] = wire.lun_field(1)  # not the disk that the healthy one verifies
                try:
                    session.connection.send(pdu)
                except Closed:
                    break
            session.close()

    def test_random_cdbs(self):
        noise = random.Random(3)
        session = self.session()
        for _ in range(600):
            cdb = bytearray(noise.randbytes(16))
            read = noise.choice((0, 0, 512, 4096, 65536))
            if cdb[0] in (0x0A, 0x2A, 0xAA, 0x8A, 0x41, 0x93, 0x42, 0x2E, 0x8E, 0xAE, 0x9F, 0x1B, 0x04):
                continue  # would write to, or stop, the disk that the healthy one verifies
            try:
                session.execute(bytes(cdb), read_length=read)
            except (Closed, Rejected):
                session = self.session()

    def test_random_opcodes_with_random_parameter_data(self):
        noise = random.Random(4)
        session = self.session()
        for opcode in (0x42, 0x15, 0x55, 0x5F, 0xA4, 0x83):
            for _ in range(30):
                cdb = bytes([opcode]) + noise.randbytes(6) + struct.pack(">H", 64) + bytes([0])
                try:
                    session.execute(cdb, data=b"\0\x3e\0\x30" + bytes(4) + b"\xff" * 8 + noise.randbytes(48))
                except (Closed, Rejected):
                    session = self.session()

    def test_initiator_that_never_reads(self):
        """Its answers fill the socket; nobody else waits for them, and they do not pile up in memory."""
        before = self.server.memory_kib()
        sessions = [self.session() for _ in range(8)]
        for session in sessions:
            session.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(100):
                try:
                    session.start(struct.pack(">BBQIBB", 0x88, 0, 0, 2048, 0, 0), read_length=1 << 20)
                except (socket.timeout, Closed):
                    break
        self.healthy.wait_for_rounds(20)
        self.assertLess(self.server.memory_kib() - before, 400 * 1024)

    def test_initiator_that_sends_slowly(self):
        session = self.session()
        command = wire.scsi_command(write_16(61000, 8), session.new_itt(), session.take_cmd_sn(), session.exp_stat_sn,
                                    write=True, length=4096, data=b"\x77" * 4096).bytes()
        for i in range(0, 200):
            session.connection.send_bytes(command[i:i + 1])
            time.sleep(0.002)
        session.connection.send_bytes(command[200:])
        self.assertEqual(wire.SCSI_RESPONSE, session.connection.receive().opcode)
        self.assertEqual(b"\x77" * 4096, self.session().read(61000, 8))

    def test_flood_of_pings(self):
        session = self.session()
        try:
            for _ in range(20000):
                ping = wire.nop_out(1, session.cmd_sn, session.exp_stat_sn, data=b"x" * 256)
                session.connection.send(ping)
                if select.select([session.connection.socket], [], [], 0)[0]:
                    session.connection.socket.recv(1 << 20)
        except (Closed, OSError):
            pass
        self.healthy.wait_for_rounds(5)

    def test_half_of_the_window_and_then_silence(self):
        """Writes whose data never comes hold buffers: no more than a session's share, and none once it is gone."""
        sessions = [self.session(InitialR2T="Yes", ImmediateData="No") for _ in range(16)]
        for session in sessions:
            session.answer_r2t = False
            for i in range(60):
                session.start(write_16(70000 + i, 2048), data=bytes(1 << 20))
        self.healthy.wait_for_rounds(20)
        for session in sessions:
            session.connection.abort()
        self.healthy.wait_for_rounds(20)
        self.assertLess(self.server.memory_kib(), 900 * 1024)


    # --- Digests, and an order that nobody agreed on -----------------------------------------------------------------

    def test_wrong_header_digests(self):
        """The connection ends, since nothing that follows can be trusted; nothing of the command happens."""
        for damaged in (1, 20, 47, 48, 51):
            session = self.session(HeaderDigest="CRC32C")
            command = bytearray(wire.scsi_command(write_16(62000, 1), 9, session.cmd_sn, session.exp_stat_sn,
                                                  write=True, length=512, data=b"\x11" * 512).bytes(header_digest=True))
            command[damaged] ^= 0x10
            session.connection.send_bytes(bytes(command))
            self.closed(session.connection)
        self.assertEqual(bytes(512), self.session().read(62000, 1))

    def test_wrong_data_digests(self):
        """Each is answered, nothing of it is written, and the session goes on."""
        session = self.session(DataDigest="CRC32C")
        for i in range(200):
            command = wire.scsi_command(write_16(62100 + i, 1), session.new_itt(), session.take_cmd_sn(),
                                        session.exp_stat_sn, write=True, length=512, data=b"\x22" * 512)
            damaged = bytearray(command.bytes(data_digest=True))
            damaged[48 + i] ^= 1
            session.connection.send_bytes(bytes(damaged))
            answers = {session.connection.receive().opcode for _ in range(2)}
            self.assertEqual({wire.REJECT, wire.SCSI_RESPONSE}, answers)
        self.assertEqual(bytes(200 * 512), self.session().read(62100, 200))

    def test_pdus_in_any_order(self):
        """PDUs that are each right, in an order that is not: whatever is made of them, it ends."""
        order = random.Random(5)
        for _ in range(40):
            session = self.session(InitialR2T="No", ImmediateData="No", FirstBurstLength="65536")
            pdus = []
            for i in range(4):
                itt = session.new_itt()
                pdus.append(wire.scsi_command(write_16(63000 + i * 8, 8), itt, session.cmd_sn + i, session.exp_stat_sn,
                                              write=True, length=4096, final=False))
                pdus += [wire.data_out(b"\x33" * 1024, itt, wire.RESERVED_TAG, session.exp_stat_sn, data_sn=n,
                                       offset=n * 1024, final=n == 3) for n in range(4)]
            order.shuffle(pdus)
            try:
                for pdu in pdus:
                    session.connection.send(pdu)
                session.connection.receive_bytes(1 << 20, 0.02)
            except (Closed, TimedOut):
                pass
            session.close()
        # A block has been written whole or not at all.
        blocks = self.session().read(63000, 32)
        for start in range(0, len(blocks), 512):
            self.assertIn(blocks[start:start + 512], (bytes(512), b"\x33" * 512))

    def test_half_a_pdu_and_then_silence(self):
        """Connections that stop in the midst of a PDU hold no more than their own."""
        before = self.server.memory_kib()
        sessions = [self.session() for _ in range(100)]
        for i, session in enumerate(sessions):
            command = wire.scsi_command(write_16(64000, 512), session.new_itt(), session.take_cmd_sn(),
                                        session.exp_stat_sn, write=True, length=262144, data=bytes(262144)).bytes()
            session.connection.send_bytes(command[:(i + 1) * 2048])
        self.healthy.wait_for_rounds(20)
        # A buffer of 256 KiB each, into which the data are received.
        self.assertLess(self.server.memory_kib() - before, 100 * (256 + CONNECTION_KIB + SESSION_KIB) + SANITIZERS_KIB)


class MemoryTest(unittest.TestCase):
    """Sessions that take all that they can get and give nothing back: more of them than the buffers are enough for."""

    SESSIONS = 48

    def flood(self, fill, least_kib):
        """Has `fill(session)` done for each session, while a healthy initiator goes on, in bounded memory."""
        with Server("ram:256M", options=("--threads", "1")) as server, HealthyInitiator(server) as healthy:
            sessions = [connect(server, keys={"InitialR2T": "Yes", "ImmediateData": "Yes"}) for _ in
                        range(self.SESSIONS)]
            for session in sessions:
                session.test_unit_ready()
                session.answer_r2t = False
                fill(session)
            healthy.wait_for_rounds(30)
            resident = server.memory_kib()
            bound = BASE_KIB + WORKER_KIB + (self.SESSIONS + 1) * (CONNECTION_KIB + SESSION_KIB) + SANITIZERS_KIB
            bound += 64 << 10  # what the healthy initiator, and the writes, put on the memory disk
            print(f"{resident >> 10} MiB resident, bound {bound >> 10} MiB", flush=True)
            self.assertLess(resident, bound)
            self.assertGreater(resident, least_kib, "the flood is one")
            for session in sessions:
                session.connection.abort()
            healthy.wait_for_rounds(30)
            # What they held can be had again, in any size.
            session = connect(server)
            session.write(100000, os.urandom(1 << 20))
            session.read(100000, 32768)

    def test_r2ts_that_are_never_answered(self):
        def fill(session):
            for i in range(100):
                session.start(write_16(70000 + i, 2048), data=bytes(1 << 20), unsolicited=False)

        # Buffers that wait for data are not resident before these come.
        self.flood(fill, 0)

    def test_data_that_wait_for_a_command_that_never_ends(self):
        """Early data: the ORDERED writes cannot begin before the first one has its data."""
        def fill(session):
            session.start(write_16(70000, 1), data=bytes(512), unsolicited=False)
            for i in range(16):
                session.start(write_16(80000 + i * 512, 512), data=b"\x55" * 262144, attribute=ORDERED)

        self.flood(fill, 100 << 10)

    def test_answers_that_are_never_read(self):
        def fill(session):
            session.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(100):
                session.start(struct.pack(">BBQIBB", 0x88, 0, 0, 2048, 0, 0), read_length=1 << 20)

        self.flood(fill, 100 << 10)


class ManyConnectionsTest(unittest.TestCase):
    def test_ten_thousand_connections(self):
        """Half-open ones beyond those that may log in at once are closed; sessions stay; memory is bounded."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count, idle = 10000, 1000
        if hard != resource.RLIM_INFINITY and hard < count + 200:
            self.skipTest(f"only {hard} file descriptors are allowed here")
        with Server("ram:16M", options=("--threads", "2")) as server, HealthyInitiator(server) as healthy:
            sessions = [connect(server) for _ in range(idle)]
            for session in sessions:
                session.test_unit_ready()
            with_sessions = server.memory_kib()
            connections = []
            for i in range(count - idle):
                connections.append(Connection(server.address))
                if i % 3 == 0:
                    connections[-1].send_bytes(b"\x43\x87" + bytes(30))
            healthy.wait_for_rounds(20)
            resident = server.memory_kib()
            bound = BASE_KIB + 2 * 16 * 1024 + (idle + 512) * CONNECTION_KIB + SANITIZERS_KIB
            print(f"{with_sessions >> 10} MiB resident with {idle} sessions, {resident >> 10} MiB with {count} "
                  f"connections, bound {bound >> 10} MiB", flush=True)
            self.assertLess(resident, bound)
            self.assertLess(server.descriptors(), idle + 512 + 100)
            for session in sessions[::50]:
                session.test_unit_ready()
            for connection in connections:
                connection.close()
            # As soon as they are gone, there is room again.
            deadline = time.monotonic() + environment.seconds(20)
            while True:
                try:
                    connect(server).test_unit_ready()
                    break
                except (Closed, LoginFailed, TimedOut):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.1)
            for session in sessions:
                session.close()

    def test_half_open_connections(self):
        """More than may be logging in at once: the oldest or newest are turned away, those who are in stay."""
        with Server("ram:16M") as server, HealthyInitiator(server) as healthy:
            connections = []
            try:
                for _ in range(700):
                    connections.append(Connection(server.address))
            except (OSError, Closed):
                pass
            healthy.wait_for_rounds(10)
            for connection in connections:
                connection.close()
            healthy.wait_for_rounds(10)
            # As soon as they are gone, there is room again.
            deadline = time.monotonic() + environment.seconds(20)
            while True:
                try:
                    connect(server).test_unit_ready()
                    break
                except (Closed, LoginFailed, TimedOut):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.1)

    def test_many_sessions(self):
        with Server("ram:16M", options=("--threads", "2")) as server, HealthyInitiator(server) as healthy:
            sessions = [connect(server) for _ in range(200)]
            for session in sessions:
                session.test_unit_ready()
            healthy.wait_for_rounds(10)
            for session in sessions:
                session.close()

    def test_few_descriptors(self):
        """The server runs out of file descriptors and says so, does not spin, and goes on when there are some again."""
        server = Server("ram:16M", wrapper=("prlimit", "--nofile=64:64")).start()
        try:
            with HealthyInitiator(server) as healthy:
                connections = [Connection(server.address) for _ in range(100)]
                healthy.wait_for_rounds(10)
                before = processor_seconds(server)
                time.sleep(1)
                spent = processor_seconds(server) - before
                for connection in connections:
                    connection.close()
                healthy.wait_for_rounds(10)
                self.assertLess(spent, 1.0, "more than a full processor for one second")
            connect(server).test_unit_ready()
        finally:
            server.stop()


class SlowLoginTest(unittest.TestCase):
    def test_logins_that_do_not_end_are_ended(self):
        """15 seconds from connect to full feature phase, however busy the initiator looks."""
        with Server("ram:16M") as server, HealthyInitiator(server):
            silent = Connection(server.address)
            dribbling = Connection(server.address)
            stalling = Session(Connection(server.address), server.target)
            stalling.login_step(stalling.names(), 0, transit=False)
            start = time.monotonic()
            login = wire.login_request(wire.encode_keys(stalling.names()), 0, 1, 0, isid=bytes(6)).bytes()
            for byte in login:
                if time.monotonic() - start > 12:
                    break
                dribbling.send_bytes(bytes((byte,)))
                stalling.login_step([], 0, transit=False)
                time.sleep(1)
            for connection in (silent, dribbling, stalling.connection):
                connection.expect_close(15)
            self.assertLess(time.monotonic() - start, environment.seconds(25))
            self.assertGreater(time.monotonic() - start, 10)


def processor_seconds(server):
    """User and system time of the server so far."""
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main()
