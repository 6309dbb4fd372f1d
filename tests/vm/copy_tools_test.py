#!/usr/bin/python3
"""Copies that sg3_utils and ddpt ask a target for, through Linux's own initiator. What the disks have afterwards is
compared as a whole, so that a block too many is found as well."""

import os
import pathlib
import unittest

import environment
import reservations as pr
from initiator import connect
from machine import Machine
from open_iscsi import OpenIscsi
from server import Server, parse_url

MIB = 1 << 20
TARGET = "iqn.2026-11.test:copies"
CONFIGURATION = """
[[portal]]
listen = "127.0.0.1:0"
[[target]]
name = "iqn.2026-11.test:copies"
"""
LUN = """
[[target.lun]]
disk = "{name}.img"
block_size = {block}
"""
SIZES = {"source": 40 * MIB, "destination": 40 * MIB, "small": 2 * MIB, "big_source": 8 * MIB, "big": 8 * MIB}
BLOCKS = {"big_source": 4096, "big": 4096}

# Exit statuses of sg3_utils, and of ddpt: sg3_utils(8), EXIT STATUS.
ILLEGAL_REQUEST, COPY_ABORTED, RESERVATION_CONFLICT, TOKEN_UNKNOWN, TOKEN_REVOKED = 5, 10, 24, 114, 116

# Of copies of blocks of 512 bytes: (blocks, from, to, blocks of a command). A segment descriptor holds 65535 blocks.
SHAPES = ((1, 0, 0, None), (1000, 7, 13, 128), (4097, 1, 70000, 1000), (65535, 9, 4, None), (65552, 3, 5, None),
          (16, 81904, 81904, None))


class World:
    """What the tests share: one server, one guest, and its session."""

    guest = directory = server = None
    disks = {}    # generic devices by name


def setUpModule():
    World.directory = pathlib.Path(unittest.enterModuleContext(environment.scratch()))
    configuration = CONFIGURATION
    for name, size in SIZES.items():
        (World.directory / f"{name}.img").write_bytes(os.urandom(size))
        configuration += LUN.format(name=name, block=BLOCKS.get(name, 512))
    path = World.directory / "peerlane.toml"
    path.write_text(configuration, encoding="utf-8")
    World.server = unittest.enterModuleContext(Server(config=path, luns=len(SIZES)))
    World.guest = unittest.enterModuleContext(Machine())
    session = OpenIscsi(World.guest).log_in(TARGET, parse_url(World.server.url)[1])
    for lun, name in enumerate(SIZES):
        disk = session.disk(lun).removeprefix("/dev/")
        World.disks[name] = "/dev/" + World.guest.run(f"ls /sys/block/{disk}/device/scsi_generic").strip()


class CopyToolsTest(unittest.TestCase):
    def setUp(self):
        # Whatever an earlier test has left, the destinations are known before each.
        self.expected = {name: bytearray(self.on_disk(name)) for name in SIZES}
        for disk in World.disks.values():
            World.guest.run(f"sg_turs --num=8 {disk} || true")

    def on_disk(self, name):
        """What the host's file has."""
        return (World.directory / f"{name}.img").read_bytes()

    def unchanged_but_as_expected(self):
        for name in SIZES:
            self.assertTrue(self.expected[name] == self.on_disk(name), f"{name} has other data")

    def moved(self, source, destination, count, skip, seek, block=512):
        """Tells what a copy does to the destination."""
        piece = self.expected[source][skip * block:(skip + count) * block]
        self.expected[destination][seek * block:(seek + count) * block] = piece

    def ask(self, command, status=0, guest=None):
        """Runs a command in the guest, or another one, in which {name} is a disk; what it says."""
        ended, output = (guest or World.guest).run(command.format(**World.disks), 120, check=False)
        self.assertEqual(status, ended, f"{command}\n{output}")
        return output

    def fill(self, name):
        """New data on a disk, from the host."""
        self.expected[name][:] = os.urandom(SIZES[name])
        with open(World.directory / f"{name}.img", "r+b") as file:
            file.write(self.expected[name])
            os.fsync(file.fileno())


