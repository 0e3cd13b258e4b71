"""The plain case of HTTP/1.1: a request that is written in one piece, and an answer whose head is read in one.

urllib3 and ``http.client`` write the head field by field, send the body after it, and read each head with a parser for
mail: a quarter of what a request costs. What is not plain is theirs: a proxy, a body that is not bytes, text beyond
printable ASCII, an answer that does not end by its one ``Content-Length``; and everything, where somebody has wrapped
what they do, to trace it. What is written and read is the same by either way, which ``tests/wire/test_plain.py`` holds.
What must not be here: bodies of answers, and time.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any

import urllib3.connection
from urllib3 import HTTPResponse
from urllib3.util import SKIP_HEADER

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _Connection
else:
    _Connection = object  # a class of urllib3's stands behind it

#: How requests has urllib3 send; the releases before 2 are not told so, and give another kind of answer.
_OPTIONS = {"chunked": False, "preload_content": False, "decode_content": False, "enforce_content_length": True}
#: The fields that are added where they are missing, and those by which a request is no plain one.
_NEEDED, _UNPLAIN = frozenset({"accept-encoding", "user-agent"}), frozenset({"host", "transfer-encoding"})
#: A request's first line and fields; by urllib3's mark, a field is left out.
_REQUEST_LINE = re.compile(r"[A-Z]+ /[!-~]* HTTP/1\.1")
_REQUEST_FIELD = re.compile(rf"[-!#$%&'*+.^_`|~0-9A-Za-z]+: (?!{SKIP_HEADER})[ -~]*")
#: An answer's fields (RFC 9112, section 5) that have nothing to do with where it ends.
_FIELDS = rb"(?:\r\n(?!(?i:Connection|Content-Length|Transfer-Encoding):)[!-9;-~]+:[ -~]*)*"
#: Answers without a body, whatever their length says (RFC 9112, section 6.3), are not plain.
_HEAD = re.compile(
    rb"HTTP/1\.1 (?!204|304)([2-5][0-9][0-9]) ([ -~]*)%b\r\n(?i:Content-Length): *([0-9]{1,15})%b" % (_FIELDS, _FIELDS)
)
_FIELD = re.compile(r"\r\n([^:]+): *([^\r]*)")
#: ``http.client`` refuses a head with more of them.
_MOST_FIELDS = 99
_END = b"\r\n\r\n"


_methods_of = attrgetter("request", "getresponse", "putrequest", "putheader", "endheaders")


def _methods() -> tuple[Any, ...]:
    """Return all that a plain request goes round, as it is now."""
    theirs: Any = urllib3.connection.HTTPConnection
    tls: Any = urllib3.connection.HTTPSConnection
    secure = tls if issubclass(tls, theirs) else theirs  # where Python has no TLS
    methods: tuple[Any, ...] = _methods_of(http.client.HTTPConnection) + _methods_of(theirs) + _methods_of(secure)
    return methods


def _is_own(method: Any) -> bool:
    # A wrapper says that it is what it wraps, but its global names are those of its own module.
    home = method.__globals__ if type(method) is FunctionType else None
    return home is vars(http.client) or home is vars(urllib3.connection)


#: None where they were wrapped before this room was imported, or are those of another urllib3: nothing is plain there.
_OWN_METHODS = _methods() if all(map(_is_own, _methods())) else None
_OWN_BEGIN = http.client.HTTPResponse.begin if _is_own(http.client.HTTPResponse.begin) else None


class PlainAnswer(http.client.HTTPResponse):
    """An answer whose head is read at once, if it is plain."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._may_have_body = kwargs.get("method") != "HEAD"

    def begin(self) -> None:
        read: object = self.headers  # None before, which http.client's types do not say
        may_be_plain = read is None and self._may_have_body and not self.debuglevel
        if not may_be_plain or http.client.HTTPResponse.begin is not _OWN_BEGIN or not self._begin_at_once():
            super().begin()
            _unfold(self.headers)

    def _begin_at_once(self) -> bool:
        """Read the head, if all of it is there, and return whether it was plain."""
        come = self.fp.peek()
        end = come.find(_END)
        plain = _HEAD.fullmatch(come, 0, end) if end > 0 else None
        fields = _FIELD.findall(come[:end].decode("ascii")) if plain else ()
        if plain is None or len(fields) > _MOST_FIELDS:
            return False
        self.fp.read(end + len(_END))
        self.version = 11
        self.code = self.status = int(plain[1])
        self.reason = plain[2].decode("ascii").strip()
        self.headers = self.msg = http.client.HTTPMessage()
        for name, value in fields:
            self.headers.set_raw(name, value)
        self.length = int(plain[3])
        self.chunked = self.will_close = False
        return True


