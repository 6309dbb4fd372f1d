"""Machines as small texts, and as the trees of sysfs and proc that Linux would show of them.

    # A comment.
    kernel 7.3.4
    cpu GenuineIntel 6
    pci0000:00                                      a root bus; what is indented below a line is below it on the bus
      00:00.0 host-bridge 8086:29c0
      00:01.0 root-port 1b36:000c link=16x16 acs=1d
        01:00.0 nvme 1b36:0010 link=8x4 most=16x4 numa=0 iommu=3/DMA memory=64M/63M
          controller nvme0 serial=A model=QEMU_NVMe_Ctrl firmware=1.0 subsystem=nvme-subsys0 cmbsz=0x400219
            namespace nvme0n1 259:0 256M nsid=1
              partition nvme0n1p1 259:1 100M
    head nvme1n1 259:7 1G subsystem=nvme-subsys1    of native multipath: its paths are called nvme1c2n1
    dm dm-0 253:0 100M name=vg-lv on=nvme0n1p1,nvme1n1
    md md0 9:0 100M on=nvme0n1,nvme1n1

link=RATExLANES; acs is the ACS Control Register, without it there is no such capability. The directory that is made for
`unprivileged` shows 64 bytes of each configuration space, as Linux does to others than root.
"""

import os
import pathlib
import struct

SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
CLASSES = {"host-bridge": 0x060000, "root-port": 0x060400, "upstream": 0x060400, "downstream": 0x060400,
           "nvme": 0x010802, "virtio": 0x010000, "accelerator": 0x120000}
PORT_TYPES = {"root-port": 4, "upstream": 5, "downstream": 6}
DRIVERS = {"root-port": "pcieport", "upstream": "pcieport", "downstream": "pcieport", "nvme": "nvme",
           "virtio": "virtio-pci"}


def size(text):
    return int(text[:-1]) * SIZES[text[-1]] if text[-1] in SIZES else int(text)


def configuration(kind, acs):
    """4096 bytes: the PCI Express capability, and Access Control Services behind another extended capability."""
    data = bytearray(4096)
    struct.pack_into("<H", data, 0x06, 0x10)
    data[0x34] = 0x40
    struct.pack_into("<BBH", data, 0x40, 0x10, 0, PORT_TYPES.get(kind, 0) << 4 | 2)
    struct.pack_into("<I", data, 0x100, 0x0001 | 1 << 16 | (0x148 << 20 if acs is not None else 0))
    if acs is not None:
        struct.pack_into("<IHH", data, 0x148, 0x000d | 1 << 16, 0x1f, acs)
    return bytes(data)


