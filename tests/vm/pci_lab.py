"""A guest with NVMe disks at chosen places of a PCI Express hierarchy, some of them with controller memory buffers.

    with Lab() as guest:
        guest.run(f"peerlane copy {guest.disk('A').path} {guest.disk('B').path}")

Unless a test asks for others, A and B lie behind one switch and have buffers, D lies behind it without one, C is below
a root port of its own:

    host bridge --- root port --- switch --- A (buffer)
                 |                        |- B (buffer)
                 |                        `- D
                 `- root port --- C

Each namespace has an NSID that no other one of the machine has: by it the audit of QEMU's trace tells disks apart. In
the guest disks are found by their serial numbers, since names and addresses differ from boot to boot. Their contents
are files of this host, which tests fill in and compare without the guest.
"""

import dataclasses
import os
import pathlib
import re
import signal

import dma_audit
import environment
import qmp
from machine import Machine

MIB = 1 << 20

SWITCH = "switch"      # a downstream port of the machine's one switch
ROOT = "root port"     # a root port of its own
SHARED = "shared port"  # one function of several below one root port, which has Access Control Services

# What a machine's kernel does with the IOMMU that it has.
TRANSLATE = "intel_iommu=on"
PASS_THROUGH = "intel_iommu=on iommu=pt"

# Switches of QEMU have no Access Control Services, its root ports do. This redirects requests and completions there, as
# a kernel does by itself on a machine with an IOMMU.
REDIRECT = "pci=config_acs=xx111x1@pci:1b36:000c"


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk to be built: one controller. Sizes are in MiB."""

    name: str
    place: str = SWITCH
    buffer: int = 0             # its controller memory buffer
    namespaces: tuple = (256,)  # the size of each
    path_to: str = ""           # instead of namespaces of its own: those of this other disk, as one subsystem
    # Requests that fail: ("read" or "write", sector of 512 bytes).
    fault: tuple = ()
    rate: int = 0               # MiB per second that it writes at most; not with a fault
    options: str = ""           # further ones of QEMU's nvme-ns


STANDARD = (Disk("A", buffer=64), Disk("B", buffer=64), Disk("C", ROOT), Disk("D"))


@dataclasses.dataclass(frozen=True)
class Found:
    """A namespace as the guest has it."""

    path: str        # of the block device
    controller: str  # nvme0
    address: str     # of the PCI function


class Lab(Machine):
    """The guest. With `images`, a directory, the disks' contents outlive it, and are found there."""

    def __init__(self, disks=STANDARD, *, images=None, iommu="", redirect=False, programs=(), kernel_arguments="",
                 network=False, **options):
        self.disks = disks
        self.iommu = iommu
        words = (kernel_arguments, iommu, REDIRECT if redirect else "")
        super().__init__(programs=(environment.peerlane(), *programs), network=network,
                         kernel_arguments=" ".join(words), **options)
        self._images = images
        self.found = {}

    # --- Start and end -----------------------------------------------------------------------------------------------

    def __enter__(self):
        self._directory = environment.memory_scratch()
        directory = pathlib.Path(self._directory.name)
        self._images = pathlib.Path(self._images or directory)
        self._trace = directory / "trace"
        self.qmp = None
        self.qemu_arguments = [*self.qemu_arguments, *_hierarchy(self.disks, self.iommu), *self._drives(),
                               "-trace", f"events={dma_audit.events_file(directory)},file={self._trace}",
                               "-qmp", f"unix:{directory}/qmp,server=on,wait=off"]
        super().__enter__()
        try:
            self.qmp = qmp.Qmp(directory / "qmp")
            self._find_disks()
            self.audit = dma_audit.Audit(self._trace, {nsid: name for name, nsid in self._nsids().items()},
                                         self._bars())
        except BaseException:
            self.show_console()
            self.kill()
            raise
        return self

    def kill(self):
        if self.qmp is not None:
            self.qmp.close()
        super().kill()
        self._directory.cleanup()

    def cut_power(self):
        """QEMU ends at once, with whatever requests are under way. The guest can only be killed after that."""
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        self._process.wait(environment.seconds(30))
        self.check_kernel_log = self.power_off = lambda: None

    def pull(self, name):
        """Takes a disk out of the running machine, and waits until it is gone."""
        self.qmp.execute("device_del", id=f"nvme{name}")
        self.qmp.wait_for_event("DEVICE_DELETED", device=f"nvme{name}")

    def believe_identities(self, *names):
        """Has Linux take what these disks say of themselves (EUI-64, UUID) for true. By itself it does not, since the
        disks of two QEMUs may say the same. Nobody may use them."""
        # Entries that a driver is given now are looked at before its own. The last number is that of no quirks.
        self.run("echo 1b36 10 ffffffff ffffffff 10802 ffffff 0 > /sys/bus/pci/drivers/nvme/new_id")
        for name in names:
            self.bind_anew(name)

    def bind_anew(self, *names):
        """Takes these disks from the driver, which has them come back in this order: the first one gets the lowest
        number that is free then. Nobody may use them."""
        addresses = [self.disk(name).address for name in names]
        for file in "unbind", "bind":
            self.run("cd /sys/bus/pci/drivers/nvme" + "".join(f"; echo {address} > {file}" for address in addresses))
        self._find_disks()

    # --- Disks -------------------------------------------------------------------------------------------------------

    def disk(self, name, namespace=1):
        """A disk as the guest has it."""
        return self.found[name, namespace]

    def image(self, name, namespace=1):
        """The file of this host that has a disk's contents. To be written to only while no guest runs."""
        return image(self._images, name, namespace)

    def _nsids(self):
        """NSIDs by the name that the audit uses: A, and A/2 for its second namespace."""
        return {disk.name if i == 1 else f"{disk.name}/{i}": nsid(disk.name, i)
                for disk in self.disks for i in range(1, len(disk.namespaces) + 1)}

    def _drives(self):
        arguments = []
        for disk in self.disks:
            for i, size in enumerate(disk.namespaces, 1):
                path = self.image(disk.name, i)
                if not path.exists():
                    with open(path, "wb") as file:
                        file.truncate(size * MIB)
                node = f"image{disk.name}{i}"
                if disk.rate:
                    arguments += ["-object", f"throttle-group,id=rate-{node},x-bps-write={disk.rate * MIB}"]
                arguments += ["-blockdev", _block_device(path, node, disk.fault if i == 1 else (), disk.rate),
                              "-device", f"nvme-ns,bus=nvme{disk.name},nsid={nsid(disk.name, i)},drive={node}"
                              + disk.options]
        return arguments

    def _find_disks(self):
        """Namespaces come up by themselves, some time after the guest is ready."""
        # The controllers of a disk have one serial number, and count from 0.
        controllers = {}
        for disk in self.disks:
            controllers.setdefault(disk.path_to or disk.name, []).append(disk.name)
        count = sum(len(controllers.get(disk.name, ())) * len(disk.namespaces) for disk in self.disks)
        listing = self.wait_until(f"""
            [ $(ls -d /sys/class/nvme/nvme*/nvme*n* | wc -l) = {count} ]
            for block in /sys/class/nvme/nvme*/nvme*n*; do
              controller=${{block%/*}}
              echo $(cd $controller; cat serial cntlid address $block/nsid) ${{controller##*/}} ${{block##*/}}
            done""")
        namespaces = {nsid: name for name, nsid in self._nsids().items()}
        for line in listing.splitlines():
            serial, place, address, number, controller, block = line.split()
            owner, _, namespace = namespaces[int(number)].partition("/")
            assert serial == f"LAB-{owner}", listing
            name = controllers[owner][int(place)]
            # A path to a namespace of several controllers is named after all of them, and its controller: nvme0c1n1.
            self.found[name, int(namespace or 1)] = Found(f"/dev/{re.sub('c[0-9]+n', 'n', block)}", controller, address)

    def _bars(self):
        """Places of the audit: every memory range of every disk."""
        places = []
        for disk in self.disks:
            resources = self.run(f"cat /sys/bus/pci/devices/{self.disk(disk.name).address}/resource").splitlines()
            for number, line in enumerate(resources[:6]):
                start, end, _ = (int(word, 16) for word in line.split())
                if end != 0:
                    places.append((start, end + 1, f"{disk.name} BAR {number}"))
        return places


