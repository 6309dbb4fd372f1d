#!/usr/bin/python3
"""libpeerlane.so as a program in another language uses it: through ctypes, against a server.

  c_interface_test.py LIBRARY [unittest's arguments]
"""

import ctypes
import errno
import os
import sys
import threading
import time
import unittest

from server import Server

LIBRARY = sys.argv.pop(1)
MIB = 1 << 20
READ_ONLY, FUA, MAY_DISCARD = 1, 1, 2
CAN_WRITE, CAN_DISCARD, CAN_ZERO, CAN_EXTENTS = 1, 2, 4, 8


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("flags", ctypes.c_uint32), ("queue_depth", ctypes.c_uint32),
                ("replacement_timeout_ms", ctypes.c_uint32), ("initiator_name", ctypes.c_char_p),
                ("chap_user", ctypes.c_char_p), ("chap_secret", ctypes.c_char_p),
                ("target_chap_user", ctypes.c_char_p), ("target_chap_secret", ctypes.c_char_p)]


class Info(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("size", ctypes.c_uint64), ("block_size", ctypes.c_uint32),
                ("physical_block_size", ctypes.c_uint32), ("capabilities", ctypes.c_uint32),
                ("discard_granularity", ctypes.c_uint32), ("identity", ctypes.c_char * 256)]


class Extent(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("length", ctypes.c_uint64), ("allocated", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32)]


def load():
    library = ctypes.CDLL(LIBRARY)
    disk, size, offset, flags = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint32
    library.peerlane_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(Options), ctypes.POINTER(ctypes.c_void_p)]
    library.peerlane_close.argtypes = library.peerlane_flush.argtypes = [disk]
    library.peerlane_refresh_size.argtypes = library.peerlane_size.argtypes = [disk]
    library.peerlane_size.restype = ctypes.c_int64
    library.peerlane_get_info.argtypes = [disk, ctypes.POINTER(Info)]
    library.peerlane_pread.argtypes = [disk, ctypes.c_void_p, size, offset]
    library.peerlane_pwrite.argtypes = [disk, ctypes.c_char_p, size, offset, flags]
    library.peerlane_discard.argtypes = [disk, offset, offset]
    library.peerlane_zero.argtypes = [disk, offset, offset, flags]
    library.peerlane_extents.argtypes = [disk, offset, offset, ctypes.POINTER(Extent), size]
    library.peerlane_error_text.restype = ctypes.c_char_p
    return library


LIB = load()


def options(**fields):
    return Options(struct_size=ctypes.sizeof(Options), **fields)


