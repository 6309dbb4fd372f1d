"""nbdkit with Peerlane's plugin under test: a server of NBD on a socket of its own."""

import os
import pathlib
import subprocess
import time
import unittest

import environment


def plugin():
    """The path of the plugin under test."""
    return os.environ["PEERLANE_NBDKIT_PLUGIN"]


PRELOAD = os.environ.get("PEERLANE_NBDKIT_PRELOAD")
# After a message of the system's, a library of nbdkit's waits for a lock of libc's for ever when it ends.
unless_preloaded = unittest.skipIf(PRELOAD, "nbdkit does not end with a sanitizer loaded into it")


def variables(env=None):
    """The environment of an nbdkit. The plugin's sanitizer comes first; what nbdkit leaves behind is not ours."""
    sanitizer = {"LD_PRELOAD": PRELOAD, "ASAN_OPTIONS": "detect_leaks=0"} if PRELOAD else {}
    return {**os.environ, **sanitizer, **(env or {})}


class NbdkitError(AssertionError):
    """nbdkit did something that no test expects."""


class Nbdkit:
    """One run of nbdkit. Used as a context manager; it must end with status 0 when it is stopped."""

    def __init__(self, *parameters, options=(), env=None):
        self.directory = environment.scratch()
        self.socket = os.path.join(self.directory.name, "nbd")
        self.arguments = [environment.tool("nbdkit"), "-f", "-U", self.socket, *options, plugin(),
                          *map(str, parameters)]
        self.env = variables(env)
        self.log_path = pathlib.Path(self.directory.name) / "log"
        self.process = None

    @property
    def uri(self):
        return f"nbd+unix:///?socket={self.socket}"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.env)
        deadline = time.monotonic() + environment.seconds(20)
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise NbdkitError(f"nbdkit does not start: {self.log()}")
            time.sleep(0.02)
        return self

    def __exit__(self, kind, value, traceback):
        self.process.terminate()
        try:
            status = self.process.wait(environment.seconds(20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        log = self.log()
        self.directory.cleanup()
        if kind is not None:
            print(f"--- nbdkit's log:\n{log}---")
        elif status != 0:
            raise NbdkitError(f"nbdkit ended with status {status}: {log}")


def refusal(*parameters, env=None):
    """Starts nbdkit with what it must refuse; what it says."""
    command = [environment.tool("nbdkit"), "-f", "-U", "-", plugin(), *map(str, parameters), "--run", "true"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=variables(env), timeout=environment.seconds(30), check=False)
    if done.returncode == 0:
        raise NbdkitError(f"nbdkit takes {parameters}: {done.stdout}")
    return done.stdout
