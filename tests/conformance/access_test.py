#!/usr/bin/python3
"""Two paths to one disk: portal groups as target port groups (ALUA), and mode parameters that sessions share.

  AccessTest    asymmetric access states over two portals: what is reported, how they change, what each lets through
  ModeTest      MODE SELECT: what others are told, software write protection, what survives a restart
"""

import pathlib
import struct
import unittest

import environment
from initiator import Connection, Session, connect, discover
from server import Server, parse_url

TARGET = "iqn.2026-11.test:paths"
CONFIGURATION = f"""
[[portal]]
listen = "127.0.0.1:0"
group = 1
[[portal]]
listen = "127.0.0.2:0"
group = 258
[[target]]
name = "{TARGET}"
[[target.port_group]]
group = 258
state = "standby"
preferred = true
[[target.lun]]
disk = "ram:64M"
[[target.lun]]
disk = "ram:64M"
"""

OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE = range(4)
IN_STANDBY, IS_UNAVAILABLE = (2, 0x04, 0x0B), (2, 0x04, 0x0C)
STATE_CHANGED, MODE_CHANGED = (6, 0x2A, 0x06), (6, 0x2A, 0x01)
SOFTWARE_WRITE_PROTECTED = (7, 0x27, 0x02)


def sense(result):
    return result.sense_key, result.asc, result.ascq


def set_groups(session, *changes):
    data = bytes(4) + b"".join(struct.pack(">BBH", state, 0, group) for state, group in changes)
    cdb = bytes([0xA4, 0x0A, 0, 0, 0, 0]) + struct.pack(">I", len(data)) + bytes(2)
    return session.execute(cdb, data=data)


def groups(session):
    """{group: (state, preferred, status, ports)} as REPORT TARGET PORT GROUPS says."""
    cdb = bytes([0xA3, 0x0A, 0, 0, 0, 0]) + struct.pack(">I", 1024) + bytes(2)
    data = session.check(cdb, read_length=1024).data
    found, at = {}, 4
    while at < 4 + struct.unpack_from(">I", data)[0]:
        flags, _, group, _, status, _, count = struct.unpack_from(">BBHBBBB", data, at)
        ports = [struct.unpack_from(">H", data, at + 8 + 4 * i + 2)[0] for i in range(count)]
        found[group] = (flags & 0xF, bool(flags & 0x80), status, ports)
        at += 8 + 4 * count
    return found


class AccessTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / "peerlane.toml"
        path.write_text(f"[service]\nthreads = {environment.threads()}\n{CONFIGURATION}")
        self.server = Server(config=path, luns=4).start()
        self.addCleanup(self.server.stop)
        addresses = {host: (host, port) for host, port, _, _ in map(parse_url, self.server.urls)}
        self.addresses = [addresses["127.0.0.1"], addresses["127.0.0.2"]]
        self.first, self.second = (self.log_in(address) for address in self.addresses)

    def log_in(self, address):
        session = Session(Connection(address), TARGET).login()
        self.server.clients.append(session)
        for lun in (0, 1):
            session.execute(bytes(6), lun=lun)  # the unit attention of a new nexus
        return session

    def test_send_targets_lists_both_with_their_groups(self):
        expected = {f"{host}:{port},{group}" for (host, port), group in zip(self.addresses, (1, 258))}
        found = {value for key, value in discover(self.addresses[0]) if key == "TargetAddress"}
        self.assertEqual(found, expected)

    def test_each_path_knows_its_port(self):
        for session, group in ((self.first, 1), (self.second, 258)):
            data = session.check(bytes([0x12, 1, 0x83, 4, 0, 0]), read_length=1024).data
            self.assertIn(b"\x51\x94\0\4\0\0" + struct.pack(">H", group), data)  # relative target port
            self.assertIn(b"\x51\x95\0\4\0\0" + struct.pack(">H", group), data)  # target port group
            self.assertIn(f"{TARGET},t,0x{group:04x}".encode(), data)
            standard = session.check(bytes([0x12, 0, 0, 0, 96, 0]), read_length=96).data
            self.assertEqual(standard[5] & 0x30, 0x30)  # TPGS
            self.assertEqual(standard[6] & 0x10, 0x10)  # MULTIP

    def test_states_are_as_configured(self):
        expected = {1: (OPTIMIZED, False, 0, [1]), 258: (STANDBY, True, 0, [258])}
        self.assertEqual(groups(self.first), expected)
        self.assertEqual(groups(self.second), expected)
        self.first.write(0, bytes(512))
        self.assertEqual(sense(self.second.execute(bytes(6))), IN_STANDBY)
        self.assertEqual(sense(self.second.execute(struct.pack(">BBQIBB", 0x88, 0, 0, 1, 0, 0), read_length=512)),
                         IN_STANDBY)

    def test_switching_over(self):
        self.first.write(0, b"x" * 512)
        self.assertEqual(set_groups(self.second, (STANDBY, 1), (OPTIMIZED, 258)).status, 0)
        self.assertEqual(self.second.read(0, 1), b"x" * 512)
        self.assertEqual(sense(self.first.execute(bytes(6))), STATE_CHANGED)
        self.assertEqual(sense(self.first.execute(bytes(6))), IN_STANDBY)
        self.assertEqual(groups(self.first), {1: (STANDBY, False, 1, [1]), 258: (OPTIMIZED, True, 1, [258])})
        # It concerns the one logical unit.
        self.assertEqual(self.first.execute(bytes(6), lun=1).status, 0)
        self.assertEqual(sense(self.second.execute(bytes(6), lun=1)), IN_STANDBY)

    def test_unavailable_answers_what_leads_out_of_it(self):
        self.assertEqual(set_groups(self.first, (UNAVAILABLE, 1)).status, 0)
        self.assertEqual(sense(self.first.execute(bytes(6))), IS_UNAVAILABLE)
        mode_sense = bytes([0x1A, 0, 0x3F, 0, 255, 0])
        self.assertEqual(sense(self.first.execute(mode_sense, read_length=255)), IS_UNAVAILABLE)
        self.assertEqual(self.first.execute(bytes([0x12, 0, 0, 0, 96, 0]), read_length=96).status, 0)
        self.assertEqual(groups(self.first)[1][0], UNAVAILABLE)
        self.assertEqual(set_groups(self.first, (NON_OPTIMIZED, 1)).status, 0)
        self.first.write(0, bytes(512))

    def test_commands_under_way_while_states_change(self):
        """Whatever happens to the state, each command either succeeds or says that the port is in standby."""
        for round_number in range(50):
            tasks = [self.first.start(struct.pack(">BBQIBB", 0x88, 0, lba, 8, 0, 0), read_length=4096)
                     for lba in range(8)]
            state = STANDBY if round_number % 2 == 0 else OPTIMIZED
            self.assertEqual(set_groups(self.second, (state, 1)).status, 0)
            for task in tasks:
                result = self.first.wait(task)
                self.assertTrue(result.status == 0 or sense(result) in (IN_STANDBY, STATE_CHANGED), sense(result))


