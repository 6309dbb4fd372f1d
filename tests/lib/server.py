"""A `peerlane serve` under test.

    with Server("ram:64M") as server:
        ... server.url, server.address, server.target ...

It listens on a port that the system chooses, and must end with status 0 and without a sanitizer's report when it is
stopped.
"""

import itertools
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import environment

SANITIZER_REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "MemorySanitizer")
# Where servers keep their state unless a test says otherwise: a directory of their own for each, made when needed.
STATE = environment.scratch()
STATE_NAMES = itertools.count()
URL = re.compile(r"iscsi://(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:/]+)):(?P<port>\d+)/(?P<target>[^/]+)/(?P<lun>\d+)$")


class ServerError(AssertionError):
    """The server did something that no test expects."""


def parse_url(url):
    """(host, port, target, lun) of a URL that `serve` printed."""
    match = URL.match(url)
    if not match:
        raise ServerError(f"not the URL of a LUN: {url!r}")
    return match["v6"] or match["v4"], int(match["port"]), match["target"], int(match["lun"])


def configuration(disks):
    """A configuration file for disks of which each is a spec, or a spec and what else is to be said of it."""
    text = f'[service]\nthreads = {environment.threads()}\n[[portal]]\nlisten = "127.0.0.1:0"\n[[target]]\n'
    for disk in disks:
        spec, options = disk if isinstance(disk, tuple) else (disk, "")
        text += f'[[target.lun]]\ndisk = "{spec}"\n{options}\n'
    file = pathlib.Path(STATE.name) / f"{next(STATE_NAMES)}.toml"
    file.write_text(text, encoding="utf-8")
    return file


class Server:
    """One run of `peerlane serve`. Used as a context manager, or with start() and stop().

    A disk is a spec, or a tuple of a spec and lines for its [[target.lun]] of the configuration."""

    def __init__(self, *disks, options=(), listen=("127.0.0.1:0",), config=None, env=None, luns=None, wrapper=()):
        self.arguments = [*wrapper, environment.peerlane(), "serve"]
        if any(isinstance(disk, tuple) for disk in disks):
            config, luns, disks = configuration(disks), len(disks), ()
        if config is not None:
            self.arguments += ["--config", str(config)]
        else:
            for portal in listen:
                self.arguments += ["--listen", portal]
            if "--threads" not in options:
                self.arguments += ["--threads", str(environment.threads())]
        self.arguments += [*options, *map(str, disks)]
        self.expected_urls = luns if luns is not None else len(disks) * len(listen)
        state = pathlib.Path(STATE.name) / str(next(STATE_NAMES))
        self.env = {**os.environ, "STATE_DIRECTORY": str(state), **(env or {})}
        self.process = None
        self.urls = []
        self.clients = []  # sessions of tests: closed before a stop that is not itself the test
        self._stderr = []
        self._readers = []
        self._ready = threading.Event()

    # --- Start and end -----------------------------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.stop()
        else:
            self.kill()
            print(f"--- the server's log ({' '.join(self.arguments)}):\n{self.log()}---")

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace", env=self.env)
        self._readers = [threading.Thread(target=self._read_urls, daemon=True),
                         threading.Thread(target=self._read_log, daemon=True)]
        for reader in self._readers:
            reader.start()
        if not self._ready.wait(environment.seconds(20)) or len(self.urls) < self.expected_urls:
            self.kill()
            raise ServerError(f"{' '.join(self.arguments)} printed {len(self.urls)} of {self.expected_urls} URLs:\n"
                              f"{self.log()}")
        return self

    def request_stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)

    def wait(self, timeout=20):
        """Waits for the end; the exit status, negative for a signal."""
        try:
            status = self.process.wait(environment.seconds(timeout))
        except subprocess.TimeoutExpired:
            self.kill()
            limit = environment.seconds(timeout)
            raise ServerError(f"the server did not end within {limit} s:\n{self.log()}") from None
        self._end_readers()
        return status

    def stop(self, timeout=20):
        """Closes the tests' sessions, asks it to stop and checks that it ends well."""
        self._close_clients()
        self.request_stop()
        status = self.wait(timeout)
        self.check_log()
        if status != 0:
            raise ServerError(f"the server ended with status {status}:\n{self.log()}")

    def kill(self):
        """Ends it at once, as a crash would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._end_readers()

    def _close_clients(self):
        for client in self.clients:
            client.close()

    def _end_readers(self):
        for reader in self._readers:
            reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def alive(self):
        return self.process.poll() is None

    # --- What it says ------------------------------------------------------------------------------------------------

    def log(self):
        return "".join(self._stderr)

    def check_log(self):
        found = [word for word in SANITIZER_REPORTS if word in self.log()]
        if found:
            raise ServerError(f"{found[0]} in the server's log:\n{self.log()}")

    def wait_for_log(self, pattern, timeout=10):
        """Waits until a line of the log matches; the match."""
        deadline = time.monotonic() + environment.seconds(timeout)
        while time.monotonic() < deadline:
            match = re.search(pattern, self.log())
            if match:
                return match
            time.sleep(0.02)
        raise ServerError(f"no line matches {pattern!r} in the server's log:\n{self.log()}")

    # --- Where it is -------------------------------------------------------------------------------------------------

    @property
    def url(self):
        return self.urls[0]

    @property
    def address(self):
        return parse_url(self.url)[:2]

    @property
    def target(self):
        return parse_url(self.url)[2]

    @property
    def luns(self):
        return [parse_url(url)[3] for url in self.urls]

    @property
    def portal_url(self):
        return self.url[:self.url.index("/", len("iscsi://"))]

    def memory_kib(self):
        """Resident memory in KiB."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1))

    def descriptors(self):
        """How many file descriptors it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # --- Threads that read its output --------------------------------------------------------------------------------

    def _read_urls(self):
        for line in self.process.stdout:
            self.urls.append(line.strip())
            if len(self.urls) >= self.expected_urls:
                self._ready.set()
        self._ready.set()

    def _read_log(self):
        for line in self.process.stderr:
            self._stderr.append(line)


def run(*arguments, env=None, timeout=30):
    """Runs `peerlane` to its end; the finished process with text output."""
    return subprocess.run([environment.peerlane(), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={**os.environ, **(env or {})}, timeout=environment.seconds(timeout),
                          check=False)
