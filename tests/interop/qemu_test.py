#!/usr/bin/python3
"""QEMU's iSCSI driver puts a file system on a LUN and reads it back; it writes, discards, zeroes and verifies."""

import filecmp
import pathlib
import subprocess
import threading
import unittest

import environment
import tools
from server import Server

MIB = 1 << 20


class Scratch(unittest.TestCase):
    def setUp(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def file_disk(self, size, name="disk.img"):
        path = self.directory / name
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def ext4_image(self, size):
        path = self.directory / "before.img"
        tools.make_ext4_image(path, size, environment.ROOT / "src")
        return path


class ConvertTest(Scratch):
    def round_trip(self, server, size):
        before, after = self.ext4_image(size), self.directory / "after.img"
        tools.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", before, server.url, timeout=120)
        tools.run("qemu-img", "compare", "-f", "raw", "-F", "raw", before, server.url, timeout=120)
        tools.run("qemu-img", "convert", "-f", "raw", "-O", "raw", server.url, after, timeout=120)
        self.assertTrue(filecmp.cmp(before, after, shallow=False))
        tools.run("e2fsck", "-fn", after)

    def test_ram(self):
        with Server("ram:64M") as server:
            self.round_trip(server, 64 * MIB)

    def test_file(self):
        disk = self.file_disk(64 * MIB)
        with Server(disk) as server:
            self.round_trip(server, 64 * MIB)
        # What is in the file is the file system, byte for byte, when the server is gone.
        self.assertTrue(filecmp.cmp(self.directory / "before.img", disk, shallow=False))

    def test_file_with_4096_byte_blocks(self):
        with Server(self.file_disk(64 * MIB), options=("--block-size", "4096")) as server:
            self.round_trip(server, 64 * MIB)

    def test_file_through_page_cache_and_write_through(self):
        for option in ("--no-direct", "--write-through"):
            with self.subTest(option), Server(self.file_disk(64 * MIB), options=(option,)) as server:
                self.round_trip(server, 64 * MIB)

    def test_header_digest(self):
        with Server("ram:32M") as server:
            before = self.ext4_image(32 * MIB)
            host, port = server.address
            # QEMU takes the digest as an option of its own; a query in the URL would crash it.
            disk = (f"driver=raw,file.driver=iscsi,file.transport=tcp,file.portal={host}:{port},"
                    f"file.target={server.target},file.lun={server.luns[0]},file.header-digest=crc32c")
            tools.run("qemu-img", "convert", "-n", "--target-image-opts", "-f", "raw", before, disk)
            image = f"driver=raw,file.driver=file,file.filename={before}"
            tools.run("qemu-img", "compare", "--image-opts", image, disk)

    @unittest.skipUnless(environment.has_ipv6(), "no IPv6 loopback here")
    def test_ipv6(self):
        with Server("ram:32M", listen=("[::1]:0",)) as server:
            self.round_trip(server, 32 * MIB)

    def test_read_only(self):
        disk = self.file_disk(16 * MIB)
        with Server(disk, options=("--read-only",)) as server:
            tools.run("qemu-img", "convert", "-f", "raw", "-O", "raw", server.url, self.directory / "copy.img")
            done = tools.run("qemu-io", "-f", "raw", "-c", "write -P 1 0 64k", server.url, check=False)
            self.assertIn("rite", done.stdout)
        self.assertEqual(bytes(MIB), disk.read_bytes()[:MIB])

    def test_info_shows_the_size(self):
        with Server("ram:96M") as server:
            self.assertIn("virtual size: 96 MiB", tools.run("qemu-img", "info", "-f", "raw", server.url))


class PatternTest(Scratch):
    def patterns(self, url):
        tools.qemu_io(url,
                      "write -P 0x11 0 1M", "write -P 0x22 1M 1M", "write -P 0x33 5M 3M",
                      "read -P 0x11 0 1M", "read -P 0x22 1M 1M", "read -P 0x33 5M 3M",
                      # Discarded and zeroed ranges read as zeroes; their neighbours stay.
                      "discard 1M 512k", "write -z 5M 1M", "write -z -u 6M 64k", "flush",
                      "read -P 0x11 0 1M", "read -P 0 1M 512k", "read -P 0x22 1536k 512k",
                      "read -P 0 5M 1M", "read -P 0 6M 64k", "read -P 0x33 6208k 1984k",
                      # Small and crooked pieces across what was written.
                      "write -P 0x44 4k 4k", "write -P 0x55 1020k 8k",
                      "read -P 0x44 4k 4k", "read -P 0x11 8k 1012k", "read -P 0x55 1020k 8k", "read -P 0 1028k 508k")

    def test_ram(self):
        for options in ((), ("--block-size", "4096")):
            with self.subTest(options), Server("ram:16M", options=options) as server:
                self.patterns(server.url)

    def test_file(self):
        for options in ((), ("--block-size", "4096"), ("--no-direct",), ("--write-through",)):
            with self.subTest(options), Server(self.file_disk(16 * MIB), options=options) as server:
                self.patterns(server.url)

    def test_patterns_survive_a_restart(self):
        disk = self.file_disk(16 * MIB)
        with Server(disk) as server:
            tools.qemu_io(server.url, "write -P 0x77 2M 2M", "flush")
        with Server(disk) as server:
            tools.qemu_io(server.url, "read -P 0 0 2M", "read -P 0x77 2M 2M", "read -P 0 4M 4M")

    def test_discard_gives_space_back(self):
        disk = self.file_disk(64 * MIB)
        with Server(disk) as server:
            tools.qemu_io(server.url, "write -P 0x99 0 32M", "flush")
            full = disk.stat().st_blocks * 512
            tools.qemu_io(server.url, "discard 0 32M", "read -P 0 0 32M")
            self.assertLess(disk.stat().st_blocks * 512, full - 24 * MIB)

    def test_vectors_and_many_in_flight(self):
        with Server("ram:64M") as server:
            commands = [f"aio_write -P {i + 1} {i * 256}k 256k" for i in range(64)] + ["aio_flush"]
            commands += [f"read -P {i + 1} {i * 256}k 256k" for i in range(64)]
            tools.qemu_io(server.url, *commands, "writev -P 0xaa 20M 4k 8k 512 64k 512",
                          "readv -P 0xaa 20M 512 64k 4k 8k 512")


class SeveralAtOnceTest(Scratch):
    def test_each_on_its_own_lun(self):
        count = 4
        images = []
        for i in range(count):
            path = self.directory / f"image{i}"
            path.write_bytes(bytes([i + 1]) * (24 * MIB))
            images.append(path)
        disks = [self.file_disk(24 * MIB, "disk0"), "ram:24M", self.file_disk(24 * MIB, "disk2"), "ram:24M"]
        with Server(*disks, options=("--threads", "2")) as server:
            processes = [subprocess.Popen([environment.tool("qemu-img"), "convert", "-n", "-f", "raw", "-O", "raw",
                                           str(image), url]) for image, url in zip(images, server.urls)]
            for process in processes:
                self.assertEqual(0, process.wait(environment.seconds(120)))
            for image, url in zip(images, server.urls):
                tools.run("qemu-img", "compare", "-f", "raw", "-F", "raw", image, url)

    def test_several_on_one_lun(self):
        with Server("ram:64M", options=("--threads", "2")) as server:
            failures = []

            def use(number):
                start = number * 16
                try:
                    for round_number in range(3):
                        pattern = 16 * (round_number + 1) + number
                        tools.qemu_io(server.url, f"write -P {pattern} {start}M 16M", f"read -P {pattern} {start}M 16M")
                except AssertionError as error:
                    failures.append(str(error))

            users = [threading.Thread(target=use, args=(number,)) for number in range(4)]
            for user in users:
                user.start()
            for user in users:
                user.join()
            self.assertEqual([], failures)


if __name__ == "__main__":
    unittest.main()
