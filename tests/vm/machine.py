"""A Linux guest in QEMU, without hardware support and without privileges: it boots in seconds and does what tests say.

    with Machine() as guest:
        print(guest.run("uname -r"))

Tests live on the host; what they run in the guest are shell scripts. A guest that ends by itself, that does not answer
in time or whose kernel complains is a failed test. All that the guest says on its console is shown when a test fails;
PEERLANE_VM_VERBOSE=1 shows it, and every script, as it comes.

The host is 10.0.2.2 for the guest: what listens on the host's 127.0.0.1 is reached there.
"""

import base64
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import threading
import time

import environment
import guest_image

HOST = "10.0.2.2"
ADDRESS = "10.0.2.15"
VERBOSE = bool(os.environ.get("PEERLANE_VM_VERBOSE"))

# Most of what a PC has is left out, and the kernel is spared what takes time and proves nothing here.
HARDWARE = ("-accel", "tcg,thread=multi", "-smp", "1", "-bios", "/usr/share/qemu/qboot.rom",
            "-machine", "q35,smm=off,vmport=off,sata=off,smbus=off,hpet=off,usb=off,graphics=off",
            "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot")
KERNEL_ARGUMENTS = ("console=ttyS0 panic=-1 quiet log_buf_len=4M mitigations=off nokaslr cryptomgr.notests "
                    "tsc=reliable no_timer_check")


class GuestError(AssertionError):
    """The guest did something that no test expects."""


