"""A TCP proxy on the way to a target, which does to connections what networks do: cuts them, or swallows them.

    with Proxy("127.0.0.1", port) as proxy:
        ... proxy.port ...
        proxy.reset()       # both ends see a reset
        proxy.close()       # both ends see an orderly end
        proxy.freeze()      # nothing moves any more on the connections that there are, and nobody is told
        proxy.refuse(); ...; proxy.accept()
"""

import select
import socket
import struct
import threading

CHUNK = 256 << 10
STALL_SECONDS = 0.2  # how often a pump that cannot move anything looks whether it is to end
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with a time of 0: close() sends a reset


class Connection:
    """One connection through the proxy: a pair of sockets, and a thread for each direction."""

    def __init__(self, client, server):
        self.ends = (client, server)
        self.frozen = threading.Event()
        self.ended = threading.Event()
        self.passed = {client: 0, server: 0}  # bytes, by where they came from
        self.pumps = [threading.Thread(target=self._pump, args=pair, daemon=True)
                      for pair in ((client, server), (server, client))]
        for end in self.ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pump in self.pumps:
            pump.start()

    def _pump(self, source, sink):
        try:
            while not self.ended.is_set():
                if not select.select([source], [], [], STALL_SECONDS)[0]:
                    continue
                if self.frozen.is_set():
                    self.ended.wait(STALL_SECONDS)
                    continue
                data = source.recv(CHUNK)
                if not data:
                    break
                self.passed[source] += len(data)
                sink.sendall(data)
        except OSError:
            pass
        self.ended.set()
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self, reset):
        """Ends the connection at both ends."""
        if reset:
            for end in self.ends:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.ended.set()
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            except OSError:
                pass
        for pump in self.pumps:
            pump.join()
        for end in self.ends:
            end.close()


class Proxy:
    """Listens on a port of the loopback and passes on what comes to `host`:`port`."""

    def __init__(self, host, port, listen="127.0.0.1"):
        self.destination = (host, port)
        self.listen_address = listen
        self.connections = []
        self.lock = threading.Lock()
        self.refusing = False
        self.stopping = False
        self.accepted = 0  # connections so far
        self.all = []  # of them

    def __enter__(self):
        self.listener = socket.create_server((self.listen_address, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()
        return self

    def __exit__(self, *exception):
        self.stopping = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
        self.reset()

    def _accept(self):
        while not self.stopping:
            try:
                client, _ = self.listener.accept()
            except OSError:
                continue
            if self.refusing:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            try:
                server = socket.create_connection(self.destination, timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.accepted += 1
                self.connections.append(Connection(client, server))
                self.all.append(self.connections[-1])

    def _take(self):
        with self.lock:
            connections, self.connections = self.connections, []
        return connections

    def passed(self):
        """Bytes that have come through so far, in both directions."""
        with self.lock:
            return sum(sum(connection.passed.values()) for connection in self.all)

    def reset(self):
        """Cuts all connections with a reset."""
        for connection in self._take():
            connection.cut(reset=True)

    def close(self):
        """Cuts all connections in the orderly way."""
        for connection in self._take():
            connection.cut(reset=False)

    def freeze(self):
        """Swallows all connections: they stay open, and nothing comes through any more. New ones work."""
        with self.lock:
            for connection in self.connections:
                connection.frozen.set()

    def refuse(self):
        """New connections are reset at once."""
        self.refusing = True

    def accept(self):
        """New connections are passed on again."""
        self.refusing = False
