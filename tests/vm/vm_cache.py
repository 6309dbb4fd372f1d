"""What virtual machines are made of, fetched once: a Debian kernel, and Debian packages whose programs the guest runs.

Everything comes through apt with its signatures checked, by a configuration of our own: nothing below /etc/apt is
touched, nothing is installed on this host, and no privileges are needed. The mirror is the one that this host uses.

  ${PEERLANE_VM_CACHE:-${XDG_CACHE_HOME:-~/.cache}/peerlane/vm}/
    kernel-VERSION/   vmlinux, config, lib/modules/VERSION
    root-HASH/        the guest's packages, unpacked; packages.txt lists them; HASH stands for what was asked for

Kernels in backports move. TESTED_KERNEL is what these tests were last run with; it is kept once it is here, and when
the mirror does not have it any more the newest one is taken, and said so.

  vm_cache.py           fetches what is missing and says where it is
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import typing

import environment

# The cloud flavour has no drivers for hardware that a virtual machine does not have. It has PCI peer-to-peer DMA since
# 6.13.7; that of 6.16 is broken.
TESTED_KERNEL = "7.3.4+deb13-cloud-amd64"
KERNEL_SUITE = "trixie-backports"
KERNEL_PACKAGES = ("linux-binary", "linux-modules", "linux-base")
NEEDED_OPTIONS = ("CONFIG_PCI_P2PDMA=y", "CONFIG_BLK_DEV_NVME=y", "CONFIG_VIRTIO_CONSOLE=y", "CONFIG_ISCSI_TCP=m")

GUEST_PACKAGES = ("base-passwd", "btrfs-progs", "busybox-static", "ddpt", "dmsetup", "e2fsprogs", "fio", "kmod",
                  "multipath-tools", "open-iscsi", "sg3-utils", "sg3-utils-udev", "udev", "util-linux", "xfsprogs")

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class CannotFetch(Exception):
    """Something is neither in the cache nor to be had from the mirror."""


class Kernel(typing.NamedTuple):
    version: str
    directory: pathlib.Path

    @property
    def image(self):
        """An uncompressed ELF image: QEMU starts it without the guest having to decompress anything."""
        return self.directory / "vmlinux"


def directory():
    base = os.environ.get("PEERLANE_VM_CACHE")
    if base:
        return pathlib.Path(base)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "peerlane" / "vm"


def kernel():
    """The kernel, from the cache or fetched."""
    with _locked():
        cached = sorted(directory().glob("kernel-*"), key=lambda path: path.stat().st_mtime)
        tested = directory() / f"kernel-{TESTED_KERNEL}"
        chosen = tested if tested in cached else cached[-1] if cached else _fetch_kernel()
    return Kernel(chosen.name.removeprefix("kernel-"), chosen)


def root():
    """The directory with the guest's packages, from the cache or fetched."""
    wanted = hashlib.sha256(" ".join((_codename(), *GUEST_PACKAGES)).encode()).hexdigest()[:12]
    path = directory() / f"root-{wanted}"
    with _locked():
        if not path.exists():
            _fetch_root(path)
    return path


# --- Fetching --------------------------------------------------------------------------------------------------------


def _fetch_kernel():
    with _workplace() as work:
        apt = _Apt(work, KERNEL_SUITE)
        names = apt.names("linux-binary-")
        versions = sorted(name.removeprefix("linux-binary-") for name in names
                          if name.endswith("-cloud-amd64") and "unsigned" not in name)
        if not versions:
            raise CannotFetch(f"the mirror {apt.mirror} has no cloud kernel in {KERNEL_SUITE}")
        version = TESTED_KERNEL
        if version not in versions:
            version = max(versions, key=lambda name: [int(part) for part in name.split("+")[0].split(".")])
            print(f"vm: {TESTED_KERNEL} is not on the mirror any more, taking {version}", file=sys.stderr)
        unpacked = apt.download(work / "unpacked", *(f"{name}-{version}" for name in KERNEL_PACKAGES))
        made = work / "kernel"
        (made / "lib").mkdir(parents=True)
        (unpacked / "usr/lib/modules").rename(made / "lib/modules")
        modules = made / "lib/modules" / version
        options = (modules / "config").read_text().splitlines()
        lacking = [option for option in NEEDED_OPTIONS if option not in options]
        if lacking:
            raise CannotFetch(f"the kernel {version} is built without {', '.join(lacking)}")
        _unpack_image(modules / "vmlinuz", made / "vmlinux")
        _run(environment.tool("depmod"), "-b", made, version)
        return made.rename(directory() / f"kernel-{version}")


