"""HTTP as a program uses it: one connection that stays open."""
import socket
import time


class Link:
    def __init__(self, port):
        self.port, self.socket, self.dials = port, None, 0

    def timed(self, path):
        """Seconds from the request to the last byte of its answer, and the body. An idle connection that was closed meanwhile is opened
        anew, within the time."""
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
        began = time.perf_counter()
        data = b""
        while not data:
            if self.socket is None:
                self.dial()
            try:
                self.socket.sendall(request)
                data = self.socket.recv(1 << 20)
            except ConnectionError:
                data = b""
            if not data:
                self.hang_up()
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        length = next(int(field.split(b":")[1]) for field in fields if field.startswith(b"content-length:"))
        parts, got = [body], len(body)
        while got < length:
            parts.append(self.more())
            got += len(parts[-1])
        took = time.perf_counter() - began
        assert fields[0].split()[1] == b"200", head + body[:300]
        if b"connection: close" in fields:
            self.hang_up()
        return took, b"".join(parts)

    def dial(self):
        self.dials += 1
        assert self.dials < 10000, "the engine does not keep connections open"
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def more(self):
        data = self.socket.recv(1 << 20)
        assert data, "the engine hung up within an answer"
        return data

    def hang_up(self):
        self.socket.close()
        self.socket = None


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def histogram(text, name, of):
    """[(bound in s, how many up to it)] of one class of a histogram in /metrics."""
    rows = []
    for line in text.splitlines():
        if line.startswith(f'pxengine_{name}_bucket{{class="{of}",'):
            bound = line.partition('le="')[2].partition('"')[0]
            rows.append((float(bound), int(line.rsplit(" ", 1)[1])))
    return rows


def histogram_percentile(before, after, share):
    """Seconds, between two looks at a histogram: linear within a bucket, and how many there were."""
    rows = [(bound, b - a) for (bound, b), (_, a) in zip(after, before)]
    want, low, below = rows[-1][1] * share, 0.0, 0
    for bound, count in rows:
        if count >= want and count > below:
            return (low if bound == float("inf") else low + (bound - low) * (want - below) / (count - below)), rows[-1][1]
        low, below = bound, count
    return float("nan"), 0
