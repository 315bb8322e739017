"""gRPC without generated stubs: an object's methods serve the calls of the same name."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message_factory import GetMessageClass  # type: ignore[import-untyped]

_THREADS = 8
_LOG = logging.getLogger("csi")


class RefusedError(Exception):
    """A call that the driver answers with an error.

    Attributes:
        code: name of the gRPC status code, such as ``NOT_FOUND``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Service:
    """A service by its descriptor, and the object whose methods (``NodeGetInfo`` is ``node_get_info``) serve it.

    Calls for which the object has no method are answered with UNIMPLEMENTED.
    """

    descriptor: Any
    implementation: object


@contextmanager
def serve(sockets: Sequence[Path], services: Sequence[Service]) -> Iterator[None]:
    """Serve on Unix sockets; they are gone afterwards."""
    server = grpc.server(ThreadPoolExecutor(_THREADS))
    server.add_generic_rpc_handlers(tuple(_handler(service) for service in services))
    for socket in sockets:
        socket.parent.mkdir(parents=True, exist_ok=True)
        socket.unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield
    finally:
        for socket in sockets:
            socket.unlink(missing_ok=True)
        server.stop(grace=2).wait()


def _handler(service: Service) -> Any:
    methods = {}
    for method in service.descriptor.methods:
        call = getattr(service.implementation, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower(), None)
        if call is not None:
            methods[method.name] = grpc.unary_unary_rpc_method_handler(
                _answering(method.name, call),
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
    return grpc.method_handlers_generic_handler(service.descriptor.full_name, methods)


def _answering(name: str, call: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def answer(request: Any, context: Any) -> Any:
        try:
            return call(request)
        except RefusedError as refused:
            _LOG.warning("%s: %s: %s", name, refused.code, refused)
            context.abort(grpc.StatusCode[refused.code], str(refused))
        except Exception as error:  # noqa: BLE001  the caller retries, the log tells
            _LOG.exception(name)
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")

    return answer
