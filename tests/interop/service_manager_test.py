#!/usr/bin/python3
"""What systemd expects of a service: readiness is reported, sockets that it has opened are used, its unit is valid."""

import os
import pathlib
import shutil
import socket
import subprocess
import unittest

import environment
from initiator import Connection, Session
from server import Server, parse_url

LISTEN_FDS_START = 3


class NotificationTest(unittest.TestCase):
    def test_ready_and_stopping_are_reported(self):
        with environment.scratch() as directory:
            path = os.path.join(directory, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path)
                manager.settimeout(environment.seconds(10))
                server = Server("ram:16M", env={"NOTIFY_SOCKET": path}).start()
                self.assertIn(b"READY=1", manager.recv(4096))
                server.stop()
                self.assertIn(b"STOPPING=1", manager.recv(4096))

    def test_nothing_is_reported_when_it_cannot_start(self):
        with environment.scratch() as directory, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            path = os.path.join(directory, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path)
                manager.settimeout(0.2)
                address = f"127.0.0.1:{taken.getsockname()[1]}"
                done = subprocess.run([environment.peerlane(), "serve", "--listen", address, "ram:16M"],
                                      env={**os.environ, "NOTIFY_SOCKET": path}, capture_output=True, check=False)
                self.assertEqual(1, done.returncode)
                with self.assertRaises(TimeoutError):
                    manager.recv(4096)


class SocketActivationTest(unittest.TestCase):
    def start(self, listening, *arguments):
        """Starts the server as systemd does: sockets from descriptor 3 on, told of in the environment."""
        copies = [os.dup(one.fileno()) for one in listening]
        top = max(copies) + 1

        def place():
            for number, copy in enumerate(copies):
                os.dup2(copy, top + number)
            for number in range(len(copies)):
                os.dup2(top + number, LISTEN_FDS_START + number)

        command = f'LISTEN_PID=$$ LISTEN_FDS={len(copies)} exec "$@"'
        process = subprocess.Popen(["/bin/sh", "-c", command, "sh", environment.peerlane(), "serve", *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, close_fds=False,
                                   preexec_fn=place)
        for copy in copies:
            os.close(copy)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_sockets_of_the_manager_take_the_place_of_the_portals(self):
        with socket.socket() as one, socket.socket() as other:
            for listening in (one, other):
                listening.bind(("127.0.0.1", 0))
                listening.listen()
            process = self.start((one, other), "--listen", "127.0.0.1:1", "ram:16M")
            urls = [parse_url(process.stdout.readline().strip()) for _ in range(2)]
            self.assertEqual([one.getsockname(), other.getsockname()], [(host, port) for host, port, _, _ in urls])
            for host, port, target, _ in urls:
                with Connection((host, port)) as connection:
                    session = Session(connection, target).login()
                    session.test_unit_ready()
                    session.logout()
            process.terminate()
            self.assertEqual(0, process.wait(environment.seconds(20)))

    def test_initiator_that_came_before_the_service_is_served(self):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            with Connection(listening.getsockname()) as early:
                process = self.start((listening,), "ram:16M")
                target = parse_url(process.stdout.readline().strip())[2]
                Session(early, target).login().test_unit_ready()
            process.terminate()
            self.assertEqual(0, process.wait(environment.seconds(20)))


@unittest.skipIf(shutil.which("systemd-analyze") is None, "systemd is not installed")
class UnitTest(unittest.TestCase):
    def test_units_are_valid(self):
        folder = environment.ROOT / "packaging" / "systemd"
        with environment.scratch() as directory:
            service = pathlib.Path(directory) / "peerlane.service"
            text = (folder / "peerlane.service.in").read_text().replace("@CMAKE_INSTALL_FULL_BINDIR@/peerlane",
                                                                       environment.peerlane())
            service.write_text(text)
            shutil.copy(folder / "peerlane.socket", directory)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(service)], capture_output=True,
                                  text=True, check=False)
            complaints = [line for line in done.stderr.splitlines() if "peerlane" in line]
            self.assertEqual((0, []), (done.returncode, complaints))


if __name__ == "__main__":
    unittest.main()
