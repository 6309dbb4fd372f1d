"""Linux's own initiator in a guest: iscsid, iscsiadm, and udev, which names the disks.

    initiator = OpenIscsi(guest)
    disk = initiator.log_in(target, port).disk(0)

The target listens on the host's 127.0.0.1. Discovery tells the guest that address, which would be the guest itself;
so records are made for the address at which the guest reaches the host.
"""

import shlex

import machine

NAME = "iqn.2026-11.test:guest"
DIGESTS = {"node.conn[0].iscsi.HeaderDigest": "CRC32C", "node.conn[0].iscsi.DataDigest": "CRC32C"}


def settle(guest):
    """Waits until udev has done its work. On a busy machine udevd may hang up on who asks: then it is asked again."""
    guest.wait_until("udevadm settle", 60)


class OpenIscsi:
    def __init__(self, guest, name=NAME):
        self.guest = guest
        # The answer may be here before the kernel has let go of the request that it has sent; iscsid tries again.
        guest.expect_in_kernel_log("Login/Text in progress. Cannot start new task")
        guest.run(f"""
            echo InitiatorName={name} > /etc/iscsi/initiatorname.iscsi
            modprobe iscsi_tcp; modprobe sd_mod; modprobe sg
            /lib/systemd/systemd-udevd --daemon
            udevadm trigger --action=add
            iscsid
        """)
        settle(guest)

    def discover(self, port):
        """What a discovery session finds: (portal, target) of each record."""
        lines = self.guest.run(f"iscsiadm -m discovery -t sendtargets -p {machine.HOST}:{port}").splitlines()
        self.guest.run("iscsiadm -m node -o delete")
        return [(portal.split(",")[0], target) for portal, target in (line.split() for line in lines)]

    def log_in(self, target, port, settings=None, check=True):
        """Makes a record and logs in; the session. With check=False status and output."""
        session = Session(self.guest, target, port)
        session.record("-o new")
        for name, value in (settings or {}).items():
            session.record(f"-o update -n '{name}' -v {shlex.quote(value)}")
        result = self.guest.run(f"iscsiadm -m node {session.which} --login", check=False)
        if not check:
            return result
        if result[0] != 0:
            raise machine.GuestError(f"no login: {result[1]}")
        settle(self.guest)
        return session

    def log_out_everywhere(self):
        self.guest.run("iscsiadm -m node --logoutall=all")


class Session:
    """A session of the guest with one portal of a target."""

    def __init__(self, guest, target, port):
        self.guest, self.target, self.port = guest, target, port
        self.which = f"-T {target} -p {machine.HOST}:{port}"

    def record(self, arguments):
        self.guest.run(f"iscsiadm -m node {self.which} {arguments}")

    def link(self, lun=0):
        """The name that udev makes of the path to a LUN."""
        return f"/dev/disk/by-path/ip-{machine.HOST}:{self.port}-iscsi-{self.target}-lun-{lun}"

    def disk(self, lun=0):
        """The disk's name in /dev, as soon as there is one."""
        self.guest.wait_until(f"test -b {self.link(lun)}")
        return self.guest.run(f"readlink -f {self.link(lun)}").strip()

    def details(self):
        """What iscsiadm tells of this session, parameters and disks included."""
        text = self.guest.run("iscsiadm -m session -P 3")
        portal = f"{machine.HOST}:{self.port},"
        return next(part for part in text.split("\tCurrent Portal: ") if part.startswith(portal))

    def rescan(self):
        self.guest.run(f"iscsiadm -m node {self.which} --rescan")
        settle(self.guest)

    def log_out(self):
        self.guest.run(f"iscsiadm -m node {self.which} --logout")
        settle(self.guest)
