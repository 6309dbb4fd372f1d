#!/usr/bin/python3
"""What was acknowledged as durable is there after a crash, and after a loss of power.

  durability_test.py LIBRARY [--rounds N] [--seed N] [TEST ...]      LIBRARY: uring_trace.so

An initiator writes stamped blocks, with FUA or followed by SYNCHRONIZE CACHE, while the server is killed with SIGKILL
at a random moment and started again; each round checks every block. A stamp is the block's address, a number that grows
with each write of it, and a checksum over the whole block: a torn block has a wrong one.

SIGKILL alone proves little: the kernel's page cache survives it, so that a server which never asks the disk for
durability would pass. Each round therefore checks a second thing. The server notes, by way of uring_trace.cc, which
writes and fsyncs it has submitted to io_uring and which of them have completed; from these notes the test builds the
image that a disk would hold if the power had gone when the server was killed, where everything is lost that was not
written with RWF_DSYNC or covered by an fsync that was submitted after the write had completed, and has itself
completed. Every block acknowledged as durable must be in that image. (That the kernel keeps its side is not tested
here.) Two more tests keep this one honest: one sees in the notes that fsync comes between write and response, command
by command; and one that writes without asking for durability must lose blocks in that image.
"""

import argparse
import pathlib
import random
import struct
import sys
import threading
import unittest
import zlib

import environment
import reservations as pr
import uring_trace
from initiator import Closed, TimedOut, connect
from server import Server

DISK_BYTES = 2 << 20
ALICE, BOB = "iqn.2026-11.test:alice", "iqn.2026-11.test:bob"
ISID = bytes([0x80, 0, 0, 0, 0, 1])

ARGUMENTS = None


