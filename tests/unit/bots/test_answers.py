"""Answers of an HTTP client of the bot's own: what is returned, and what is raised."""

from __future__ import annotations

from typing import Any, cast

import pytest

from interactive_auth import MatrixError, ServerProtocolError, bots


@pytest.mark.parametrize("body", [b'{"a": "\xc3\xa4"}', '{"a": "\u00e4"}'])
def test_a_success_is_returned(body: bytes | str) -> None:
    """The JSON object of a 2xx is what the request returns, as bytes and as text."""
    assert bots.check_answer(200, {}, body) == {"a": "\u00e4"}


def test_a_challenge_is_raised() -> None:
    """What is no success is a MatrixError with the whole body, and the time to wait in whatever case it is named."""
    with pytest.raises(MatrixError) as caught:
        bots.check_answer(429, {"retry-after": "7"}, '{"errcode": "M_LIMIT_EXCEEDED", "flows": []}')

    assert (caught.value.http_status, caught.value.retry_after) == (429, 7.0)
    assert caught.value.data == {"errcode": "M_LIMIT_EXCEEDED", "flows": []}


@pytest.mark.parametrize("body", [b"<html>", "[]", "\ud800"])
def test_a_success_that_is_none(body: bytes | str) -> None:
    """A 2xx without a JSON object is not a homeserver's."""
    with pytest.raises(ServerProtocolError, match="the request was answered 200 with"):
        bots.check_answer(200, {"Content-Type": "text/html"}, body)


def test_a_body_that_was_parsed_already() -> None:
    """The body is wanted as it came."""
    with pytest.raises(TypeError, match="body must be the bytes or the text of the answer, not dict"):
        bots.check_answer(200, {}, cast("Any", {}))