def _unpack_image(compressed, image):
    """Takes the ELF image out of a bzImage: Documentation/arch/x86/boot.rst, payload_offset and payload_length."""
    data = compressed.read_bytes()
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (data[0x1F1] + 1) * 512 + offset
    # After the stream come four bytes with its unpacked size.
    image.write_bytes(subprocess.run(["zstd", "-dc"], input=data[start:start + length - 4], check=True,
                                     stdout=subprocess.PIPE).stdout)


def _fetch_root(path):
    with _workplace() as work:
        apt = _Apt(work, _codename())
        apt.download_with_dependencies(work / "unpacked", *GUEST_PACKAGES).rename(path)


class _Apt:
    """apt with lists, cache and knowledge of installed packages (none) of its own."""

    def __init__(self, work, suite):
        self.mirror = os.environ.get("PEERLANE_VM_MIRROR") or _mirror()
        self.work = work
        for name in ("lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        (work / "status").touch()
        (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {self.mirror} {suite} main\n")
        (work / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{work}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
            f'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";\n'
            f'Dir::State::lists "{work}/lists"; Dir::State::status "{work}/status"; Dir::Cache "{work}/cache";\n'
            'APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3"; Debug::NoLocking "true";\n')
        self._apt("apt-get", "-qq", "update")

    def names(self, prefix):
        return self._apt("apt-cache", "pkgnames", prefix).split()

    def download(self, destination, *names):
        """Unpacks packages below `destination`."""
        self._apt("apt-get", "-qq", "download", *names, cwd=self.work)
        return self._unpack(self.work, destination)

    def download_with_dependencies(self, destination, *names):
        self._apt("apt-get", "-qq", "--yes", "--download-only", "--no-install-recommends", "install", *names)
        return self._unpack(self.work / "cache/archives", destination)

    def _unpack(self, folder, destination):
        destination.mkdir()
        packages = sorted(folder.glob("*.deb"))
        for package in packages:
            _run("dpkg-deb", "-x", package, destination)
            package.unlink()
        (destination / "packages.txt").write_text("".join(f"{package.stem}\n" for package in packages))
        return destination

    def _apt(self, *command, cwd=None):
        return _run(*command, env={**os.environ, "APT_CONFIG": str(self.work / "apt.conf")}, cwd=cwd,
                    remedy=f"The mirror in use is {self.mirror}; PEERLANE_VM_MIRROR names another one. What is in "
                           f"{directory()} is not fetched again.")


def _mirror():
    """Where this host takes its own Debian packages from."""
    targets = _run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages").splitlines()
    sites = [site for site, release in (line.rsplit(" ", 1) for line in targets) if release == _codename()]
    if not sites:
        raise CannotFetch(f"apt has no source for {_codename()} here; PEERLANE_VM_MIRROR can name a mirror of Debian")
    return sites[0]


def _codename():
    lines = pathlib.Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line).get("VERSION_CODENAME", "bookworm").strip('"')


def _run(*command, remedy="", **options):
    try:
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, **options)
    except FileNotFoundError:
        raise CannotFetch(f"{command[0]} is not installed: run scripts/setup vm") from None
    if done.returncode != 0:
        raise CannotFetch(f"{' '.join(map(str, command))} ended with status {done.returncode}: {done.stderr.strip()} "
                          f"{remedy}")
    return done.stdout


@contextlib.contextmanager
def _locked():
    """Tests run at the same time: one fetches, the others wait."""
    directory().mkdir(parents=True, exist_ok=True)
    with open(directory() / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _workplace():
    """A directory within the cache: what is complete is renamed out of it, so that nothing incomplete is ever found."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="fetching-", dir=directory()))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    try:
        print(kernel().directory)
        print(root())
    except CannotFetch as failure:
        sys.exit(f"vm: {failure}")


if __name__ == "__main__":
    main()
