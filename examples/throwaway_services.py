"""What a homeserver leans on, in stand-ins on 127.0.0.1: a mail server, an SMS gateway, a captcha's verifier.

Each is a context manager that runs for as long as its block lasts, and shows what it was sent. ``CONFIG`` functions
give the part of Synapse's configuration that makes it use them.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from throwaway_synapse import SERVER_NAME, Config, free_port, interrupts_wait

#: Answers (method, path, query or form or JSON) with a status and a JSON object.
Answer = Callable[[str, str, dict[str, Any]], tuple[int, dict[str, Any]]]


class Inbox:
    """Messages that have arrived, and a way to wait for the next one."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._messages: dict[str, list[str]] = {}

    def put(self, address: str, text: str) -> None:
        """Deliver a message."""
        with self._arrived:
            self._messages.setdefault(address, []).append(text)
            self._arrived.notify_all()

    def count(self, address: str) -> int:
        """Return how many messages have arrived for an address."""
        with self._arrived:
            return len(self._messages.get(address, []))

    def wait(self, address: str, number: int = 1, timeout: float = 30.0) -> str:
        """Return the text of an address's message with that number, waiting for it if need be."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._messages.get(address, [])) >= number, timeout):
                raise TimeoutError(f"no message number {number} for {address} within {timeout:g} seconds")
            return self._messages[address][number - 1]


class MailServer(Inbox):
    """An SMTP server that keeps what it is sent, by recipient."""

    port: int

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (its name)
        """Keep a mail (aiosmtpd calls it)."""
        message = message_from_bytes(envelope.original_content or b"", _class=EmailMessage, policy=policy.default)
        body = message.get_body(("plain",))
        for recipient in envelope.rcpt_tos:
            self.put(recipient, "" if body is None else body.get_content())
        return "250 OK"

    def wait_for_link(self, address: str, number: int = 1) -> str:
        """Return the link in a mail."""
        found = re.search(r"https?://\S+submit_token\S+", self.wait(address, number))
        if found is None:
            raise ValueError(f"the mail to {address} holds no link")
        return found[0]

    def open_link(self, address: str) -> None:
        """Do what a person does with the last mail to an address: open the link, and press the button if there is one.

        Only the page of a password reset has a button, so that no program that looks through mails resets it.
        """
        with requests.Session() as browser:
            browser.trust_env = False  # as in Synapse
            link, deadline = self.wait_for_link(address, max(self.count(address), 1)), time.monotonic() + 10
            while not (page := browser.get(link, timeout=30)).ok and time.monotonic() < deadline:
                time.sleep(0.1)  # Synapse may send a mail before it knows its link
            page.raise_for_status()
            if fields := dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)):
                browser.post(page.url.partition("?")[0], data=fields, timeout=30).raise_for_status()

    def config(self) -> Config:
        """Make Synapse send mail here, without demanding an address at registration."""
        settings = {
            "smtp_host": "127.0.0.1",
            "smtp_port": self.port,
            "enable_tls": False,
            "notif_from": f"Synapse <noreply@{SERVER_NAME}>",
        }
        return {"email": settings}


Mails = TypeVar("Mails", bound=MailServer)


@contextmanager
def mail_server(server: Mails) -> Iterator[Mails]:
    """Run a mail server on a free port."""
    server.port = free_port()
    with ExitStack() as running:
        with interrupts_wait():  # which would leave an event loop behind, or a thread
            controller = Controller(server, hostname="127.0.0.1", port=server.port)
            running.callback(controller.stop, no_assert=True)
            controller.start()
        yield server


class SmsGateway(Inbox):
    """An identity server, as far as Synapse needs one to validate phone numbers; texts are kept by number.

    The numbers are as the identity server writes them: digits with the country's code, without a plus sign.
    """

    base_url: str

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(100001)
        self._sessions: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a request of Synapse's (identity service API, in its old version 1)."""
        if path.endswith("/validate/msisdn/requestToken"):
            number = "44" + sent["phone_number"].lstrip("0")
            known = (
                s for s in self._sessions.values() if (s["secret"], s["number"]) == (sent["client_secret"], number)
            )
            session = next(known, None) or {"sid": f"sid{next(self._numbers)}", "attempt": 0, "valid": False}
            if sent["send_attempt"] > session["attempt"]:
                session.update(secret=sent["client_secret"], number=number, code=str(next(self._numbers)))
                session["attempt"] = sent["send_attempt"]
                self._sessions[session["sid"]] = session
                self.put(number, session["code"])
            return 200, {"sid": session["sid"], "success": True, "msisdn": number, "intl_fmt": f"+{number}"}
        session = self._sessions.get(sent.get("sid", ""), {})
        known_secret = session.get("secret") == sent.get("client_secret")
        if path.endswith("/validate/msisdn/submitToken"):
            right = known_secret and session.get("code") == sent["token"]
            session["valid"] = session.get("valid") or right
            return 200, {"success": right}
        if path.endswith("/3pid/getValidated3pid") and known_secret and session["valid"]:
            return 200, {"medium": "msisdn", "address": session["number"], "validated_at": int(time.time() * 1000)}
        return 400, {"errcode": "M_SESSION_NOT_VALIDATED", "error": "This validation session has not been completed"}

    def config(self) -> Config:
        """Make Synapse validate phone numbers here, without demanding one at registration."""
        return {"account_threepid_delegates": {"msisdn": self.base_url}}


@contextmanager
def sms_gateway() -> Iterator[SmsGateway]:
    """Run an SMS gateway on a free port."""
    gateway = SmsGateway()
    with json_server(gateway.answer) as gateway.base_url:
        yield gateway


@contextmanager
def captcha_verifier(right_response: str) -> Iterator[Config]:
    """Run the service that a homeserver asks whether a captcha was solved; gives Synapse's configuration.

    Args:
        right_response: the only response that passes.
    """

    def answer(method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"success": sent.get("response") == right_response}

    with json_server(answer) as base_url:
        yield {
            "enable_registration_captcha": True,
            "recaptcha_public_key": "a-site-key",
            "recaptcha_private_key": "a-private-key",
            "recaptcha_siteverify_api": f"{base_url}/siteverify",
        }


@contextmanager
def json_server(answer: Answer) -> Iterator[str]:
    """Run an HTTP server on a free port that answers by a function; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, or the other side waits for its delayed acknowledgement

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            self._reply(url.path, {name: values[0] for name, values in parse_qs(url.query).items()})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            is_json = self.headers.get_content_type() == "application/json"
            sent = json.loads(body) if is_json else {name: values[0] for name, values in parse_qs(body).items()}
            self._reply(urlsplit(self.path).path, sent)

        def _reply(self, path: str, sent: dict[str, Any]) -> None:
            status, reply = answer(self.command, path, sent)
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ExitStack() as running:
        with interrupts_wait():
            server = running.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
        yield f"http://127.0.0.1:{server.server_port}"
