"""Where the tests find things: the program under test, tools, time limits, scratch space."""

import os
import pathlib
import shutil
import socket
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Sanitizers make programs slower: time limits are multiplied by this.
TIME_FACTOR = float(os.environ.get("PEERLANE_TIME_FACTOR", "1"))

MEMORY_FILES = pathlib.Path("/dev/shm")
MEMORY_ROOM = 8 << 30


def peerlane():
    """The path of the `peerlane` program."""
    return os.environ.get("PEERLANE", str(ROOT / "build" / "release" / "peerlane"))


def threads():
    """How many reactors servers under test have, unless a test says otherwise."""
    return int(os.environ.get("PEERLANE_THREADS", "1"))


def tool(name):
    """The path of a tool of the distribution; also those of the system administrator."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise FileNotFoundError(f"{name} is not installed: run scripts/setup test")
    return path


def seconds(value):
    """A time limit, stretched for slow builds."""
    return value * TIME_FACTOR


def scratch():
    """A directory that is removed at the end of a `with`."""
    return tempfile.TemporaryDirectory(prefix="peerlane-test-")


def memory_scratch():
    """The same in memory, if that has room for it. Disks of guests that are files there do not stall while the host's
    disk is busy with what others have written, which a guest's kernel takes for a fault of its hardware."""
    room = MEMORY_FILES.is_dir() and shutil.disk_usage(MEMORY_FILES).free >= MEMORY_ROOM
    return tempfile.TemporaryDirectory(prefix="peerlane-test-", dir=MEMORY_FILES if room else None)


def has_ipv6():
    """Whether this host has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
