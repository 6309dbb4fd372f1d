#!/usr/bin/python3
"""Copies between targets: a client asks A for a copy from B, and the data go from B to A. Three hosts, made of network
namespaces, so that it shows who has sent what to whom."""

import os
import pathlib
import re
import socket
import struct
import subprocess
import time
import unittest

import environment
import extended_copy as xcopy
import reservations as pr
from initiator import Connection, Session
from netns import Hosts
from server import Server
from tokens import (DONE_PARTLY_USED, DONE_RESIDUAL, populate_token, token_information, write_list,
                    write_using_token)

ALICE, BOB = "iqn.2026-11.test:alice", "iqn.2026-11.test:bob"
A, B = "iqn.2026-11.test:a", "iqn.2026-11.test:b"
SECRET = "only a and b know this"
BLOCK = xcopy.BLOCK
MIB = 1 << 20
PIECE = 64 << 10  # what one request of a copy is a multiple of
BLOCKS = 64 * MIB // BLOCK
COPY_ABORTED, ILLEGAL_REQUEST = 0x0A, 5
FAILURE, NOT_REACHABLE, WRITE_PROTECTED = 0x0D01, 0x0D02, 0x2700
REMOTE_TOKENS, TOKEN_UNKNOWN, TOKEN_REVOKED = 0x2302, 0x2304, 0x2306
ABORT_TASK, COMPLETE = 1, 0
DONE, FAILED = 1, 2

# What docs/third-party-copy.md promises: so long until a copy ends whose network has gone.
CUT_SECONDS = 15

SERVICE = """
[service]
threads = {threads}
allow_anonymous = true
"""
PORTAL = """
[[portal]]
listen = "{}"
"""
TARGET = """
[[target]]
name = "{}"
"""
LUN = """
[[target.lun]]
disk = "{}"
"""
CHAP = """
[target.chap]
accounts = [{{ name = "a", secret = "{}" }}]
"""
PEER = """
[[peer]]
target = "{target}"
portal = "{portal}"
{more}
[peer.chap]
account = {{ name = "a", secret = "{secret}" }}
"""


def portal(address):
    """As configurations and URLs have it, at the port where all listen here."""
    return f"[{address}]:3260" if ":" in address else f"{address}:3260"


