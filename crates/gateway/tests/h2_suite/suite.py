"""HTTP/2 as a client that knows the rules, and breaks them: a check per
function, with PyPI's h2, hpack and hyperframe as the peer.

`suite.py HOST PORT`. Prints `ok NAME` or `FAILED NAME: why` per check. The
upstream behind the gateway answers by path; see `tests/gateway/http2.rs`.
"""

import json
import socket
import struct
import sys
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hpack
from hyperframe.frame import (
    ContinuationFrame, DataFrame, Frame, HeadersFrame, PingFrame, PriorityFrame,
    RstStreamFrame, SettingsFrame, WindowUpdateFrame,
)

HOST, PORT = sys.argv[1], int(sys.argv[2])
DEADLINE = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def connect():
    sock = socket.create_connection((HOST, PORT), timeout=DEADLINE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def head(path="/", method="GET", authority="a.example", scheme="http", *more):
    return [(":method", method), (":scheme", scheme), (":authority", authority),
            (":path", path), *more]


class Response:
    def __init__(self):
        self.headers = None
        self.body = b""
        self.trailers = None
        self.reset = None
        self.ended = False

    def __getitem__(self, name):
        values = [value.decode() for key, value in self.headers if key.decode() == name]
        return values[0] if values else None

    @property
    def status(self):
        return self.headers and int(self[":status"])

    def json(self):
        return json.loads(self.body)


class Peer:
    """A client that keeps the rules."""

    def __init__(self, acknowledge=True, settings=None):
        self.sock = connect()
        self.acknowledge = acknowledge
        config = h2.config.H2Configuration(client_side=True, header_encoding=None,
                                           validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        if settings:
            self.h2.local_settings.update(settings)
        self.h2.initiate_connection()
        self.streams = {}
        self.goaway = None
        self.closed = False
        self.pings = 0
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def start(self, headers, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.streams[stream] = Response()
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()
        return stream

    def send(self, stream, body, end=True):
        while body:
            window = min(self.h2.local_flow_control_window(stream),
                         self.h2.max_outbound_frame_size, len(body))
            if window == 0:
                self.pump()
                if self.streams[stream].reset is not None or self.closed:
                    return
                continue
            self.h2.send_data(stream, body[:window])
            body = body[window:]
            self.flush()
        if end:
            self.h2.end_stream(stream)
        self.flush()

    def pump(self):
        """Reads once; False at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self.on(event)
        self.flush()
        return True

    def on(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = event.headers
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            if self.acknowledge:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            if stream:
                stream.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1

    def until(self, condition):
        while not condition():
            if not self.pump():
                break
        return condition()

    def wait(self, stream):
        response = self.streams[stream]
        self.until(lambda: response.ended or response.reset is not None or self.goaway)
        return response

    def request(self, headers, body=None):
        stream = self.start(headers, end=body is None)
        if body is not None:
            self.send(stream, body)
        return self.wait(stream)

    def get(self, path="/", *more):
        return self.request(head(path, "GET", "a.example", "http", *more))


class Rude:
    """A client that writes frames as it likes."""

    def __init__(self, settings=True):
        self.sock = connect()
        self.encoder = hpack.Encoder()
        self.sock.sendall(PREFACE + (SettingsFrame().serialize() if settings else b""))
        self.frames = []
        self.rest = b""

    def write(self, *frames):
        try:
            self.sock.sendall(b"".join(
                frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))
        except ConnectionError:
            pass

    def headers(self, stream, headers, end=True, end_headers=True):
        frame = HeadersFrame(stream, self.encoder.encode(headers))
        if end:
            frame.flags.add("END_STREAM")
        if end_headers:
            frame.flags.add("END_HEADERS")
        return frame

    def read(self, wanted):
        """Reads until a frame is as wanted; None at the end."""
        while True:
            while len(self.rest) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.rest[:9]))
                if len(self.rest) < 9 + length:
                    break
                frame.parse_body(memoryview(self.rest[9:9 + length]))
                self.rest = self.rest[9 + length:]
                if wanted(frame):
                    return frame
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self.rest += data

    def outcome(self, stream):
        """What became of a stream: its status, `reset`, `goaway` or `closed`."""
        frame = self.read(lambda frame: type(frame).__name__ == "GoAwayFrame" or (
            frame.stream_id == stream
            and isinstance(frame, (HeadersFrame, RstStreamFrame))))
        if frame is None:
            return "closed"
        if isinstance(frame, HeadersFrame):
            decoded = dict(hpack.Decoder().decode(frame.data))
            return int(decoded[":status"])
        return "reset" if isinstance(frame, RstStreamFrame) else "goaway"


def is_refused(headers, body=None):
    """No request with these headers is answered with success."""
    peer = Rude()
    frames = [peer.headers(1, headers, end=body is None)]
    if body is not None:
        data = DataFrame(1, body)
        data.flags.add("END_STREAM")
        frames.append(data)
    peer.write(*frames)
    outcome = peer.outcome(1)
    assert outcome in ("reset", "goaway", "closed", 400, 431), outcome


def still_serves():
    assert Peer().get("/head").status == 200


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def settings_have_bounds():
    peer = Peer()
    peer.get("/head")
    settings = peer.h2.remote_settings
    assert 1 <= settings.max_concurrent_streams <= 256, settings.max_concurrent_streams
    assert settings.max_header_list_size <= 64 << 10, settings.max_header_list_size
    assert settings.initial_window_size <= 1 << 20


@check
def a_broken_preface_is_no_http2():
    for bytes in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/1.1\r\n\r\n"):
        sock = connect()
        sock.sendall(bytes)
        answer = sock.recv(65536)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer
    still_serves()


@check
def a_preface_in_pieces_is_one():
    sock = connect()
    for at in range(len(PREFACE)):
        sock.sendall(PREFACE[at:at + 1])
        time.sleep(0.001)
    sock.sendall(SettingsFrame().serialize())
    assert len(sock.recv(9)) == 9


@check
def a_request_is_answered():
    response = Peer().get("/head?q=1")
    assert response.status == 200 and response["x-banyan-side"] == "monolith", response.headers
    seen = response.json()
    assert seen["method"] == "GET" and seen["path"] == "/head?q=1", seen
    assert seen["headers"]["host"] == ["a.example"], seen
    assert seen["headers"]["x-forwarded-proto"] == ["http"], seen
    assert not [name for name in seen["headers"] if name.startswith(":")], seen


@check
def many_requests_at_once():
    peer = Peer()
    streams = [peer.start(head(f"/head?{number}")) for number in range(100)]
    for number, stream in enumerate(streams):
        assert peer.wait(stream).json()["path"] == f"/head?{number}"


@check
def too_many_requests_at_once_are_refused_and_the_rest_goes_on():
    peer = Rude()
    peer.write(*[peer.headers(1 + 2 * number, head("/stall")) for number in range(200)])
    reset = peer.read(lambda frame: isinstance(frame, RstStreamFrame))
    assert reset.error_code == h2.errors.ErrorCodes.REFUSED_STREAM, reset
    peer.sock.close()
    still_serves()


@check
def bodies_larger_than_the_window_pass():
    body = bytes(range(256)) * 8192
    peer = Peer()
    response = peer.request(head("/echo", "POST"), body)
    assert response.status == 200 and response.body == body, len(response.body)
    assert response["content-length"] is None or int(response["content-length"]) == len(body)


@check
def bodies_of_writes_of_an_extraction_pass():
    for size in (0, 10, 3 << 20):
        response = Peer().request(head("/api/contracts/echo", "POST"), b"x" * size)
        assert response.status == 200 and len(response.body) == size, (size, response.status)


@check
def the_clients_window_is_kept_to():
    peer = Peer(acknowledge=False)
    stream = peer.start(head("/large"))
    response = peer.streams[stream]
    assert peer.until(lambda: len(response.body) == 65535)
    # Another request on the same connection cannot get data, but headers.
    other = peer.start(head("/head", "HEAD"))
    assert peer.wait(other).status == 200
    assert len(response.body) == 65535
    peer.acknowledge = True
    peer.h2.increment_flow_control_window(1 << 20)
    peer.h2.increment_flow_control_window(1 << 20, stream)
    peer.flush()
    peer.wait(stream)
    assert len(response.body) == 8 << 20, len(response.body)


@check
def a_small_window_is_kept_to():
    peer = Rude()
    peer.write(SettingsFrame(0, {4: 10}), peer.headers(1, head("/large")))
    data = peer.read(lambda frame: isinstance(frame, DataFrame))
    assert len(data.data) == 10, len(data.data)
    peer.write(PingFrame(0, opaque_data=b"12345678"))
    frame = peer.read(lambda frame: isinstance(frame, (DataFrame, PingFrame)))
    assert isinstance(frame, PingFrame), frame


@check
def large_heads_pass_to_a_bound():
    peer = Peer()
    assert peer.get("/head", ("x-large", "y" * 20_000)).status == 200
    response = peer.get("/head", ("x-large", "y" * 60_000))
    assert response.status == 431 or response.reset is not None or peer.goaway, response.status
    still_serves()


@check
def many_headers_pass_to_a_bound():
    peer = Peer()
    response = peer.get("/head", *[(f"x-{number}", "y") for number in range(60)])
    assert response.status == 200, response.status
    is_refused(head("/head", "GET", "a", "http", *[(f"x-{number}", "y" * 20) for number in range(2000)]))


@check
def heads_in_continuations_are_one():
    peer = Rude()
    block = peer.encoder.encode(head("/head", "GET", "a", "http", ("x-long", "z" * 5000)))
    first = HeadersFrame(1, block[:10])
    first.flags.add("END_STREAM")
    frames = [first] + [ContinuationFrame(1, block[at:at + 2000]) for at in range(10, len(block), 2000)]
    frames[-1].flags.add("END_HEADERS")
    peer.write(*frames)
    assert peer.outcome(1) == 200


@check
def a_flood_of_continuations_ends_the_connection():
    peer = Rude()
    first = HeadersFrame(1, peer.encoder.encode(head("/head")))
    peer.write(first)
    for _ in range(2000):
        peer.write(ContinuationFrame(1, b"\x00\x01a" + b"\x7e" + b"x" * 126))
    assert peer.outcome(1) in ("goaway", "closed", "reset", 431)
    still_serves()


@check
def a_flood_of_empty_continuations_ends_the_connection():
    peer = Rude()
    peer.write(HeadersFrame(1, peer.encoder.encode(head("/head"))))
    for _ in range(20):
        peer.write(*[ContinuationFrame(1, b"") for _ in range(1000)])
    assert peer.outcome(1) in ("goaway", "closed", "reset", 431)
    still_serves()


@check
def nothing_comes_between_headers_and_continuation():
    peer = Rude()
    peer.write(HeadersFrame(1, peer.encoder.encode(head("/head"))),
               PingFrame(0, opaque_data=b"12345678"))
    assert peer.outcome(1) in ("goaway", "closed")


@check
def answers_have_trailers():
    response = Peer().request(head("/trailers", "GET", "a", "http", ("te", "trailers")))
    assert response.body == b"body", response.body
    assert dict(response.trailers)[b"x-sum"] == b"7", response.trailers


@check
def requests_have_trailers():
    for path in ("/echo-trailers", "/api/contracts/echo-trailers"):
        peer = Peer()
        stream = peer.start(head(path, "POST", "a", "http", ("trailer", "x-mine")), end=False)
        peer.send(stream, b"body", end=False)
        peer.h2.send_headers(stream, [("x-mine", "9")], end_stream=True)
        peer.flush()
        response = peer.wait(stream)
        assert response.json() == {"body": 4, "x-mine": "9"}, response.body


@check
def a_cancelled_upload_leaves_the_rest_alone():
    peer = Peer()
    stream = peer.start(head("/cancelled", "POST"), end=False)
    peer.send(stream, b"half", end=False)
    peer.h2.reset_stream(stream)
    peer.flush()
    assert peer.get("/head").status == 200
    end = time.time() + DEADLINE
    while Peer().get("/counts").json()["cut-off"] == 0:
        assert time.time() < end, "the upstream was not told"


@check
def a_cancelled_download_leaves_the_rest_alone():
    peer = Peer(acknowledge=False)
    stream = peer.start(head("/large"))
    assert peer.until(lambda: peer.streams[stream].body)
    peer.h2.reset_stream(stream)
    peer.h2.increment_flow_control_window(1 << 20)
    peer.flush()
    assert peer.get("/head").status == 200


@check
def uppercase_names_are_refused():
    is_refused(head("/head", "GET", "a", "http", ("X-Upper", "1")))


@check
def names_with_odd_characters_are_refused():
    for name in ("a b", "a:b", "a\r\nb", "a\0", "", "\xe9"):
        is_refused(head("/head", "GET", "a", "http", (name.encode("latin-1"), b"1")))


@check
def line_ends_and_nul_in_values_are_refused():
    for value in (b"a\r\nx-smuggled: 1", b"a\nb", b"a\rb", b"a\0b"):
        is_refused(head("/head", "GET", "a", "http", (b"x-value", value)))
    for path in ("/head\r\nhost: b", "/he ad", "/head\0"):
        is_refused(head(path))
    is_refused(head("/head", "GET", "a\r\nx: y"))
    is_refused(head("/head", "GET\r\nx: y"))
    is_refused(head("/head HTTP/1.1\r\nhost: a\r\n\r\nGET /smuggled"))


@check
def headers_of_a_connection_are_refused():
    for name, value in (("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "x"),
                        ("upgrade", "websocket"), ("transfer-encoding", "chunked"),
                        ("te", "gzip"), ("te", "trailers, gzip")):
        is_refused(head("/echo", "POST", "a", "http", (name, value)), b"0\r\n\r\nGET /smuggled")


@check
def there_are_as_many_headers_as_over_http1():
    response = Peer().get("/head", *[("x-n", "1")] * 201)
    # By the gateway: the upstream has a bound of its own.
    assert response.status == 431 and b"too-many-headers" in response.body, response.headers
    # Browsers send each part of a cookie by itself.
    crumbs = [("cookie", f"a{number}=1") for number in range(150)]
    assert Peer().get("/head", *crumbs).status == 200


@check
def the_scheme_has_a_port_of_its_own():
    assert Peer().request(head("/head", "GET", "a:80", "http", ("host", "a"))).status == 200
    assert Peer().request(head("/head", "GET", "a:81", "http", ("host", "a"))).status == 400


@check
def te_trailers_is_allowed():
    response = Peer().get("/head", ("te", "trailers"))
    assert response.json()["headers"]["te"] == ["trailers"]


@check
def pseudo_headers_must_be_right():
    good = dict(head("/head"))
    for missing in (":method", ":scheme", ":path"):
        is_refused([(name, value) for name, value in good.items() if name != missing])
    for double in good.items():
        is_refused([*good.items(), double])
    is_refused([("x-first", "1"), *good.items()])
    is_refused([*good.items(), ("x-first", "1"), (":path", "/head")])
    is_refused([*good.items(), (":unknown", "1")])
    is_refused([*good.items(), (":status", "200")])
    is_refused([*good.items(), (":protocol", "websocket")])


@check
def trailers_without_pseudo_headers():
    peer = Rude()
    peer.write(peer.headers(1, head("/echo", "POST"), end=False),
               peer.headers(1, [(":path", "/smuggled"), ("x", "1")]))
    # What is no trailer is dropped; the upstream would say if it came.
    assert peer.outcome(1) in ("reset", "goaway", "closed", 200, 400)


@check
def paths_must_be_paths():
    for path in ("", "head", "http://b/head", "*", "/a/../b", "//head?"):
        peer = Rude()
        peer.write(peer.headers(1, head(path)))
        outcome = peer.outcome(1)
        assert outcome in ("reset", "goaway", "closed", 400) or path == "//head?", (path, outcome)


@check
def schemes_and_connect_are_refused():
    is_refused(head("/head", "GET", "a", "ftp"))
    is_refused([(":method", "CONNECT"), (":authority", "a:1")])


@check
def authority_and_host_must_agree():
    assert Peer().get("/head", ("host", "A.example")).status == 200
    is_refused(head("/head", "GET", "a", "http", ("host", "b")))
    is_refused(head("/head", "GET", "a", "http", ("host", "a"), ("host", "a")))
    is_refused(head("/head", "GET", "user@a"))
    is_refused(head("/head", "GET", "a/b"))
    only_host = [(":method", "GET"), (":scheme", "http"), (":path", "/head"), ("host", "b")]
    assert Peer().request(only_host).json()["headers"]["host"] == ["b"]
    is_refused(only_host[:3])


@check
def lengths_must_agree():
    for length in ("3", "5", "-1", "+4", "4,4", "x"):
        is_refused(head("/echo", "POST", "a", "http", ("content-length", length)), b"four")
    is_refused(head("/echo", "POST", "a", "http", ("content-length", "4"), ("content-length", "5")), b"four")
    response = Peer().request(head("/echo", "POST", "a", "http", ("content-length", "4")), b"four")
    assert response.body == b"four"


@check
def crumbs_make_one_cookie():
    response = Peer().get("/head", ("cookie", "a=1"), ("cookie", "b=2"))
    assert response.json()["headers"]["cookie"] == ["a=1; b=2"], response.body


@check
def headers_of_the_upstreams_connection_do_not_come_through():
    response = Peer().get("/hop")
    names = {name for name, _ in response.headers}
    assert response.status == 200, response.status
    for gone in (b"connection", b"keep-alive", b"transfer-encoding", b"x-hop", b"upgrade"):
        assert gone not in names, names


@check
def head_has_no_body_and_204_neither():
    peer = Peer()
    response = peer.request(head("/large", "HEAD"))
    assert response.status == 200 and response.body == b""
    assert response["content-length"] == str(8 << 20)
    assert peer.get("/nothing").status == 204


@check
def a_client_that_cancels_all_is_sent_away():
    peer = Rude()
    for number in range(2000):
        stream = 1 + 2 * number
        peer.write(peer.headers(stream, head("/stall")),
                   RstStreamFrame(stream, error_code=h2.errors.ErrorCodes.CANCEL))
    assert peer.outcome(1) in ("goaway", "closed")
    still_serves()


@check
def a_client_that_cancels_slowly_is_sent_away_too():
    peer = Rude()
    for number in range(600):
        stream = 1 + 2 * number
        peer.write(peer.headers(stream, head("/stall")))
        if number % 10 == 9:
            # Each request has been begun, as the answer to the ping says.
            peer.write(PingFrame(0, opaque_data=b"12345678"))
            if peer.read(lambda frame: isinstance(frame, PingFrame)) is None:
                break
        peer.write(RstStreamFrame(stream, error_code=h2.errors.ErrorCodes.CANCEL))
    assert peer.outcome(1) in ("goaway", "closed")
    still_serves()


@check
def provoked_resets_end_the_connection():
    peer = Rude()
    peer.write(*[peer.headers(1 + 2 * number, head("/head", "GET", "a", "http", ("connection", "x")))
                 for number in range(2000)])
    frame = peer.read(lambda frame: type(frame).__name__ == "GoAwayFrame")
    # Closed without reading the rest is as good.
    assert frame is None or frame.error_code != 0, frame
    still_serves()


@check
def pings_are_answered_and_a_flood_is_borne():
    peer = Peer()
    peer.h2.ping(b"abcdefgh")
    peer.flush()
    assert peer.until(lambda: peer.pings == 1)
    rude = Rude()
    rude.sock.setblocking(False)
    flood = PingFrame(0, opaque_data=b"12345678").serialize() * 1000
    sent = 0
    # Until the gateway reads no more, or has read more than it could keep.
    while sent < 64 << 20:
        try:
            sent += rude.sock.send(flood)
        except BlockingIOError:
            time.sleep(0.05)
            try:
                sent += rude.sock.send(flood)
            except (BlockingIOError, ConnectionError):
                break
        except ConnectionError:
            break
    assert sent < 64 << 20, "answers to pings are queued without a bound"
    rude.sock.close()
    still_serves()


@check
def a_flood_of_settings_is_borne():
    rude = Rude()
    rude.sock.setblocking(False)
    flood = SettingsFrame(0, {3: 100}).serialize() * 1000
    sent = 0
    while sent < 64 << 20:
        try:
            sent += rude.sock.send(flood)
        except BlockingIOError:
            time.sleep(0.05)
            try:
                sent += rude.sock.send(flood)
            except (BlockingIOError, ConnectionError):
                break
        except ConnectionError:
            break
    assert sent < 64 << 20, "acknowledgements are queued without a bound"
    rude.sock.close()
    still_serves()


@check
def empty_data_frames_do_not_starve_others():
    peer = Rude()
    peer.write(peer.headers(1, head("/echo", "POST"), end=False))
    for _ in range(100):
        peer.write(*[DataFrame(1, b"") for _ in range(100)])
    still_serves()


@check
def window_updates_must_be_sane():
    for frame in (WindowUpdateFrame(0, window_increment=2**31 - 1),
                  b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + struct.pack(">I", 0)):
        peer = Rude()
        peer.write(frame)
        assert peer.outcome(1) in ("goaway", "closed")


@check
def frames_must_be_in_their_place():
    unnumbered = HeadersFrame(2, b"")
    unnumbered.flags.add("END_HEADERS")
    for frame in (DataFrame(1, b"x"), unnumbered, RstStreamFrame(1, error_code=8),
                  b"\x00\x00\x05\x06\x00\x00\x00\x00\x00xxxxx",
                  b"\x00\x40\x01\x00\x00\x00\x00\x00\x01" + b"x" * 16385):
        peer = Rude()
        peer.write(frame)
        assert peer.outcome(1) in ("goaway", "closed"), frame


@check
def broken_compression_ends_the_connection():
    peer = Rude()
    frame = HeadersFrame(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff")
    frame.flags.add("END_HEADERS")
    peer.write(frame)
    assert peer.outcome(1) in ("goaway", "closed")


@check
def what_is_not_known_is_ignored():
    peer = Rude()
    peer.write(b"\x00\x00\x02\xee\xff\x00\x00\x00\x00hi", PriorityFrame(9, depends_on=1, stream_weight=5),
               peer.headers(1, head("/head")))
    assert peer.outcome(1) == 200


@check
def a_drain_says_goodbye_and_lets_requests_end():
    peer = Rude()
    peer.write(peer.headers(1, head("/slow")), PingFrame(0, opaque_data=b"12345678"))
    # It has been begun.
    peer.read(lambda frame: isinstance(frame, PingFrame))
    print("drain", flush=True)
    seen = []

    def note(frame):
        seen.append(frame)
        if isinstance(frame, PingFrame):
            answer = PingFrame(0, opaque_data=frame.opaque_data)
            answer.flags.add("ACK")
            peer.write(answer)
        if type(frame).__name__ == "GoAwayFrame":
            # Only now is the request answered.
            print("goodbye", flush=True)

    assert peer.read(note) is None
    names = [type(frame).__name__ for frame in seen]
    assert "GoAwayFrame" in names and names.index("GoAwayFrame") < names.index("HeadersFrame"), names
    assert all(frame.error_code == 0 for frame in seen if type(frame).__name__ == "GoAwayFrame")
    body = b"".join(frame.data for frame in seen if isinstance(frame, DataFrame))
    assert body == b"at last", body


def main():
    failed = 0
    for function in CHECKS:
        try:
            function()
            print("ok", function.__name__, flush=True)
        except Exception as error:  # whatever it is, it is a failed check
            failed += 1
            print(f"FAILED {function.__name__}: {type(error).__name__} {error}", flush=True)
    print(f"{len(CHECKS)} checks, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


main()
