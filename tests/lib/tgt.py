"""A tgt (Debian's package) under test, beside any other that runs on this host: a control socket of its own."""

import os
import pathlib
import socket
import subprocess
import time

import environment

TARGET = "iqn.2026-11.dev.peerlane.test:tgt"


def free_port():
    """A port on the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tgt:
    """tgtd with one target and one LUN, number 1 (tgt's LUN 0 is its controller). Used as a context manager."""

    def __init__(self, size, accounts=None, digests=None, block_size=None):
        self.directory = environment.scratch()
        self.size = size
        self.accounts = accounts or {}
        self.digests = digests
        self.block_size = block_size
        self.port = free_port()
        self.env = {**os.environ, "TGT_IPC_SOCKET": os.path.join(self.directory.name, "control")}
        self.process = None

    @property
    def url(self):
        return f"iscsi://127.0.0.1:{self.port}/{TARGET}/1"

    def __enter__(self):
        image = pathlib.Path(self.directory.name) / "disk"
        if not image.exists():
            with open(image, "wb") as file:
                file.truncate(self.size)
        self.process = subprocess.Popen(
            [environment.tool("tgtd"), "-f", "--iscsi", f"portal=127.0.0.1:{self.port}"], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + environment.seconds(20)
        while self._admin("--mode", "target", "--op", "show", check=False).returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.kill()
                raise AssertionError("tgtd does not start")
            time.sleep(0.05)
        self._target("new", "-T", TARGET)
        backing = ["--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "-b", str(image)]
        if self.block_size:
            backing += ["--blocksize", str(self.block_size)]
        self._admin(*backing)
        self._admin("--mode", "logicalunit", "--op", "update", "--tid", "1", "--lun", "1", "--params",
                    "thin_provisioning=1")
        for user, secret in self.accounts.items():
            direction = ["--outgoing"] if user.startswith("target") else []
            self._admin("--mode", "account", "--op", "new", "--user", user, "--password", secret)
            self._admin("--mode", "account", "--op", "bind", "--tid", "1", "--user", user, *direction)
        if self.digests:
            for name in ("HeaderDigest", "DataDigest"):
                self._target("update", "-n", name, "-v", self.digests)
        self._target("bind", "-I", "ALL")
        return self

    def __exit__(self, kind, value, traceback):
        self.kill()
        self.directory.cleanup()

    def add_unit(self, lun, image):
        """A further LUN, which shows a file."""
        self._admin("--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", str(lun), "-b", str(image))

    def kill(self):
        """Ends it as a crash would; SIGTERM does not end it at all."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def _target(self, operation, *arguments):
        return self._admin("--mode", "target", "--op", operation, "--tid", "1", *arguments)

    def _admin(self, *arguments, check=True):
        done = subprocess.run([environment.tool("tgtadm"), "--lld", "iscsi", *arguments], env=self.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"tgtadm {' '.join(arguments)}: {done.stdout.decode(errors='replace')}")
        return done
