"""The only door to the API server: configuration and transport of the `kubernetes` package, requests of our own."""

from auditor.cluster.connection import Connection, connect
from auditor.cluster.discovery import Served, discover
from auditor.cluster.objects import Manifest, ObjectError, Objects
from auditor.cluster.pace import Limits, RequestError
from auditor.cluster.requests import Answer, ApiServer

__all__ = [
    "Answer",
    "ApiServer",
    "Connection",
    "Limits",
    "Manifest",
    "ObjectError",
    "Objects",
    "RequestError",
    "Served",
    "connect",
    "discover",
]
