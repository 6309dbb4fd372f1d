"""Hosts on this one: network namespaces that links join, for tests of who talks to whom.

    with Hosts("client", "a", "b") as hosts:
        hosts.join("client", "a", "10.99.1.")    # 10.99.1.1 and 10.99.1.2
        Server(..., wrapper=hosts.wrapper("a"))
        with hosts.inside("client"):             # this thread's new sockets are the client's
            session = connect(server)
        hosts.bytes("client")                    # that crossed its links
        hosts.cut("a", "b"); hosts.mend("a", "b")

Hosts.missing() says what is in the way here; None if nothing is.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import subprocess

import environment

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = itertools.count()


def ip(*arguments, check=True):
    return subprocess.run([environment.tool("ip"), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=environment.seconds(10), check=check)


class Hosts:
    @staticmethod
    def missing():
        """Why there can be none here."""
        try:
            name = f"peerlane-probe-{os.getpid()}"
            made = ip("netns", "add", name, check=False)
            if made.returncode == 0:
                ip("netns", "del", name)
                return None
        except FileNotFoundError as error:
            return str(error)
        return f"no network namespace can be made here: {made.stderr.strip()}"

    def __init__(self, *names):
        self.prefix = f"peerlane-{os.getpid()}-{next(NUMBERS)}-"
        self.names = names
        self.links = {}  # (one, other) -> (interface there, interface here)

    def __enter__(self):
        try:
            for name in self.names:
                ip("netns", "add", self.prefix + name)
                self.ip(name, "link", "set", "lo", "up")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for name in self.names:
            ip("netns", "del", self.prefix + name, check=False)

    def ip(self, name, *arguments):
        return ip("-n", self.prefix + name, *arguments).stdout

    def join(self, one, other, network):
        """A link between two hosts, whose addresses are `network` with 1 and 2 behind it: IPv4 ("10.99.1.") or IPv6
        ("fd00:99::")."""
        self.links[one, other] = self.links[other, one] = interface = f"link{len(self.links) // 2}"
        ip("link", "add", interface, "netns", self.prefix + one, "type", "veth", "peer", "name", interface, "netns",
           self.prefix + other)
        # Nobody else is there, and the address is to be good at once.
        length, more = ("/64", ("nodad",)) if ":" in network else ("/24", ())
        for number, name in enumerate((one, other), 1):
            self.ip(name, "address", "add", f"{network}{number}{length}", "dev", interface, *more)
            self.ip(name, "link", "set", interface, "up")

    def cut(self, one, other):
        self.ip(one, "link", "set", self.links[one, other], "down")

    def mend(self, one, other):
        self.ip(one, "link", "set", self.links[one, other], "up")

    def slow(self, one, other, rate):
        """What `one` sends to `other` takes its time ("200mbit")."""
        subprocess.run([environment.tool("tc"), "-n", self.prefix + one, "qdisc", "add", "dev", self.links[one, other],
                        "root", "tbf", "rate", rate, "burst", "256kb", "latency", "100ms"], check=True,
                       capture_output=True, timeout=environment.seconds(10))

    def bytes(self, name):
        """Bytes that have crossed the links of a host, in both directions."""
        with self.inside(name):
            # The thread's own network: /proc/net is that of the process's first thread.
            table = pathlib.Path(f"/proc/self/task/{LIBC.gettid()}/net/dev").read_text(encoding="ascii")
        total = 0
        for line in table.splitlines()[2:]:
            interface, numbers = line.split(":")
            if interface.strip() != "lo":
                numbers = numbers.split()
                total += int(numbers[0]) + int(numbers[8])
        return total

    def wrapper(self, name):
        """Words before a command that is to run on a host."""
        return (environment.tool("ip"), "netns", "exec", self.prefix + name)

    @contextlib.contextmanager
    def inside(self, name):
        """This thread's network is the host's."""
        home = os.open(f"/proc/self/task/{LIBC.gettid()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.prefix}{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(there)
            try:
                yield
            finally:
                self._enter(home)
        finally:
            os.close(there)
            os.close(home)

    @staticmethod
    def _enter(descriptor):
        if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
