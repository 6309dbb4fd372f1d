"""A path to a server that can be cut: a listener on the loopback that passes connections on to a port of this host.

    with Relay(port) as relay:
        ... connect to relay.port ...
        relay.cut()        its connections end, and nobody can connect
        relay.restore()    new connections are passed on again
"""

import contextlib
import socket
import threading


class Relay:
    def __init__(self, destination):
        """Passes on to 127.0.0.1:`destination`."""
        self.destination = destination
        self._listener = None
        self._connections = []
        self._lock = threading.Lock()

    def __enter__(self):
        self._listen(0)
        self.port = self._listener.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.cut()

    def restore(self):
        self._listen(self.port)

    def cut(self):
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, []
        for end in ([listener] if listener else []) + connections:
            # A thread may be waiting on it: shutdown wakes it up, close alone would not.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self, port):
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.destination))
            except OSError:
                return
            with self._lock:
                if self._listener is not listener:
                    near.close()
                    far.close()
                    return
                self._connections += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