def control_page(session):
    """The control mode page."""
    return bytearray(session.check(bytes([0x1A, 8, 0x0A, 0, 255, 0]), read_length=255).data[4:])


def caching_page(session):
    return bytearray(session.check(bytes([0x1A, 8, 0x08, 0, 255, 0]), read_length=255).data[4:])


def mode_select(session, page, save=False):
    data = bytes(4) + bytes(page)
    return session.execute(bytes([0x15, 0x10 | save, 0, 0, len(data), 0]), data=data)


class ModeTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.disk = pathlib.Path(directory.name) / "disk"
        with open(self.disk, "wb") as file:
            file.truncate(16 << 20)
        self.options = ("--state", str(pathlib.Path(directory.name) / "state"), "--target-name", TARGET)

    def serve(self):
        return Server(self.disk, options=self.options)

    def test_software_write_protection_is_for_all(self):
        with self.serve() as server:
            one, other = connect(server), connect(server)
            one.write(0, bytes(512)), other.write(0, bytes(512))
            page = control_page(one)
            page[4] |= 0x08
            self.assertEqual(mode_select(one, page).status, 0)
            write = struct.pack(">BBQIBB", 0x8A, 0, 0, 1, 0, 0)
            self.assertEqual(sense(other.execute(write, data=bytes(512))), MODE_CHANGED)
            for session in (one, other):
                self.assertEqual(sense(session.execute(write, data=bytes(512))), SOFTWARE_WRITE_PROTECTED)
                session.read(0, 1)
            self.assertEqual(control_page(other)[4] & 0x08, 0x08)

    def test_sense_data_have_the_format_that_was_chosen(self):
        beyond = struct.pack(">BBQIBB", 0x88, 0, 1 << 40, 1, 0, 0)
        with self.serve() as server:
            session = connect(server)
            session.test_unit_ready()
            self.assertEqual(session.execute(beyond, read_length=512).sense[0] & 0x7F, 0x70)
            page = control_page(session)
            page[2] |= 0x04
            self.assertEqual(mode_select(session, page).status, 0)
            self.assertEqual(session.execute(beyond, read_length=512).sense[0], 0x72)

    def test_what_is_saved_survives_even_a_kill(self):
        server = self.serve().start()
        session = connect(server)
        page = caching_page(session)
        self.assertEqual(page[0] & 0x80, 0x80)  # PS
        self.assertEqual(page[2] & 0x04, 0x04)  # WCE
        page[0] &= 0x7F
        page[2] &= ~0x04
        session.test_unit_ready()
        self.assertEqual(mode_select(session, page, save=True).status, 0)
        control = control_page(session)
        control[0] &= 0x7F
        control[2] |= 0x04
        self.assertEqual(mode_select(session, control).status, 0)  # not saved
        server.kill()
        with self.serve() as again:
            session = connect(again)
            self.assertEqual(caching_page(session)[2] & 0x04, 0)
            self.assertEqual(control_page(session)[2] & 0x04, 0)

    def test_identifying_information_survives(self):
        text = "shelf 3, disk 4\0".encode()
        with self.serve() as server:
            session = connect(server)
            session.test_unit_ready()
            session.check(bytes([0xA4, 6, 0, 0, 0, 0, 0, 0, 0, len(text), 2, 0]), data=text)
        with self.serve() as server:
            cdb = bytes([0xA3, 5, 0, 0, 0, 0, 0, 0, 1, 4, 2, 0])
            self.assertEqual(connect(server).check(cdb, read_length=260).data[4:], text)


if __name__ == "__main__":
    unittest.main()