def nsid(name, namespace):
    """Of a namespace (from 1 to 8) of a disk (from A to Z)."""
    return 8 * (ord(name) - ord("A")) + namespace


def image(directory, name, namespace=1):
    """Where a disk's contents are below a directory of images."""
    return pathlib.Path(directory) / f"{name}{namespace}.img"


def _block_device(path, node, fault, rate):
    options = f"driver=raw,node-name={node},discard=unmap,cache.no-flush=on"
    if rate:
        return (f"{options},file.driver=throttle,file.throttle-group=rate-{node},file.file.driver=file,"
                f"file.file.filename={path}")
    if not fault:
        return f"{options},file.driver=file,file.filename={path}"
    direction, sector = fault
    return (f"{options},file.driver=blkdebug,file.image.driver=file,file.image.filename={path},"
            f"file.inject-error.0.event=none,file.inject-error.0.iotype={direction},"
            f"file.inject-error.0.sector={sector},file.inject-error.0.once=off")


def _hierarchy(disks, iommu):
    """Ports, and a controller for each disk."""
    arguments = ["-device", "intel-iommu,intremap=on"] if iommu else []
    if any(disk.place == SWITCH for disk in disks):
        arguments += ["-device", "pcie-root-port,id=above-switch,chassis=1,slot=1",
                      "-device", "x3130-upstream,id=switch,bus=above-switch"]
    if any(disk.place == SHARED for disk in disks):
        arguments += ["-device", "pcie-root-port,id=shared,chassis=2,slot=2"]
    subsystems = {disk.path_to for disk in disks if disk.path_to}
    for name in subsystems:
        arguments += ["-device", f"nvme-subsys,id=subsystem{name}"]
    functions = 0
    for number, disk in enumerate(disks, 3):
        port = f"port{disk.name}"
        controller = f"nvme,id=nvme{disk.name},serial=LAB-{disk.path_to or disk.name},cmb_size_mb={disk.buffer}"
        if {disk.name, disk.path_to} & subsystems:
            controller += f",subsys=subsystem{disk.path_to or disk.name}"
        if disk.place == SHARED:
            controller += f",bus=shared,addr=0.{functions},multifunction=on"
            functions += 1
        else:
            kind = "xio3130-downstream,bus=switch" if disk.place == SWITCH else "pcie-root-port"
            arguments += ["-device", f"{kind},id={port},chassis={number},slot={number}"]
            controller += f",bus={port}"
        arguments += ["-device", controller]
    return arguments