def stamp(block, number, size):
    """A block's content: address, number, filling, and a checksum over all that."""
    head = struct.pack(">QQ", block, number)
    body = head * ((size - 4) // 16) + bytes((size - 4) % 16)
    return body + struct.pack(">I", zlib.crc32(body))


def number_in(data, block):
    """The number of a stamped block, 0 for one that was never written; anything else is a torn or foreign block."""
    if not any(data):
        return 0
    at, number = struct.unpack_from(">QQ", data)
    if at != block or data != stamp(block, number, len(data)):
        raise AssertionError(f"block {block} is torn, or is another: {data[:32].hex()}")
    return number


class Blocks:
    """What the initiator knows of each block."""

    def __init__(self, size):
        self.size = size
        self.count = DISK_BYTES // size
        self.durable = [0] * self.count  # the last number that was acknowledged as durable
        self.last = [0] * self.count     # the last number that was sent

    def check(self, image, where):
        """Every block holds what was durable, or something later."""
        numbers = []
        for block in range(self.count):
            number = number_in(image[block * self.size:(block + 1) * self.size], block)
            if not self.durable[block] <= number <= self.last[block]:
                raise AssertionError(f"{where}: block {block} holds number {number}; {self.durable[block]} was durable,"
                                     f" {self.last[block]} the last that was written")
            numbers.append(number)
        return numbers


class Writer:
    """Keeps several writes under way, never two on one block, until the connection breaks."""

    DEPTH = 8

    def __init__(self, session, blocks, numbers, durable_by):
        self.session, self.blocks, self.numbers, self.durable_by = session, blocks, numbers, durable_by
        self.under_way = {}  # task -> (first block, numbers)
        self.acknowledged = []  # writes that the next SYNCHRONIZE CACHE makes durable

    def run(self):
        try:
            while True:
                while len(self.under_way) < self.DEPTH:
                    self.send()
                self.session.step()
                self.collect()
                if self.durable_by == "flush" and len(self.acknowledged) >= self.numbers.randrange(4, 64):
                    self.flush()
        except (Closed, TimedOut, OSError):
            pass

    def send(self):
        busy = {block for first, written in self.under_way.values() for block in range(first, first + len(written))}
        length = self.numbers.choice((1, 1, 2, 8, 16))
        first = self.numbers.randrange(self.blocks.count - length + 1)
        if busy & set(range(first, first + length)):
            return
        written = []
        for block in range(first, first + length):
            self.blocks.last[block] += 1
            written.append(self.blocks.last[block])
        data = b"".join(stamp(first + i, number, self.blocks.size) for i, number in enumerate(written))
        cdb = struct.pack(">BBQIBB", 0x8A, 8 if self.durable_by == "fua" else 0, first, length, 0, 0)
        self.under_way[self.session.start(cdb, data=data)] = (first, written)

    def collect(self):
        for task in [task for task in self.under_way if task.result is not None]:
            first, written = self.under_way.pop(task)
            assert task.result.status == 0, task.result
            del self.session.tasks[task.itt]
            if self.durable_by == "flush":
                self.acknowledged.append((first, written))
            else:
                self.now_durable(first, written)

    def flush(self):
        flushed, self.acknowledged = self.acknowledged, []
        self.session.flush()
        for first, written in flushed:
            self.now_durable(first, written)

    def now_durable(self, first, written):
        for i, number in enumerate(written):
            self.blocks.durable[first + i] = max(self.blocks.durable[first + i], number)


class DurabilityTest(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.disk = self.directory / "disk.img"
        self.log = self.directory / "notes"
        self.disk.write_bytes(bytes(DISK_BYTES))

    def start(self, *options):
        self.log.unlink(missing_ok=True)
        server = Server(self.disk, options=("--state", str(self.directory / "state"), *options),
                        env=uring_trace.environment_for(ARGUMENTS.library, self.log, self.disk)).start()
        self.addCleanup(self.end, server)
        return server

    @staticmethod
    def end(server):
        server.kill()
        for client in server.clients:
            client.close()

    @staticmethod
    def session(server, initiator):
        session = connect(server, initiator=initiator, isid=ISID)
        session.test_unit_ready()
        return session

    def crash(self, server, numbers, work):
        """Runs `work` until the server is killed at a random moment; the image that the notes promise."""
        before = self.disk.read_bytes()
        killer = threading.Timer(numbers.uniform(0.01, 0.3), server.process.kill)
        killer.start()
        work()
        killer.join()
        self.end(server)
        return uring_trace.durable_image(bytearray(before), uring_trace.read(self.log))

    def read_all(self, session, size):
        step = 256 << 10
        return b"".join(session.read(at // size, step // size, size) for at in range(0, DISK_BYTES, step))

    def test_crashes(self):
        kinds = [(options, block_size, durable_by)
                 for block_size in (512, 4096)
                 for options, durable_by in (((), "fua"), ((), "flush"), (("--no-direct",), "flush"),
                                             (("--no-direct",), "fua"), (("--write-through",), "nothing"))]
        numbers = random.Random(ARGUMENTS.seed)
        print(f"seed {ARGUMENTS.seed}", flush=True)
        for number, (options, block_size, durable_by) in enumerate(kinds):
            rounds = len(range(number, ARGUMENTS.rounds, len(kinds)))
            with self.subTest(options=options, block_size=block_size, durable_by=durable_by):
                self.disk.write_bytes(bytes(DISK_BYTES))
                self.crash_rounds(numbers, rounds, (*options, "--block-size", str(block_size)), block_size, durable_by)

    def crash_rounds(self, numbers, rounds, options, block_size, durable_by):
        blocks, key, done = Blocks(block_size), 0, 0
        server = self.start(*options)
        for _ in range(rounds):
            session, registrant = self.session(server, ALICE), self.session(server, BOB)
            key += 1
            self.assertEqual(0, pr.reserve_out(registrant, pr.REGISTER_AND_IGNORE, action_key=key, aptpl=True).status)
            image = self.crash(server, numbers, Writer(session, blocks, numbers, durable_by).run)
            done += sum(blocks.durable)
            blocks.check(image, "after a loss of power")
            server = self.start(*options)
            session = self.session(server, ALICE)
            found = blocks.check(self.read_all(session, block_size), "after a crash")
            self.assertEqual([key], pr.keys(session)[1])
            blocks.durable, blocks.last = found, list(found)
        server.stop()
        self.assertGreater(done, 0, "nothing was durable before the server was killed")

    def test_nothing_is_kept_that_nobody_asked_for(self):
        """The other way round: without FUA and SYNCHRONIZE CACHE, a loss of power does lose writes in this model."""
        blocks = Blocks(4096)
        server = self.start()
        session = self.session(server, ALICE)
        image = self.crash(server, random.Random(1), Writer(session, blocks, random.Random(2), "nothing").run)
        self.assertGreater(sum(blocks.durable), 0)
        with self.assertRaisesRegex(AssertionError, "after a loss of power: block"):
            blocks.check(image, "after a loss of power")

    def test_fsync_comes_before_the_response(self):
        """Command by command: what a response promises has completed before it is sent."""
        for options in ((), ("--no-direct",)):
            with self.subTest(options):
                server = self.start(*options)
                session = self.session(server, ALICE)
                session.ping()
                begin = len(uring_trace.read(self.log))
                for i in range(20):
                    session.write(i, stamp(i, 1, 512), fua=True)
                for i in range(20):
                    session.write(i, stamp(i, 2, 512))
                    session.flush()
                notes = uring_trace.read(self.log)[begin:]
                self.end(server)
                self.check_order(notes)

    def check_order(self, notes):
        responses, durable, written, under_way = [], set(), [], {}  # blocks as (address, number)
        for note in notes:
            if note.what == "W":
                under_way[note.id] = note
            elif note.what == "F":
                under_way[note.id] = set(written)
            elif note.what == "C":
                operation = under_way.pop(note.id)
                if isinstance(operation, set):
                    self.assertEqual(0, note.number)
                    durable |= operation
                else:
                    self.assertEqual(512, note.number)
                    written.append(struct.unpack_from(">QQ", operation.data))
                    durable |= {written[-1]} if operation.dsync else set()
            elif note.what == "S":
                responses.append((len(written), set(durable)))
        self.assertEqual(60, len(responses), "one for each command")
        for i in range(20):
            self.assertIn((i, 1), responses[i][1])
            self.assertEqual(21 + i, responses[20 + 2 * i][0])
            self.assertIn((i, 2), responses[21 + 2 * i][1])

    def test_reservations_are_on_the_disk_before_the_response(self):
        server = self.start()
        session = self.session(server, ALICE)
        session.ping()
        begin = len(uring_trace.read(self.log))
        for key in range(1, 6):
            self.assertEqual(0, pr.reserve_out(session, pr.REGISTER, key - 1, key, aptpl=True).status)
        self.assertEqual(0, pr.reserve_out(session, pr.REGISTER, 4, 7, aptpl=True).status ^ pr.CONFLICT)
        notes = uring_trace.read(self.log)[begin:]
        self.end(server)
        state = str(self.directory / "state")
        steps = [(note.what, note.data.decode()) for note in notes if note.what in "YRS"]
        made = ("Y", str(self.directory))  # the directory itself, once
        self.assertEqual(1, steps.count(made))
        steps.remove(made)
        file = steps[1][1]
        self.assertTrue(file.startswith(state + "/reservations-"))
        self.assertEqual([("Y", file + ".new"), ("R", file), ("Y", state), ("S", "")] * 5 + [("S", "")], steps)


def main():
    global ARGUMENTS
    parser = argparse.ArgumentParser()
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