class Machine:
    """One guest. Used as a context manager by one thread; limits are in seconds."""

    def __init__(self, *, memory=1024, network=True, programs=(), qemu_arguments=(), cpu="max", kernel_arguments="",
                 limit=600):
        """`memory` in MiB. `network`: whether there is one, or what QEMU's user network is to do besides. `programs` of
        this host can be called in the guest. `cpu` is one of QEMU's models. `limit` bounds the life of the whole
        machine, also when this program is killed."""
        self.network = network
        self.programs = programs
        self.qemu_arguments = qemu_arguments
        self.cpu = cpu
        self.kernel_arguments = kernel_arguments
        self.memory = memory
        self.limit = environment.seconds(limit)
        # A disk tells each new session so, as SAM has it.
        self.expected = ["Power-on or device reset occurred"]
        self.console = []
        self._numbers = 0
        self._jobs = 0

    # --- Start and end -----------------------------------------------------------------------------------------------

    def __enter__(self):
        archive, kernel = guest_image.build()
        self._scratch = environment.memory_scratch()
        if self.programs:
            archive = guest_image.with_programs(archive, self.programs, pathlib.Path(self._scratch.name))
        self._control, theirs = socket.socketpair()
        arguments = [environment.tool("qemu-system-x86_64"), *HARDWARE, "-cpu", self.cpu, "-m", str(self.memory),
                     "-serial", "stdio", "-kernel", kernel.image, "-initrd", archive,
                     "-append", f"{KERNEL_ARGUMENTS} {self.kernel_arguments}",
                     "-chardev", f"socket,id=control,fd={theirs.fileno()}", "-device", "virtio-serial-pci",
                     "-device", "virtserialport,chardev=control,name=control", *self.qemu_arguments]
        if self.network:
            options = f",{self.network}" if isinstance(self.network, str) else ""
            arguments += ["-netdev", f"user,id=net{options}", "-device", "virtio-net-pci,netdev=net,romfile="]
        self._start = time.monotonic()
        # The guest goes with this process, however that ends.
        bounded = ["setpriv", "--pdeathsig", "TERM", "timeout", str(self.limit), *map(str, arguments)]
        self._process = subprocess.Popen(bounded, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()])
        theirs.close()
        self._answers = self._control.makefile("rb")
        self._reader = threading.Thread(target=self._read_console, daemon=True)
        self._reader.start()
        try:
            self._wait_for_boot()
        except BaseException:
            self.show_console()
            self.kill()
            raise
        return self

    def _wait_for_boot(self):
        self._control.settimeout(environment.seconds(120))
        try:
            first = self._read_line()
        except TimeoutError:
            first = ""
        if first != "ready":
            raise GuestError("the guest does not come up")
        if self.network:
            self.run(f"modprobe virtio_net; ip link set eth0 up; ip addr add {ADDRESS}/24 dev eth0;"
                     f"ip route add default via {HOST}")

    def __exit__(self, kind, value, traceback):
        try:
            if kind is None:
                self.check_kernel_log()
                self.power_off()
        except AssertionError:
            self.show_console()
            raise
        finally:
            if kind is not None:
                self.show_console()
            self.kill()

    def power_off(self):
        """The guest turns itself off when nobody controls it any more."""
        self._control.shutdown(socket.SHUT_RDWR)
        try:
            status = self._process.wait(environment.seconds(60))
        except subprocess.TimeoutExpired:
            raise GuestError("the guest does not turn itself off") from None
        if status != 0:
            raise GuestError(f"QEMU ended with status {status}")

    def kill(self):
        if self._process.poll() is None:
            self._process.terminate()  # timeout(1) passes it on
            self._process.wait()
        self._reader.join(5)
        self._process.stdout.close()
        self._answers.close()
        self._control.close()
        self._scratch.cleanup()

    # --- Scripts -----------------------------------------------------------------------------------------------------

    def run(self, script, timeout=60, check=True):
        """Runs a script of the shell, which ends at the first command that fails. Its output, standard error included;
        with check=False its status and its output."""
        self._numbers += 1
        if VERBOSE:
            self._say("guest$ " + script.strip().replace("\n", "\n        "))
        try:
            self._control.settimeout(environment.seconds(timeout))
            self._control.sendall(f"{self._numbers} ".encode() + base64.b64encode(script.encode()) + b"\n")
            number, status, length = map(int, self._read_line().split())
            output = self._answers.read(length).decode(errors="replace")
        except TimeoutError:
            raise GuestError(f"the guest did not finish within {timeout} s: {script}") from None
        except (OSError, ValueError) as error:
            raise GuestError(f"the guest ended ({error}) in: {script}") from None
        assert number == self._numbers
        if VERBOSE and output:
            self._say(output.rstrip())
        if not check:
            return status, output
        if status != 0:
            raise GuestError(f"in the guest, status {status} of: {script}\n{output}")
        return output

    def start(self, script):
        """Runs a script in the background of the guest; a job, for finish()."""
        self._jobs += 1
        job = f"/run/jobs/{self._jobs}"
        self.run(f"(sh -ec {shlex.quote(script)} > {job}.output 2>&1 && echo 0 || echo $?) > {job}.status &")
        return job

    def finished(self, job):
        return self.run(f"[ -s {job}.status ]", check=False)[0] == 0

    def finish(self, job, timeout=60, check=True):
        """Waits for the end of a job; like run()."""
        return self.run(f"while [ ! -s {job}.status ]; do sleep 0.1; done; cat {job}.output; exit $(cat {job}.status)",
                        timeout, check)

    def wait_until(self, script, timeout=30):
        """Waits until a script ends with status 0; its output. What it said last is in the error."""
        timeout = environment.seconds(timeout)
        return self.run(f"""
            end=$(($(cut -d. -f1 /proc/uptime) + {int(timeout)}))
            while ! ( {script} ) > /run/attempt 2>&1; do
              [ $(cut -d. -f1 /proc/uptime) -lt $end ] || {{ cat /run/attempt; exit 124; }}
              sleep 0.1
            done
            cat /run/attempt""", timeout + 30)

    # --- What the kernel says ----------------------------------------------------------------------------------------

    def expect_in_kernel_log(self, *patterns):
        """Warnings and errors that match are no complaints in this test."""
        self.expected += patterns

    def complaints(self):
        """Warnings and worse in the kernel's log since the guest was ready, without the expected ones."""
        lines = self.run("dmesg -r | sed '1,/guest: ready/d' | grep '^<[0-4]>' || true").splitlines()
        return [line for line in lines if not any(re.search(pattern, line) for pattern in self.expected)]

    def check_kernel_log(self):
        found = self.complaints()
        if found:
            raise GuestError("the guest's kernel complains:\n" + "\n".join(found))

    # --- The console -------------------------------------------------------------------------------------------------

    def show_console(self):
        if not VERBOSE:
            print("--- the guest's console:\n" + "".join(self.console) + "---", file=sys.stderr)

    def _read_console(self):
        for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self.console.append(f"{time.monotonic() - self._start:8.2f} {text}\n")
            if VERBOSE:
                self._say(text)

    def _read_line(self):
        return self._answers.readline().decode().strip()

    def _say(self, text):
        print(f"{time.monotonic() - self._start:8.2f} {text}", file=sys.stderr, flush=True)
