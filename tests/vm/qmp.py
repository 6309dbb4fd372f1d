"""QEMU's own control channel, by which a test does what a machine's owner would do with their hands."""

import json
import socket
import time

import environment


class Qmp:
    """A connection to QEMU's monitor. Used by one thread."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(environment.seconds(30))
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._events = []
        json.loads(self._lines.readline())  # the greeting
        self.execute("qmp_capabilities")

    def close(self):
        self._lines.close()
        self._socket.close()

    def execute(self, command, **arguments):
        """The command's result; a command that QEMU refuses is a failed test."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while "event" in (answer := self._read()):
            self._events.append(answer)
        assert "return" in answer, f"QEMU refuses {command}: {answer}"
        return answer["return"]

    def wait_for_event(self, name, **data):
        """Waits for an event with these values among its data."""
        end = time.monotonic() + environment.seconds(30)
        while time.monotonic() < end:
            for event in self._events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self._events.remove(event)
                    return event
            self._events.append(self._read())
        raise AssertionError(f"QEMU does not say {name}")

    def _read(self):
        line = self._lines.readline()
        assert line, "QEMU has ended"
        return json.loads(line)