class PlainConnection(_Connection):
    """A connection that writes a request in one piece, if it is plain; mixed into a class of urllib3's."""

    #: The method and the path of the plain request that is to be answered next.
    _asked: tuple[str, str] | None = None
    #: The last plain answer: another one cannot be read before it.
    _answer: http.client.HTTPResponse | None = None

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        whole = self._whole(method, url, body, headers, options)
        # Before it is sent: what a server says before it hangs up on a request is read all the same.
        self._asked = None if whole is None else (method, url)
        if whole is None:
            super().request(method, url, body=body, headers=headers, **options)
            return
        if self.sock is not None:  # it is opened by what sends
            self._set_timeout()
        self.send(whole)

    def _whole(self, method: str, url: str, body: Any, headers: Any, options: Mapping[str, Any]) -> bytes | None:
        """Return a request as it is written, None if it is not plain."""
        if _methods() != _OWN_METHODS or self.debuglevel or options != _OPTIONS:
            return None
        if self.proxy is not None or not isinstance(body, (bytes, type(None))):
            return None
        fields = list(headers.items())
        names = {name.lower() for name, _ in fields}
        framed = "content-length" in names or (body is None and method == "GET")
        if not framed or not names >= _NEEDED or not names.isdisjoint(_UNPLAIN):
            return None
        host = self.host if self.port == self.default_port else f"{self.host}:{self.port}"
        try:
            lines = [f"Host: {host}", *[name + ": " + value for name, value in fields]]
        except TypeError:  # bytes
            return None
        start = f"{method} {url} HTTP/1.1"
        if ":" in self.host or not _REQUEST_LINE.fullmatch(start) or not all(map(_REQUEST_FIELD.fullmatch, lines)):
            return None
        return "\r\n".join([start, *lines]).encode("ascii") + _END + (body or b"")

    def _set_timeout(self) -> None:
        if self.sock.gettimeout() != self.timeout:  # a look costs less than a system call
            self.sock.settimeout(self.timeout)

    def getresponse(self) -> Any:
        if self._answer is not None and not self._answer.isclosed():
            raise http.client.ResponseNotReady("the answer before was not read to its end")
        if self._asked is None:
            return super().getresponse()
        (method, url), self._asked = self._asked, None
        self._set_timeout()
        answer = self.response_class(self.sock, method=method)
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        if answer.will_close:
            self.close()  # the answer keeps the socket
        else:
            self._answer = answer
        fields: Any = list(answer.headers.raw_items())
        response = HTTPResponse(
            body=answer,
            headers=fields,
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method=method,
            request_url=url,
        )
        response.version_string = "HTTP/1.1"  # the connection's, for urllib3's log
        return response

    def close(self) -> None:
        answer, self._answer = self._answer, None
        super().close()
        if answer is not None:
            answer.close()


def _unfold(message: http.client.HTTPMessage) -> None:
    """Make one line of each field that was folded (RFC 9112, section 5.2); urllib3 does it from 2.8 on."""
    fields = [(name, _in_one_line(value)) for name, value in message.raw_items()]
    for name, _ in fields:
        del message[name]
    for name, value in fields:
        message.set_raw(name, value)


def _in_one_line(value: str) -> str:
    *folded, last = value.split("\r\n")
    lines = [line.rstrip(" \t") for line in folded] + [last]
    return " ".join([lines[0], *(line.lstrip(" \t") for line in lines[1:])])
