"""What went over a guest's network, as QEMU saw it between the guest's network card and everybody else: neither end
has a part in it.

    capture = Capture(directory / "capture")
    with Machine(network=..., qemu_arguments=capture.qemu_arguments) as guest:
        capture.mark(); ...; capture.streams()
"""

import collections
import os
import struct

_FILE_HEADER, _RECORD_HEADER = 24, 16
_ETHERNET, _IPV4, _TCP = 14, 0x0800, 6


class Capture:
    """Reads a file of libpcap's format that QEMU goes on writing: what it has written since the last mark()."""

    def __init__(self, path):
        self._path = path
        self._start = _FILE_HEADER
        self.qemu_arguments = ("-object", f"filter-dump,id=capture,netdev=net,file={path}")

    def mark(self):
        """Forgets what has been until now."""
        self._start = os.path.getsize(self._path)

    def bytes(self):
        """Bytes of all frames, with their headers, in both directions."""
        return sum(map(len, self._frames()))

    def streams(self):
        """What each direction of each TCP connection carried, put together by sequence numbers."""
        pieces = collections.defaultdict(list)
        for frame in self._frames():
            if len(frame) < _ETHERNET + 20 or struct.unpack_from(">H", frame, 12)[0] != _IPV4:
                continue
            packet = frame[_ETHERNET:]
            header, (length,) = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)
            if packet[9] != _TCP:
                continue
            segment = packet[header:length]
            ports, sequence = segment[:4], struct.unpack_from(">I", segment, 4)[0]
            pieces[packet[12:20] + ports].append((sequence, segment[(segment[12] >> 4) * 4:]))
        return [_put_together(parts) for parts in pieces.values()]

    def count(self, pattern):
        """How often bytes occur in what was carried."""
        return sum(stream.count(pattern) for stream in self.streams())

    def _frames(self):
        with open(self._path, "rb") as file:
            file.seek(self._start)
            data = file.read()
        frames, at = [], 0
        while at < len(data):
            kept, length = struct.unpack_from("<8xII", data, at)
            assert kept == length, "a frame is not captured as a whole"
            frames.append(data[at + _RECORD_HEADER:at + _RECORD_HEADER + kept])
            at += _RECORD_HEADER + kept
        return frames


def _put_together(parts):
    first = parts[0][0]
    stream = bytearray()
    for sequence, payload in parts:
        at = (sequence - first + (1 << 31)) % (1 << 32) - (1 << 31)
        if at < 0:  # sent again: it was there before the mark
            payload, at = payload[-at:], 0
        if len(stream) < at + len(payload):
            stream.extend(bytes(at + len(payload) - len(stream)))
        stream[at:at + len(payload)] = payload
    return bytes(stream)
