"""The examples in the docstrings of the public names: there is one for each, and each does what it says."""

from __future__ import annotations

import ast
import asyncio
import functools
import getpass
import inspect
import json
import textwrap
import webbrowser
from collections.abc import Iterator
from types import CodeType
from typing import Any

import aiohttp
import pytest
import requests
from support.public_names import modules

import interactive_auth
from interactive_auth import Homeserver, InteractiveAuth, MatrixError, handlers
from interactive_auth.testing import UIAServer

PASSWORD, TOKEN = "m.login.password", "m.login.registration_token"
ANSWERS = {PASSWORD: "right", TOKEN: "right", "m.login.recaptcha": "right"}
#: The classes that somebody works with; others are shapes and errors.
CLASSES = {"InteractiveAuth", "Homeserver", "UIARequest", "Stage", "Wait", "RetryPolicy", "UIAServer", "MatrixError"}
PUBLIC = {f"{module.__name__}.{name}": getattr(module, name) for module in modules() for name in module.__all__}


def example(value: object) -> str:
    """Return the example in a docstring, empty if there is none."""
    _, _, rest = (inspect.getdoc(value) or "").partition("Example::\n\n")
    lines: list[str] = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return textwrap.dedent("\n".join(lines)).strip()


WITH_EXAMPLE = {name: value for name, value in PUBLIC.items() if example(value)}


@pytest.fixture
def server() -> Iterator[UIAServer]:
    """Return a homeserver that wants a token or a password, with what the examples have in hand."""
    with UIAServer(flows=[[TOKEN], [PASSWORD]], answers=ANSWERS) as server:
        yield server


@pytest.fixture
def namespace(server: UIAServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names that an example may use: the public ones, and those that the text around it has made."""
    monkeypatch.setattr("builtins.input", lambda prompt="": "yes" if prompt.startswith("Accept") else "right")
    monkeypatch.setattr(getpass, "getpass", lambda prompt="": "right")
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    homeserver = Homeserver(server.base_url, access_token="any")
    refused = requests.Response()
    refused.status_code, refused._content = 403, json.dumps({"errcode": "M_FORBIDDEN"}).encode()

    async def question(text: str) -> str:
        return "right"

    return {
        **{name: getattr(interactive_auth, name) for name in interactive_auth.__all__},
        "Homeserver": lambda url: Homeserver(server.base_url if "example.org" in url else url),
        "UIAServer": UIAServer,
        "functools": functools,
        "getpass": getpass,
        "homeserver": homeserver,
        "question": question,
        "register_url": f"{server.base_url}/_matrix/client/v3/register",
        "request": homeserver.change_password("new"),
        "requests": requests,
        "response": refused,
        "stages": {TOKEN: handlers.registration_token("right"), PASSWORD: handlers.password("alice", "right")},
        "url": f"{server.base_url}/_matrix/client/v3/register",
        "webbrowser": webbrowser,
    }


def test_every_public_function_has_one() -> None:
    """Each function, and each class that is more than a shape, shows how it is used."""
    needed = {name for name, value in PUBLIC.items() if inspect.isfunction(value) or name.rpartition(".")[2] in CLASSES}

    assert len(needed) > len(CLASSES)
    assert sorted(needed - WITH_EXAMPLE.keys()) == []


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_example(name: str, namespace: dict[str, Any], server: UIAServer) -> None:
    """The example runs; what it makes, a do_request or callbacks, goes through an authentication."""
    code = compile(example(WITH_EXAMPLE[name]), name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    given = namespace["stages"]

    async def run() -> None:
        async with aiohttp.ClientSession() as namespace["client"]:
            running = eval(code, namespace)
            if running is not None:
                await running
            do_request, stages = namespace.get("do_request"), namespace["stages"]
            if do_request is not None:
                if inspect.iscoroutinefunction(do_request):
                    do_request = interactive_auth.bots.from_coroutine(do_request)
                assert (await interactive_auth.bots.attempt_auth(InteractiveAuth(do_request, given)))["user_id"]
            if stages is not given:
                await try_out(stages)

    async def try_out(stages: Any) -> None:
        (stage,) = stages
        request = namespace["homeserver"].register("bob")
        if stage in (*ANSWERS, "m.login.terms"):
            server.flows = [[stage]]
            assert (await interactive_auth.bots.attempt_auth(InteractiveAuth(request, stages)))["user_id"]
        else:  # it would be done elsewhere
            assert "not begun" in repr(InteractiveAuth(request, stages))

    if name.endswith(".MatrixError"):
        with pytest.raises(MatrixError, match="403 M_FORBIDDEN"):
            asyncio.run(run())
    else:
        asyncio.run(run())
