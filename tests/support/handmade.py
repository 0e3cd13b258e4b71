"""Answers that are made by hand, for adapters that take the place of the network."""

from __future__ import annotations

import io
import json

import requests


def answered(request: requests.PreparedRequest, status: int, body: object) -> requests.Response:
    """Make the answer to a request: a status, and JSON."""
    response = requests.Response()
    response.status_code, response.raw = status, io.BytesIO(json.dumps(body).encode())
    response.url, response.request = request.url or "", request
    return response
