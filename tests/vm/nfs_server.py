"""The guest's own NFS server, for its own client. No program of nfs-utils takes part: what mountd would be asked is
told to the kernel beforehand (Documentation/filesystems/nfs/rpc-cache.rst of Linux)."""

# Nothing is kept of clients across restarts of the server, which has none here.
EXPECTED_IN_KERNEL_LOG = ("NFSD: Unable to initialize client recovery tracking", "NFSD: Is nfsdcld running")

EXPORTS = "/run/exports"
_FLAGS = 0x6402  # insecure ports, no subtree check, a number of its own; mounts below are crossed into (nfsd/export.h)
_NEVER = 0x7fffffff
# Of the first seconds the server keeps all for clients of its life before; this is the least that there is.
_GRACE = 10


def start(guest, **directories):
    """Exports directories by name. They can be used some ten seconds later: see ready()."""
    exports = [EXPORTS, *(f"{EXPORTS}/{name}" for name in directories)]
    said = "".join(f"""
        echo 'all 1 \\x{number:02x}000000 {_NEVER} {path}' > /proc/net/rpc/nfsd.fh/channel
        echo 'all {path} {_NEVER} {_FLAGS} 65534 65534 {number}' > /proc/net/rpc/nfsd.export/channel"""
                   for number, path in enumerate(exports))
    guest.run(f"modprobe nfsd; modprobe nfsv4; mkdir {EXPORTS}; mount -t tmpfs tmpfs {EXPORTS}")
    for name, directory in directories.items():
        guest.run(f"mkdir {EXPORTS}/{name}; mount --bind {directory} {EXPORTS}/{name}")
    guest.run(f"""
        mount -t nfsd nfsd /proc/fs/nfsd
        echo 'nfsd 127.0.0.1 {_NEVER} all' > /proc/net/rpc/auth.unix.ip/channel
        {said}
        cd /proc/fs/nfsd
        echo '-3 +4 +4.1 +4.2' > versions
        echo {_GRACE} > nfsv4gracetime
        echo 'tcp 2049' > portlist
        echo 2 > threads""")


def mount(guest, name, place, version):
    """Mounts an export; waits until the server lets files be opened."""
    options = f"vers={version},sec=sys,nosharecache,clientaddr=127.0.0.1,addr=127.0.0.1"
    guest.run(f"mkdir -p {place}; mount -t nfs4 -o {options} 127.0.0.1:/{name} {place}; : > {place}/open; "
              f"rm {place}/open")


def stop(guest):
    guest.run(f"""
        echo 0 > /proc/fs/nfsd/threads
        umount /proc/fs/nfsd {EXPORTS}/*
        umount {EXPORTS}""")


def operations(guest, place, *names):
    """What a mount has asked of its server, by name: (operations, bytes sent, bytes received)."""
    found = {}
    here = False
    for line in guest.run("cat /proc/self/mountstats").splitlines():
        words = line.split()
        if words and words[0] == "device":
            here = words[4] == place
        elif here and words and words[0].rstrip(":") in names:
            found[words[0].rstrip(":")] = int(words[1]), int(words[4]), int(words[5])
    return found