class ExtendedCopyTest(CopyToolsTest):
    def copies(self, command, shapes=SHAPES):
        """`command` once for each of the shapes."""
        for count, skip, seek, at_once in shapes:
            with self.subTest(count=count, skip=skip, seek=seek, at_once=at_once):
                self.fill("source")
                bpt = f"bpt={at_once}" if at_once else ""
                self.ask(f"{command} count={count} skip={skip} seek={seek} {bpt}")
                self.moved("source", "destination", count, skip, seek)
                self.unchanged_but_as_expected()

    def test_sg_xcopy(self):
        self.copies("sg_xcopy if={source} of={destination} bs=512")

    def test_sg_xcopy_asks_the_source(self):
        self.copies("sg_xcopy --on_src if={source} of={destination} bs=512")

    def test_ddpt(self):
        """ddpt 0.97 asks for the same blocks again with each further command of a copy: only copies of one command."""
        one_command = [shape for shape in SHAPES if shape[0] <= 65535 and not shape[3]]
        self.copies("ddpt --xcopy if={source} of={destination} bs=512", one_command)

    def test_big_blocks(self):
        for command in ("sg_xcopy", "ddpt --xcopy"):
            self.fill("big_source")
            self.ask(command + " if={big_source} of={big} bs=4096 count=1500 skip=3 seek=501")
            self.moved("big_source", "big", 1500, 3, 501, 4096)
            self.unchanged_but_as_expected()

    def test_inside_one_disk(self):
        """Also where source and destination overlap: ddpt and sg_xcopy leave that to the target."""
        for count, skip, seek in ((1000, 0, 40000), (20000, 100, 107), (20000, 107, 100)):
            self.fill("source")
            self.ask(f"sg_xcopy if={{source}} of={{source}} bs=512 count={count} skip={skip} seek={seek}")
            self.moved("source", "source", count, skip, seek)
            self.unchanged_but_as_expected()

    def test_results(self):
        self.ask("sg_xcopy if={source} of={destination} bs=512 count=1000 bpt=600 id_usage=hold list_id=9")
        self.moved("source", "destination", 1000, 0, 0)
        said = self.ask("sg_copy_results --status --list_id=9 {destination}")
        # Of the second command, which had the remaining 400 blocks.
        for expected in ("Operation completed without errors", "Segments processed: 1", f"Transfer count: {400 * 512}"):
            self.assertIn(expected, said)
        self.ask("sg_copy_results --status --list_id=10 {destination}", ILLEGAL_REQUEST)
        self.assertIn("Maximum segment descriptor count: ", self.ask("sg_copy_results --params {source}"))
        self.unchanged_but_as_expected()

    def test_a_destination_that_is_too_small(self):
        for command in ("sg_xcopy", "sg_xcopy --on_src", "ddpt --xcopy"):
            self.ask(command + " if={source} of={small} bs=512 count=2000 seek=3000", COPY_ABORTED)
        self.unchanged_but_as_expected()

    def test_reservations_of_another(self):
        """The command is refused where it goes to what is reserved, and else the copy."""
        other = connect(World.server, initiator="iqn.2026-11.test:other")
        lun = list(SIZES).index("destination")
        other.test_unit_ready(lun)
        self.assertEqual(0, pr.reserve_out(other, pr.REGISTER, action_key=1, lun=lun).status)
        self.assertEqual(0, pr.reserve_out(other, pr.RESERVE, key=1, kind=pr.WRITE_EXCLUSIVE, lun=lun).status)
        try:
            rest = " if={source} of={destination} bs=512 count=100"
            self.ask("sg_xcopy --on_dst" + rest, RESERVATION_CONFLICT)
            self.ask("sg_xcopy --on_src" + rest, COPY_ABORTED)
            self.unchanged_but_as_expected()
            self.ask("sg_xcopy --on_dst if={destination} of={source} bs=512 count=100")
            self.moved("destination", "source", 100, 0, 0)
        finally:
            self.assertEqual(0, pr.reserve_out(other, pr.CLEAR, key=1, lun=lun).status)
        self.ask("sg_xcopy if={source} of={destination} bs=512 count=100 seek=100")
        self.moved("source", "destination", 100, 0, 100)
        self.unchanged_but_as_expected()


