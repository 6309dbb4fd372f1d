#!/usr/bin/python3
"""The server is killed and started again while Linux's own initiator uses a file system on its disk: open-iscsi comes
back by itself, and whoever reads and writes notices a delay and nothing else."""

import pathlib
import socket
import unittest

import environment
from load import Load
from machine import Machine
from open_iscsi import OpenIscsi
from server import Server

MIB = 1 << 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RestartTest(unittest.TestCase):
    def test_io_goes_on(self):
        directory = environment.scratch()
        self.addCleanup(directory.cleanup)
        image = pathlib.Path(directory.name) / "disk.img"
        with open(image, "wb") as file:
            file.truncate(128 * MIB)
        listen = (f"127.0.0.1:{free_port()}",)
        server = Server(image, listen=listen).start()
        self.addCleanup(lambda: server.kill())
        with Machine() as guest:
            guest.expect_in_kernel_log("detected conn error")
            session = OpenIscsi(guest).log_in(server.target, server.address[1])
            disk = session.disk()
            guest.run(f"mkfs.ext4 -q {disk}; mkdir /mnt/disk; mount {disk} /mnt/disk")
            load = Load(guest, "/mnt/disk/load")
            for _ in range(3):
                load.wait_for_progress(disk)
                server.kill()
                server = Server(image, listen=listen).start()
                load.wait_for_progress(disk)
                self.assertRegex(server.log(), "session .* began")
            self.assertGreater(load.finish(), 0)
            guest.run(f"umount /mnt/disk; e2fsck -fn {disk}")
            session.log_out()
        server.stop()


if __name__ == "__main__":
    unittest.main()