class CInterfaceTest(unittest.TestCase):
    def open(self, url, **fields):
        disk = ctypes.c_void_p()
        opened = LIB.peerlane_open(url.encode(), ctypes.byref(options(**fields)), ctypes.byref(disk))
        self.assertEqual(0, opened, LIB.peerlane_error_text())
        return disk

    def read(self, disk, length, offset):
        buffer = ctypes.create_string_buffer(length)
        self.assertEqual(0, LIB.peerlane_pread(disk, buffer, length, offset), LIB.peerlane_error_text())
        return buffer.raw

    def info(self, disk, struct_size=ctypes.sizeof(Info)):
        info = Info(struct_size=struct_size)
        self.assertEqual(0, LIB.peerlane_get_info(disk, ctypes.byref(info)), LIB.peerlane_error_text())
        return info

    def refused(self, code, part, result):
        self.assertEqual(-code, result)
        self.assertIn(part, LIB.peerlane_error_text().decode())

    def test_what_it_is_and_does(self):
        with Server("ram:8M", options=("--block-size", "4096")) as server:
            disk = self.open(server.url)
            info = self.info(disk)
            self.assertEqual((8 * MIB, 4096), (info.size, info.block_size))
            everything = CAN_WRITE | CAN_DISCARD | CAN_ZERO | CAN_EXTENTS
            self.assertEqual(everything, info.capabilities & everything)
            self.assertIn(b".", info.identity)
            self.assertEqual(8 * MIB, LIB.peerlane_size(disk))
            self.assertEqual(0, LIB.peerlane_refresh_size(disk))
            data = os.urandom(3 * MIB)
            self.assertEqual(0, LIB.peerlane_pwrite(disk, data, len(data), 4096, FUA))
            self.assertEqual(data, self.read(disk, len(data), 4096))
            self.assertEqual(0, LIB.peerlane_zero(disk, 4096, 4096, FUA))
            self.assertEqual(0, LIB.peerlane_discard(disk, MIB, MIB))
            self.assertEqual(0, LIB.peerlane_flush(disk))
            self.assertEqual(bytes(8192) + data[8192 - 4096:12288 - 4096], self.read(disk, 12288, 0))
            self.assertEqual(bytes(MIB), self.read(disk, MIB, MIB))
            extents = (Extent * 8)()
            count = LIB.peerlane_extents(disk, MIB, 7 * MIB, extents, 8)
            found = [(extent.offset, extent.length, extent.allocated) for extent in extents[:count]]
            self.assertEqual((MIB, MIB, 0), found[0])
            self.assertEqual(8 * MIB, found[-1][0] + found[-1][1])
            self.assertEqual(1, LIB.peerlane_extents(disk, 0, 8 * MIB, extents, 1))
            self.assertEqual(0, LIB.peerlane_extents(disk, 0, 8 * MIB, None, 0))
            self.assertEqual(0, LIB.peerlane_close(disk))

    def test_refusals(self):
        with Server("ram:8M") as server:
            disk = self.open(server.url)
            buffer = ctypes.create_string_buffer(1024)
            self.refused(errno.EINVAL, "multiples of the logical block size", LIB.peerlane_pread(disk, buffer, 1000, 0))
            self.refused(errno.EINVAL, "multiples of the logical block size", LIB.peerlane_pread(disk, buffer, 512, 1))
            self.refused(errno.EINVAL, "not all on the disk", LIB.peerlane_pread(disk, buffer, 1024, 8 * MIB - 512))
            self.refused(errno.EINVAL, "not all on the disk", LIB.peerlane_zero(disk, (1 << 64) - 512, 1024, 0))
            self.refused(errno.EINVAL, "NULL", LIB.peerlane_pread(disk, None, 512, 0))
            self.refused(errno.EINVAL, "larger than memory", LIB.peerlane_pread(disk, buffer, (1 << 64) - 512, 0))
            self.refused(errno.EINVAL, "flags", LIB.peerlane_pwrite(disk, bytes(512), 512, 0, 4))
            self.refused(errno.EINVAL, "flags", LIB.peerlane_zero(disk, 0, 512, 8))
            self.refused(errno.EINVAL, "NULL", LIB.peerlane_extents(disk, 0, 512, None, 1))
            self.refused(errno.EINVAL, "NULL", LIB.peerlane_get_info(disk, None))
            for size in (0, 8, 1 << 20):
                info = Info(struct_size=size)
                self.refused(errno.EINVAL, "struct_size", LIB.peerlane_get_info(disk, ctypes.byref(info)))
            self.assertEqual(0, LIB.peerlane_pread(disk, buffer, 1024, 8 * MIB - 1024))
            self.assertEqual(0, LIB.peerlane_close(disk))

    def test_an_older_programs_info_is_not_written_past_its_end(self):
        with Server("ram:8M") as server:
            disk = self.open(server.url)
            info = Info(struct_size=Info.physical_block_size.offset, physical_block_size=7, capabilities=7)
            self.assertEqual(0, LIB.peerlane_get_info(disk, ctypes.byref(info)))
            self.assertEqual((8 * MIB, 512, 7, 7),
                             (info.size, info.block_size, info.physical_block_size, info.capabilities))
            self.assertEqual(0, LIB.peerlane_close(disk))

    def test_read_only(self):
        with Server("ram:8M") as server:
            disk = self.open(server.url, flags=READ_ONLY)
            self.assertEqual(0, self.info(disk).capabilities & (CAN_WRITE | CAN_DISCARD | CAN_ZERO))
            self.refused(errno.EROFS, "read-only", LIB.peerlane_pwrite(disk, bytes(512), 512, 0, 0))
            self.refused(errno.EROFS, "read-only", LIB.peerlane_discard(disk, 0, 512))
            self.refused(errno.EROFS, "read-only", LIB.peerlane_zero(disk, 0, 512, 0))
            self.assertEqual(0, LIB.peerlane_close(disk))

    def test_threads(self):
        with Server("ram:64M") as server:
            disk = self.open(server.url)
            failures = []

            def work(number):
                for turn in range(50):
                    data = os.urandom(512 * (1 + turn))
                    offset = number * 8 * MIB + turn * 65536
                    if LIB.peerlane_pwrite(disk, data, len(data), offset, 0) != 0:
                        failures.append(LIB.peerlane_error_text())
                    elif self.read(disk, len(data), offset) != data:
                        failures.append(f"other data at {offset}")

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([], failures)
            self.assertEqual(0, LIB.peerlane_close(disk))

    def test_a_target_that_does_not_come_back_is_an_error_in_time(self):
        server = Server("ram:8M").start()
        disk = self.open(server.url, replacement_timeout_ms=500)
        self.read(disk, 512, 0)
        server.kill()
        start = time.monotonic()
        buffer = ctypes.create_string_buffer(512)
        self.assertLess(LIB.peerlane_pread(disk, buffer, 512, 0), 0)
        self.assertNotEqual(b"", LIB.peerlane_error_text())
        self.assertLess(time.monotonic() - start, 10)
        start = time.monotonic()
        LIB.peerlane_close(disk)
        self.assertLess(time.monotonic() - start, 20)


if __name__ == "__main__":
    unittest.main()