class TokenTest(CopyToolsTest):
    """Copies in two commands, with a ROD token between them.

    ddpt and ddptctl 0.97 write the block device range descriptors of both commands one byte too early. A target that
    takes them as the standard has them sees each address and each count 256 times as large. So these are chosen."""

    STEP = 256
    SHAPE = (30, 7, 90)  # what ddpt takes for a count, an address to copy from and one to copy to

    def all_moved(self, source="source", destination="destination", shape=SHAPE, block=512):
        self.moved(source, destination, *(self.STEP * number for number in shape), block)
        self.unchanged_but_as_expected()

    def take_token(self):
        """New data, and a token for them in a file of the guest."""
        self.fill("source")
        count, skip, _ = self.SHAPE
        self.ask(f"ddptctl --pt={skip},{count} --rtf=/tmp/token {{source}}")
        self.assertEqual("512", World.guest.run("wc -c < /tmp/token").strip())
        return "/tmp/token"

    def write(self, token, status=0, guest=None, disk="{destination}"):
        count, _, seek = self.SHAPE
        return self.ask(f"ddptctl --wut={seek},{count} --rtf={token} {disk}", status, guest)

    def test_full_copy(self):
        """ddpt does both commands, and then wonders that more was copied than it has asked for."""
        for count, skip, seek in ((1, 0, 0), self.SHAPE):
            self.fill("source")
            self.ask(f"ddpt --odx if={{source}} of={{destination}} bs=512 skip={skip},{count} seek={seek},{count}")
            self.all_moved(shape=(count, skip, seek))

    def test_big_blocks(self):
        self.fill("big_source")
        self.ask("ddpt --odx if={big_source} of={big} bs=4096 skip=1,3 seek=5,3")
        self.all_moved("big_source", "big", (3, 1, 5), 4096)

    def test_zeroes(self):
        self.fill("destination")
        self.ask("ddpt if=/dev/null rtype=zero of={destination} bs=512 seek=33,50")
        self.expected["destination"][33 * self.STEP * 512:83 * self.STEP * 512] = bytes(50 * self.STEP * 512)
        self.unchanged_but_as_expected()

    def test_a_file_between_two_commands(self):
        """Twice, since nobody says that the token is used up."""
        token = self.take_token()
        for _ in range(2):
            self.fill("destination")
            self.write(token)
            self.all_moved()
        said = self.ask("ddptctl --all_toks {destination}")
        self.assertIn(f"Number of bytes represented: {self.SHAPE[0] * self.STEP * 512} ", said)

    def test_a_file_between_two_initiators(self):
        token = self.take_token()
        text = World.guest.run(f"base64 {token}")
        with Machine() as other:
            session = OpenIscsi(other, "iqn.2026-11.test:second").log_in(TARGET, parse_url(World.server.url)[1])
            disk = session.disk(list(SIZES).index("destination")).removeprefix("/dev/")
            generic = "/dev/" + other.run(f"ls /sys/block/{disk}/device/scsi_generic").strip()
            other.run(f"sg_turs --num=8 {generic} || true; base64 -d > /tmp/token << end\n{text}\nend")
            self.write("/tmp/token", guest=other, disk=generic)
        self.all_moved()

    def test_data_that_have_changed(self):
        """A token stands for what there was: where the target could not put that aside, it is refused."""
        token = self.take_token()
        old = bytes(self.expected["source"])
        at = (self.SHAPE[1] + 1) * self.STEP
        self.ask(f"sg_dd if=/dev/urandom of={{source}} oflag=sgio bs=512 seek={at} count=1")
        self.expected["source"][:] = self.on_disk("source")
        self.assertNotEqual(old, bytes(self.expected["source"]))
        if "point in time copy - change vulnerable" in self.ask(f"ddptctl --info --rtf={token}"):
            self.write(token, TOKEN_REVOKED)
            self.unchanged_but_as_expected()
        else:
            self.write(token)
            count, skip, seek = (self.STEP * number * 512 for number in self.SHAPE)
            self.expected["destination"][seek:seek + count] = old[skip:skip + count]
            self.unchanged_but_as_expected()

    def test_what_was_never_given(self):
        token = self.take_token()
        World.guest.run(f"(head -c 300 {token}; head -c 212 /dev/urandom) > /tmp/guessed")
        self.write("/tmp/guessed", TOKEN_UNKNOWN)
        self.unchanged_but_as_expected()


if __name__ == "__main__":
    unittest.main()
