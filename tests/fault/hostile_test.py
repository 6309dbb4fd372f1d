#!/usr/bin/python3
"""Hostile and broken peers, while a healthy initiator goes on undisturbed and the server's memory stays bounded."""

import os
import pathlib
import random
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


class ManyConnectionsTest(unittest.TestCase):
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
            for i in range(14):
                dribbling.send_bytes(login[i:i + 1])
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