class Machine:
    """Makes the tree of one text below `root`."""

    def __init__(self, root, text, privileged=True):
        self.root = pathlib.Path(root)
        self.privileged = privileged
        self.above = []  # (indentation, directory) of the lines that the present one is below
        self.subsystems = {}
        for directory in ("sys/bus/pci/devices", "sys/class/block", "proc"):
            (self.root / directory).mkdir(parents=True)
        for line in text.splitlines():
            line = line.split("#", 1)[0].rstrip()
            if line:
                self.add(len(line) - len(line.lstrip()), line.split())

    def write(self, path, content):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())

    def link(self, path, target):
        path, target = self.root / path, self.root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))

    def add(self, indentation, words):
        while self.above and self.above[-1][0] >= indentation:
            self.above.pop()
        above = self.above[-1][1] if self.above else "sys/devices"
        options = dict(word.split("=", 1) for word in words if "=" in word)
        words = [word for word in words if "=" not in word]
        if words[0] == "kernel":
            self.write("proc/sys/kernel/osrelease", words[1])
        elif words[0] == "cpu":
            self.write("proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {words[1]}\ncpu family\t: {words[2]}")
        elif words[0].startswith("pci"):
            self.above.append((indentation, f"{above}/{words[0]}"))
        elif words[0] == "controller":
            self.above.append((indentation, self.add_controller(above, words[1], options)))
        elif words[0] in ("namespace", "path", "partition", "head", "dm", "md", "disk"):
            self.above.append((indentation, self.add_block(above, *words, options)))
        else:
            self.above.append((indentation, self.add_function(above, *words, options)))

    def add_function(self, above, address, kind, ids, options):
        if address.count(":") == 1:
            address = f"0000:{address}"
        directory = f"{above}/{address}"
        vendor, device = ids.split(":")
        self.write(f"{directory}/class", f"0x{CLASSES[kind]:06x}")
        self.write(f"{directory}/vendor", f"0x{vendor}")
        self.write(f"{directory}/device", f"0x{device}")
        self.write(f"{directory}/numa_node", options.get("numa", "-1"))
        data = configuration(kind, int(options["acs"], 16) if "acs" in options else None)
        self.write(f"{directory}/config", data if self.privileged else data[:64])
        for prefix, name in (("current", "link"), ("max", "most")):
            text = options.get(name, options.get("link"))
            if text:
                rate, lanes = text.split("x")
                self.write(f"{directory}/{prefix}_link_speed", f"{float(rate):.1f} GT/s PCIe")
                self.write(f"{directory}/{prefix}_link_width", lanes)
        if kind in DRIVERS:
            self.link(f"{directory}/driver", f"sys/bus/pci/drivers/{DRIVERS[kind]}")
        if "iommu" in options:
            group, group_type = options["iommu"].split("/")
            self.write(f"sys/kernel/iommu_groups/{group}/type", group_type)
            self.link(f"{directory}/iommu_group", f"sys/kernel/iommu_groups/{group}")
        if "memory" in options:
            whole, free = options["memory"].split("/")
            self.write(f"{directory}/p2pmem/size", size(whole))
            self.write(f"{directory}/p2pmem/available", size(free))
            self.write(f"{directory}/p2pmem/published", 1)
            self.write(f"{directory}/p2pmem/allocate", b"")
        self.link(f"sys/bus/pci/devices/{address}", directory)
        return directory

    def add_controller(self, above, name, options):
        transport = options.get("transport", "pcie")
        directory = f"{above}/nvme/{name}" if transport == "pcie" else f"{above}/virtual/nvme-fabrics/ctl/{name}"
        for key, attribute in (("serial", "serial"), ("model", "model"), ("firmware", "firmware_rev"),
                               ("cmbsz", "cmbsz")):
            if key in options:
                self.write(f"{directory}/{attribute}", options[key].replace("_", " "))
        self.write(f"{directory}/transport", transport)
        self.write(f"{directory}/state", options.get("state", "live"))
        self.link(f"sys/class/nvme/{name}", directory)
        if "subsystem" in options:
            subsystem = f"sys/devices/virtual/nvme-subsystem/{options['subsystem']}"
            self.link(f"{subsystem}/{name}", directory)
            if options["subsystem"] not in self.subsystems:
                self.link(f"sys/class/nvme-subsystem/{options['subsystem']}", subsystem)
                self.subsystems[options["subsystem"]] = subsystem
        return directory

    def add_block(self, above, kind, name, number, capacity, options):
        directory = {"head": f"sys/devices/virtual/nvme-subsystem/{options.get('subsystem')}/{name}",
                     "dm": f"sys/devices/virtual/block/{name}", "md": f"sys/devices/virtual/block/{name}",
                     "disk": f"{above}/virtio1/block/{name}"}.get(kind, f"{above}/{name}")
        self.write(f"{directory}/dev", number)
        self.write(f"{directory}/size", size(capacity) // 512)
        if kind == "partition":
            self.write(f"{directory}/partition", 1)
        if "nsid" in options:
            self.write(f"{directory}/nsid", options["nsid"])
        if kind == "dm":
            self.write(f"{directory}/dm/name", options["name"])
        if kind == "md":
            self.write(f"{directory}/md/level", "raid1")
        if kind == "disk":
            self.link(f"{directory}/device", f"{above}/virtio1")
            self.link(f"{above}/virtio1/driver", "sys/bus/virtio/drivers/virtio_blk")
        for slave in filter(None, options.get("on", "").split(",")):
            (self.root / directory / "slaves" / slave).mkdir(parents=True)
        self.link(f"sys/class/block/{name}", directory)
        return directory