@unittest.skipIf(Hosts.missing(), Hosts.missing())
class ThreeHosts(unittest.TestCase):
    # The networks that join them; of two hosts the first one has 1 behind it, the other one 2.
    CLIENT_A, A_B, CLIENT_B = "10.99.1.", "10.99.2.", "10.99.3."

    def setUp(self):
        self.hosts = self.enterContext(Hosts("client", "a", "b"))
        self.hosts.join("client", "a", self.CLIENT_A)
        self.hosts.join("a", "b", self.A_B)
        self.hosts.join("client", "b", self.CLIENT_B)
        self.directory = pathlib.Path(self.enterContext(environment.scratch()))
        self.running = []
        self.addCleanup(self.kill_all)
        self.b = self.serve_b()

    def kill_all(self):
        for server in self.running:
            if server.alive():
                server.kill()

    # --- Servers and sessions ----------------------------------------------------------------------------------------

    def serve(self, host, name, text, urls):
        config = self.directory / f"{host}.toml"
        config.write_text(SERVICE.format(threads=environment.threads()) + text, encoding="utf-8")
        config.chmod(0o600)
        server = Server(config=config, luns=urls, wrapper=self.hosts.wrapper(host))
        server.start()
        self.running.append(server)
        return server

    def serve_b(self, disks=("ram:64M", "ram:1M"), name=B):
        text = "".join(PORTAL.format(portal(network + "2")) for network in (self.A_B, self.CLIENT_B))
        text += TARGET.format(name) + CHAP.format(SECRET)
        return self.serve("b", name, text + "".join(map(LUN.format, disks)), 2 * len(disks))

    def serve_a(self, secret=SECRET, more="", target=B):
        text = PORTAL.format(portal(self.CLIENT_A + "2")) + TARGET.format(A) + LUN.format("ram:64M") * 2
        peer = PEER.format(target=target, portal=portal(self.A_B + "2"), secret=secret, more=more)
        return self.serve("a", A, text + peer, 2)

    def serve_alone(self):
        """A, which knows no peers."""
        text = PORTAL.format(portal(self.CLIENT_A + "2")) + TARGET.format(A) + LUN.format("ram:1M") * 2
        return self.serve("a", A, text, 2)

    def stop(self, *servers):
        for server in servers:
            server.stop()

    def log_in(self, server, address, name=ALICE, chap=None):
        with self.hosts.inside("client"):
            connection = Connection((address, 3260), timeout=40)
        session = Session(connection, A if server is not self.b else B, initiator=name, chap=chap)
        server.clients.append(session)
        session.login()
        for lun in range(2):
            session.execute(bytes(6), lun=lun)
        return session

    def at_a(self, server, name=ALICE):
        return self.log_in(server, self.CLIENT_A + "2", name)

    def at_b(self):
        return self.log_in(self.b, self.CLIENT_B + "2", chap=("a", SECRET))

    def fill(self, session, lun=0, mebibytes=64):
        """Writes random data; the data."""
        data = os.urandom(mebibytes * MIB)
        for at in range(0, len(data), MIB):
            session.write(at // BLOCK, data[at:at + MIB], lun=lun)
        return data

    def content(self, session, lun=0, mebibytes=64):
        return b"".join(session.read(at * MIB // BLOCK, MIB // BLOCK, lun=lun) for at in range(mebibytes))

    # --- Copies ------------------------------------------------------------------------------------------------------

    def b_unit(self, lun=0):
        """B's LUN as a CSCD descriptor."""
        return xcopy.identification(xcopy.naa_of(self.at_b(), lun))

    def with_data_at_b(self):
        """1 MiB on LUN 1 of B; that, A, a session with it, and its unit that can be copied to."""
        data = self.fill(self.at_b(), lun=1, mebibytes=1)
        a = self.serve_a()
        session = self.at_a(a)
        return data, a, session, self.a_unit(session)

    def a_unit(self, session, lun=0):
        return xcopy.identification(xcopy.naa_of(session, lun))

    def segments(self, blocks=BLOCKS, source=0, destination=1):
        most = 65535
        return [xcopy.blocks_to_blocks(source, destination, min(most, blocks - at), at, at)
                for at in range(0, blocks, most)]

    def parameters(self, source, destination, blocks=BLOCKS):
        return xcopy.lid1([source, destination], self.segments(blocks), identifier=1, usage=0)

    def copy(self, session, source, destination, blocks=BLOCKS):
        parameters = self.parameters(source, destination, blocks)
        return session.execute(xcopy.extended_copy(parameters), data=parameters)

    def refused(self, result, code, key=COPY_ABORTED):
        self.assertEqual((2, key, code), (result.status, result.sense_key, result.asc << 8 | result.ascq))

    def logins_at_b(self):
        return len(re.findall(r"session .* began", self.b.log()))

    def copy_with_peerlane(self):
        """The command, which has A do it."""
        data = self.fill(self.at_b())
        a = self.serve_a()
        session = self.at_a(a)
        before = self.hosts.bytes("client")
        places = ((self.CLIENT_B, B), (self.CLIENT_A, A))
        urls = [f"iscsi://{portal(network + '2')}/{name}/0" for network, name in places]
        done = subprocess.run([*self.hosts.wrapper("client"), environment.peerlane(), "copy", *urls],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=environment.seconds(60),
                              env={**os.environ, "PEERLANE_CHAP_USER": "a", "PEERLANE_CHAP_SECRET": SECRET})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn(f"third-party copy from the target {B} to {A} by EXTENDED COPY", done.stdout)
        self.assertLess(self.hosts.bytes("client") - before, 512 << 10)
        self.assertEqual(data, self.content(session))
        self.stop(a, self.b)


class PeersTest(ThreeHosts):
    def test_the_client_carries_commands_only(self):
        data = self.fill(self.at_b())
        source = self.b_unit()
        a = self.serve_a()
        session = self.at_a(a)
        destination = self.a_unit(session)
        before, between = self.hosts.bytes("client"), self.hosts.bytes("b")
        self.assertEqual(0, self.copy(session, source, destination).status)
        self.assertLess(self.hosts.bytes("client") - before, 64 << 10)
        self.assertGreater(self.hosts.bytes("b") - between, len(data))
        self.assertEqual((DONE, 3, len(data)), xcopy.copy_status(session, 1))
        self.assertEqual(data, self.content(session))
        self.assertNotIn(SECRET, a.log())
        self.stop(a, self.b)

    def test_peerlane_copy_has_the_targets_do_it(self):
        self.copy_with_peerlane()

    def test_by_address_and_lun(self):
        data, a, session, destination = self.with_data_at_b()
        source = xcopy.ipv4("10.99.2.2", 3260, 1)
        self.assertEqual(0, self.copy(session, source, destination, MIB // BLOCK).status)
        self.assertEqual(data, self.content(session, mebibytes=1))
        self.refused(self.copy(session, xcopy.ipv4("10.99.2.2", 3260, 9), destination, 1), NOT_REACHABLE)
        self.refused(self.copy(session, xcopy.ipv4("10.99.2.2", 3260, 1, protocol=17), destination, 1), NOT_REACHABLE)
        self.stop(a, self.b)

    def test_one_login_serves_many_copies(self):
        source = self.b_unit()
        a = self.serve_a()
        session = self.at_a(a)
        destination = self.a_unit(session)
        before = self.logins_at_b()
        for _ in range(5):
            self.assertEqual(0, self.copy(session, source, destination, 100).status)
        self.assertEqual(before + 1, self.logins_at_b())
        self.stop(a, self.b)

    def test_a_cut_in_the_middle_is_an_error_and_the_next_copy_is_good(self):
        data = self.fill(self.at_b())
        source = self.b_unit()
        a = self.serve_a()
        session = self.at_a(a)
        parameters = self.parameters(source, self.a_unit(session))
        self.hosts.slow("b", "a", "150mbit")
        task = session.start(xcopy.extended_copy(parameters), data=parameters)
        time.sleep(1)
        self.hosts.cut("a", "b")
        began = time.monotonic()
        result = session.wait(task, environment.seconds(CUT_SECONDS))
        print(f"a cut was noticed after {time.monotonic() - began:.1f} s")
        self.refused(result, FAILURE)
        status, segments, count = xcopy.copy_status(session, 1)
        self.assertEqual((FAILED, 0), (status, segments))
        # As many bytes as it says are at the destination, and nothing but them.
        now = self.content(session)
        pieces = [(now[at:at + PIECE], data[at:at + PIECE]) for at in range(0, len(data), PIECE)]
        self.assertEqual(count, PIECE * sum(there == wanted for there, wanted in pieces))
        self.assertTrue(0 < count < len(data), count)
        self.assertFalse(any(any(there) for there, wanted in pieces if there != wanted))
        self.hosts.mend("a", "b")
        began = time.monotonic()
        self.assertEqual(0, self.copy(session, source, self.a_unit(session)).status)
        print(f"the copy after it took {time.monotonic() - began:.1f} s")
        self.assertEqual(data, self.content(session))
        self.stop(a, self.b)

    def test_a_short_interruption_is_not_noticed(self):
        data = self.fill(self.at_b())
        source = self.b_unit()
        a = self.serve_a()
        session = self.at_a(a)
        parameters = self.parameters(source, self.a_unit(session))
        self.hosts.slow("b", "a", "150mbit")
        task = session.start(xcopy.extended_copy(parameters), data=parameters)
        time.sleep(0.5)
        self.hosts.cut("a", "b")
        time.sleep(1)  # TCP makes good for that
        self.hosts.mend("a", "b")
        time.sleep(0.5)
        self.hosts.cut("a", "b")
        a.wait_for_log("waiting to connect again")  # and this takes a new login
        self.hosts.mend("a", "b")
        self.assertEqual(0, session.wait(task, environment.seconds(30)).status)
        self.assertEqual(data, self.content(session))
        self.stop(a, self.b)

    def test_a_silent_peer_keeps_neither_an_abort_nor_the_end_waiting(self):
        self.fill(self.at_b(), mebibytes=8)
        source = self.b_unit()
        a = self.serve_a()
        session = self.at_a(a)
        parameters = self.parameters(source, self.a_unit(session))
        self.hosts.slow("b", "a", "20mbit")
        task = session.start(xcopy.extended_copy(parameters), data=parameters)
        time.sleep(1)
        self.hosts.cut("a", "b")
        began = time.monotonic()
        self.assertEqual(COMPLETE, session.manage(ABORT_TASK, task=task))
        self.assertLess(time.monotonic() - began, environment.seconds(4))
        a.stop()
        self.b.stop()

    def test_nothing_is_connected_to_that_is_not_listed(self):
        a = self.serve_a()
        session = self.at_a(a)
        destination = self.a_unit(session)
        listeners = []
        for host, address, port in (("b", "10.99.2.2", 3261), ("client", "10.99.1.1", 3260)):
            with self.hosts.inside(host):
                listener = socket.create_server((address, port))
            listener.settimeout(0.5)
            self.addCleanup(listener.close)
            listeners.append(listener)
            self.refused(self.copy(session, xcopy.ipv4(address, port, 0), destination, 1), NOT_REACHABLE)
        # The other address of B, too, which is not the one that is listed.
        before = self.logins_at_b()
        self.refused(self.copy(session, xcopy.ipv4("10.99.3.2", 3260, 0), destination, 1), NOT_REACHABLE)
        self.assertEqual(before, self.logins_at_b())
        for listener in listeners:
            with self.assertRaises(TimeoutError):
                listener.accept()
        # A name that nobody has is looked for at listed peers only.
        self.refused(self.copy(session, xcopy.identification(b"\x33" * 8), destination, 1), NOT_REACHABLE)
        self.stop(a, self.b)

    def test_a_peer_that_is_down(self):
        source = self.b_unit()
        a = self.serve_a()
        session = self.at_a(a)
        destination = self.a_unit(session)
        self.b.stop()
        began = time.monotonic()
        self.refused(self.copy(session, source, destination, 1), NOT_REACHABLE)
        self.assertLess(time.monotonic() - began, environment.seconds(8))
        self.b = self.serve_b()
        time.sleep(1)
        self.assertEqual(0, self.copy(session, source, destination, 1).status)
        self.stop(a, self.b)

    def test_a_wrong_secret(self):
        source = self.b_unit()
        a = self.serve_a(secret="some other secret")
        session = self.at_a(a)
        self.refused(self.copy(session, source, self.a_unit(session), 1), NOT_REACHABLE)
        self.assertNotIn("some other secret", a.log())
        self.stop(a, self.b)

    def test_a_unit_that_has_gone_or_changed(self):
        gone = self.b_unit(1)
        a = self.serve_a()
        session = self.at_a(a)
        destination = self.a_unit(session)
        self.assertEqual(0, self.copy(session, gone, destination, 1).status)
        self.b.stop()
        self.b = self.serve_b(disks=("ram:64M",))
        time.sleep(1.5)
        self.refused(self.copy(session, gone, destination, 1), NOT_REACHABLE)
        self.assertEqual(0, self.copy(session, self.b_unit(), destination, 1).status)
        self.stop(a, self.b)

    def test_bounds_of_the_other_disk(self):
        small = self.b_unit(1)
        a = self.serve_a()
        session = self.at_a(a)
        destination = self.a_unit(session)
        self.refused(self.copy(session, small, destination, MIB // BLOCK + 1), NOT_REACHABLE)
        self.assertEqual(0, self.copy(session, small, destination, MIB // BLOCK).status)
        self.stop(a, self.b)

    def test_a_peer_is_written_only_if_that_is_meant(self):
        unit = self.b_unit()
        b_session = self.at_b()
        for more, writable in (("", False), ("writable = true", True)):
            a = self.serve_a(more=more)
            session = self.at_a(a)
            data = self.fill(session, mebibytes=4)
            result = self.copy(session, self.a_unit(session), unit, 4 * MIB // BLOCK)
            if writable:
                self.assertEqual(0, result.status)
                self.assertEqual(data, self.content(b_session, mebibytes=4))
            else:
                self.refused(result, WRITE_PROTECTED)
                self.assertFalse(any(self.content(b_session, mebibytes=4)))
            a.stop()
        self.b.stop()

    def test_who_may_use_a_peer(self):
        source = self.b_unit()
        a = self.serve_a(more=f'initiators = ["{ALICE}"]')
        before = self.logins_at_b()
        bob = self.at_a(a, BOB)
        self.refused(self.copy(bob, source, self.a_unit(bob), 1), NOT_REACHABLE)
        self.refused(self.copy(bob, xcopy.ipv4("10.99.2.2", 3260, 0), self.a_unit(bob), 1), NOT_REACHABLE)
        self.assertEqual(before, self.logins_at_b())
        alice = self.at_a(a)
        self.assertEqual(0, self.copy(alice, source, self.a_unit(alice), 1).status)
        self.stop(a, self.b)

    def test_a_service_without_peers(self):
        source = self.b_unit()
        a = self.serve_alone()
        session = self.at_a(a)
        before = self.logins_at_b()
        for unit in (source, xcopy.ipv4("10.99.2.2", 3260, 0)):
            self.refused(self.copy(session, unit, self.a_unit(session), 1), NOT_REACHABLE)
        self.assertEqual(before, self.logins_at_b())
        self.stop(a, self.b)

    # --- Tokens that B has made, used at A ---------------------------------------------------------------------------

    def token_of_b(self, session, ranges, lun=0):
        self.assertEqual(0, populate_token(session, 77, ranges, lun=lun).status)
        return token_information(session, 77, lun=lun).token

    def test_a_token_of_another_target(self):
        b_session = self.at_b()
        data = self.fill(b_session)
        a = self.serve_a()
        session = self.at_a(a)
        before = self.hosts.bytes("client")
        token = self.token_of_b(b_session, [(BLOCKS // 2, BLOCKS // 2), (0, BLOCKS // 2)])
        self.assertEqual(0, write_using_token(session, 5, token, [(100, 50), (0, 100), (150, BLOCKS - 150)]).status)
        information = token_information(session, 5)
        self.assertEqual((DONE, BLOCKS), (information.status, information.count))
        self.assertLess(self.hosts.bytes("client") - before, 64 << 10)
        halves = data[len(data) // 2:] + data[:len(data) // 2]
        expected = halves[50 * BLOCK:150 * BLOCK] + halves[:50 * BLOCK] + halves[150 * BLOCK:]
        self.assertEqual(expected, self.content(session))
        self.assertNotIn(token[256:].hex(), a.log() + self.b.log())
        # A part of it, and more than it has.
        self.assertEqual(0, write_using_token(session, 6, token, [(0, 8)], offset=3).status)
        self.assertEqual(DONE_PARTLY_USED, token_information(session, 6).status)
        self.assertEqual(halves[3 * BLOCK:11 * BLOCK], session.read(0, 8))
        self.assertEqual(0, write_using_token(session, 7, token, [(0, 8)], offset=BLOCKS - 2).status)
        information = token_information(session, 7)
        self.assertEqual((DONE_RESIDUAL, 2), (information.status, information.count))
        self.refused(write_using_token(session, 8, token, [(0, 8)], offset=BLOCKS), 0x2600, ILLEGAL_REQUEST)
        self.stop(a, self.b)

    def test_a_token_of_another_target_whose_data_have_changed(self):
        b_session = self.at_b()
        data = self.fill(b_session, mebibytes=32)
        a = self.serve_a()
        session = self.at_a(a)
        blocks = 32 * MIB // BLOCK
        token = self.token_of_b(b_session, [(0, blocks)])
        self.hosts.slow("b", "a", "150mbit")
        task = session.start(struct.pack(">BB4xIIxx", 0x83, 0x11, 9, 552),
                             data=write_list(token, [(0, blocks)]))
        time.sleep(1)
        b_session.write(blocks - 1, bytes(BLOCK))
        self.refused(session.wait(task, environment.seconds(20)), TOKEN_REVOKED)
        information = token_information(session, 9)
        self.assertEqual(FAILED, information.status)
        self.assertTrue(0 <= information.count < blocks, information.count)
        there = information.count * BLOCK
        self.assertEqual(data[:there], self.content(session, mebibytes=32)[:there])
        self.refused(write_using_token(session, 10, token, [(8192, 1)]), TOKEN_REVOKED, ILLEGAL_REQUEST)
        self.stop(a, self.b)

    def test_tokens_of_other_targets_that_are_refused(self):
        b_session = self.at_b()
        data = self.fill(b_session, mebibytes=1)
        token = self.token_of_b(b_session, [(0, 64)])
        a = self.serve_alone()
        session = self.at_a(a)
        self.refused(write_using_token(session, 1, token, [(0, 1)]), REMOTE_TOKENS, ILLEGAL_REQUEST)
        a.stop()
        a = self.serve_a(more=f'initiators = ["{ALICE}"]')
        session, bob = self.at_a(a), self.at_a(a, BOB)
        self.refused(write_using_token(bob, 1, token, [(0, 1)]), NOT_REACHABLE)
        # Each bit counts, whether A looks at it or not.
        for at in (8, 18, 52, 120, 160, 256, 271, 272, 511):
            guess = bytearray(token)
            guess[at] ^= 1
            result = write_using_token(session, 1, bytes(guess), [(0, 1)])
            self.assertIn((result.status, result.sense_key, result.asc << 8 | result.ascq),
                          ((2, ILLEGAL_REQUEST, TOKEN_UNKNOWN), (2, COPY_ABORTED, NOT_REACHABLE)), at)
        self.assertFalse(any(self.content(session, mebibytes=1)))
        # Somebody else reserves the disk at B.
        carol = self.log_in(self.b, "10.99.3.2", name="iqn.2026-11.test:carol", chap=("a", SECRET))
        pr.reserve_out(carol, pr.REGISTER, action_key=1)
        pr.reserve_out(carol, pr.RESERVE, key=1, kind=pr.EXCLUSIVE_ACCESS)
        self.refused(write_using_token(session, 1, token, [(0, 1)]), NOT_REACHABLE)
        pr.reserve_out(carol, pr.RELEASE, key=1, kind=pr.EXCLUSIVE_ACCESS)
        self.assertEqual(0, write_using_token(session, 1, token, [(0, 64)]).status)
        self.assertEqual(data[:64 * BLOCK], session.read(0, 64))
        self.b.stop()
        self.refused(write_using_token(session, 1, token, [(0, 1)]), NOT_REACHABLE)
        self.stop(a)


class PeersOverIpv6Test(ThreeHosts):
    CLIENT_A, A_B, CLIENT_B = "fd00:99:1::", "fd00:99:2::", "fd00:99:3::"

    def test_peerlane_copy_has_the_targets_do_it(self):
        self.copy_with_peerlane()

    def test_by_address_and_lun(self):
        data, a, session, destination = self.with_data_at_b()

        def copy(source):
            parameters = xcopy.lid1([destination, source], self.segments(MIB // BLOCK, 1, 0), identifier=1, usage=0)
            return session.execute(xcopy.extended_copy(parameters), data=parameters)

        self.assertEqual(0, copy(xcopy.ipv6(self.A_B + "2", 3260, 1)).status)
        self.assertEqual(data, self.content(session, mebibytes=1))
        # Not listed: B's other address, another port.
        self.refused(copy(xcopy.ipv6(self.CLIENT_B + "2", 3260, 1)), NOT_REACHABLE)
        self.refused(copy(xcopy.ipv6(self.A_B + "2", 3261, 1)), NOT_REACHABLE)
        self.stop(a, self.b)


if __name__ == "__main__":
    unittest.main()
