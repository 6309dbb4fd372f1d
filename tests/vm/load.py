"""Verified I/O in the guest that goes on while something happens to the disk."""

FIO = """
passes=0
while [ ! -e {stop} ]; do
  fio --name=load --filename={file} --rw=randwrite --bs=4k-64k --size=16m --ioengine=libaio --iodepth=8 --direct=1 \\
      --verify=crc32c --verify_fatal=1 --randseed=$passes --output-format=terse > /dev/null
  passes=$((passes + 1))
done
echo $passes passes
"""


class Load:
    """Writes and reads back, pass after pass, until finish(). `file` is a file or a disk of at least 16 MiB."""

    def __init__(self, guest, file):
        self.guest = guest
        self.stop = f"/run/stop{file.replace('/', '-')}"
        self.job = guest.start(FIO.format(file=file, stop=self.stop))

    def wait_for_progress(self, disk, timeout=120):
        """Waits until `disk`, a name in /dev, has ended 100 more requests."""
        stat = f"awk '{{ print $1 + $5 }}' /sys/block/{disk.removeprefix('/dev/')}/stat"
        self.guest.run(f"end=$(( $({stat}) + 100 )); while [ $({stat}) -lt $end ]; do sleep 0.1; done", timeout)

    def finish(self, timeout=120):
        """Ends after the pass that is going on; how many passes there were, all of them without an error."""
        self.guest.run(f"touch {self.stop}")
        return int(self.guest.finish(self.job, timeout).split()[0])
