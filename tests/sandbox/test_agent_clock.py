"""The difference of two clocks, bounded by answers that have whole seconds only."""

import http.server
import math
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from auditor.sandbox.agent import clock
from auditor.sandbox.agent.clock import Answer, offset, read_clock


@given(
    st.floats(min_value=-1e4, max_value=1e4),
    st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=60),
            st.floats(min_value=0, max_value=2),
            st.floats(min_value=0, max_value=2),
        ),
        min_size=1,
        max_size=40,
    ),
)
def test_the_bounds_hold_the_difference(ahead: float, round_trips: list[tuple[float, float, float]]) -> None:
    answers = []
    for asked, out, back in round_trips:
        server = 1e6 + asked + out + ahead
        answers.append(Answer(1e6 + asked, 1e6 + asked + out + back, float(math.floor(server))))

    low, high = offset(answers)

    assert low - 1e-6 <= ahead <= high + 1e-6
    assert high - low <= 1 + max(out + back for _, out, back in round_trips) + 1e-6


@given(st.floats(min_value=-1e4, max_value=1e4), st.floats(min_value=0, max_value=1))
def test_a_second_of_answers_bounds_it_closely(ahead: float, start: float) -> None:
    every_seconds, round_trip = 0.04, 0.002
    moments = [1e6 + start + number * every_seconds for number in range(30)]

    low, high = offset(Answer(m, m + round_trip, float(math.floor(m + round_trip / 2 + ahead))) for m in moments)

    assert high - low <= every_seconds + 2 * round_trip + 1e-6


def test_answers_that_contradict_each_other_are_no_answer() -> None:
    with pytest.raises(ValueError, match=r"contradict each other by 7\.900 s"):
        offset([Answer(100, 100.1, 100), Answer(101, 101.1, 110)])


def test_no_answer_is_none() -> None:
    with pytest.raises(ValueError, match="no answer"):
        offset([])


class _Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ahead_seconds = 0.0

    def do_GET(self) -> None:
        self.send_response_only(403)
        self.send_header("Date", formatdate(time.time() + self.ahead_seconds, usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Server]]:
    """A server with a certificate that nobody signed, where pods look for the API server."""
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    handler = type("Handler", (_Server,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_port))
        yield handler
        server.shutdown()


def test_a_server_that_is_ahead_is_found_out(api_server: type[_Server]) -> None:
    api_server.ahead_seconds = 7.25

    found = read_clock(1.1)

    assert found["ahead_at_least_seconds"] <= 7.25 <= found["ahead_at_most_seconds"]
    assert found["ahead_at_most_seconds"] - found["ahead_at_least_seconds"] < 0.5
    assert found["answers"] > 5


def test_no_way_to_the_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr(clock, "_TIMEOUT_SECONDS", 0.5)

    assert "refused" in read_clock(0.1)["error"]


def test_without_a_server_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    assert "KUBERNETES_SERVICE_HOST" in read_clock(0.1)["error"]


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    later, number = now + timedelta(hours=1), x509.random_serial_number()
    signed = x509.CertificateBuilder(name, name, key.public_key(), number, now, later).sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "server.pem"
    path.write_bytes(private + signed.public_bytes(encoding))
    return path
