"""Talking with a person: lines that are said, and questions that are asked, at a terminal, in a notebook, in a pipe.

What a person reads goes to the terminal, even if standard output is a file: to standard output or standard error,
whichever is a terminal, else to the terminal itself if the answers come from it, else to standard error. A notebook
replaces ``input`` and ``getpass.getpass``, and so may others; what they read by then is their own business, and what
is said goes to standard output. What must not be here: stages, waiting, anything that knows a homeserver.
"""

from __future__ import annotations

import getpass
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import BuiltinFunctionType
from typing import TextIO

from ._errors import AuthCancelledError, MatrixError
from ._text import is_encodable, printable
from ._words import refusal_words

#: What is said, and what can be done, where there is nobody to ask.
NOBODY = "there is no standard input to ask a person by"
ELSEWHERE = "run it in a terminal, or give callbacks that do not ask"
#: What a Ctrl-C says that came while nothing was under way.
AT_A_QUESTION = "at a question"
#: How often the same is asked before answers that are empty, or of no use, end the attempt.
TRIES = 10
#: Columns of a screen that does not say how many it has.
_COLUMNS = 80


def say(text: str) -> None:
    """Show a person one line or more, wherever they can be read.

    Args:
        text: what is said, without the line's end. What a server has said in it has been through ``printable``.
            Letters that the terminal's encoding lacks are escaped.
    """
    width = columns() - 1 if is_screen_a_terminal() else None
    write("".join(f"{_wrapped(line, width)}\n" for line in text.split("\n")))


def say_refusal(error: Exception, words: str) -> None:
    """Tell a person of a refusal, with the server's own words, which are for programmers at times.

    Args:
        error: what the server said, or why it said nothing.
        words: what it means.
    """
    said = f"The server said: {refusal_words(error)}" if isinstance(error, MatrixError) else printable(str(error))
    say(f"{words} {said}")


def _wrapped(line: str, width: int | None) -> str:
    """Return a line cut between words where it is too long; addresses of pages stay whole."""
    if width is None or len(line) <= width:
        return line
    return textwrap.fill(line, max(width, 1), break_long_words=False, break_on_hyphens=False)


def write(text: str) -> None:
    """Show a person a text that need not end its line; nothing happens where nobody could read it."""
    with suppress(OSError, ValueError), screen() as stream:  # the terminal may have been closed
        if stream is not None:
            stream.write(encodable_for(stream, text))
            stream.flush()


def ask(prompt: str) -> str:
    """Ask for a line, again for as long as it is empty; white space around it is dropped.

    Args:
        prompt: what is asked for, without a colon, such as "User name".

    Raises:
        AuthCancelledError: the person ended it by Ctrl-D, or gave nothing but empty lines.
        RuntimeError: there is no standard input to ask a person by.
    """
    return _ask_again(prompt, lambda: read(f"{prompt}: "))


def ask_secret(prompt: str) -> str:
    """Ask for a line that is not shown, again for as long as it is empty; white space in it is kept.

    Args:
        prompt: what is asked for, without a colon, such as "Password".

    Raises:
        AuthCancelledError: the person ended it by Ctrl-D, or gave nothing but empty lines.
        RuntimeError: there is no standard input to ask a person by.
    """
    return _ask_again(prompt, lambda: read_secret(prompt))


def ask_yes_no(prompt: str) -> bool:
    """Ask a question that decides, until the answer is y, yes, n or no, in either case.

    Args:
        prompt: the question, such as "Do you accept?".

    Raises:
        AuthCancelledError: the person ended it by Ctrl-D.
        RuntimeError: there is no standard input to ask a person by.
    """
    for _ in range(TRIES):
        answer = read(f"{prompt} (y/n): ").lower()
        if answer in ("y", "yes", "n", "no"):
            return answer in ("y", "yes")
        say("Please answer y or n.")
    raise nothing_usable(prompt)


def read(prompt: str) -> str:
    """Read one line, which may be empty, without the white space around it.

    Args:
        prompt: what stands before it, as it is.

    Raises:
        AuthCancelledError: the person ended it by Ctrl-D.
        RuntimeError: there is no standard input to ask a person by.
    """
    return _read(prompt, hidden=False).strip()


def read_secret(prompt: str) -> str:
    """Read one line that is not shown, which may be empty, with the white space in it.

    Args:
        prompt: what is asked for, without a colon.

    Raises:
        AuthCancelledError: the person ended it by Ctrl-D.
        RuntimeError: there is no standard input to ask a person by.
    """
    return _read(f"{prompt} (hidden): ", hidden=True)


def _ask_again(prompt: str, ask_once: Callable[[], str]) -> str:
    for _ in range(TRIES):
        if answer := ask_once():
            return answer
    raise nothing_usable(prompt)


def nothing_usable(prompt: str) -> AuthCancelledError:
    """Make the error for a question that was asked often enough."""
    return AuthCancelledError(f"nothing usable was entered at {prompt!r}, {TRIES} times, so nothing more was sent")


def is_asked_elsewhere() -> bool:
    """Return whether somebody, such as a notebook, asks persons in the place of Python's own functions."""
    return not isinstance(input, BuiltinFunctionType) or getpass.getpass.__module__ != "getpass"


def is_at_terminal() -> bool:
    """Return whether a person answers at a terminal, and not a file, a pipe, or a notebook's cell."""
    return not is_asked_elsewhere() and _is_terminal(sys.stdin)


def is_screen_a_terminal() -> bool:
    """Return whether what is said is read at a terminal, where a line can be written anew."""
    if is_asked_elsewhere():
        return False
    with screen() as stream:
        return _is_terminal(stream)


def columns() -> int:
    """Return how many columns the person's screen has now."""
    with suppress(OSError, ValueError), screen() as stream:
        if stream is not None:
            return os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    return _COLUMNS


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it was closed
        return False


@contextmanager
def screen() -> Iterator[TextIO | None]:
    """Give the stream that a person reads; None if there is none."""
    if is_asked_elsewhere() or _is_terminal(sys.stdout):
        yield sys.stdout
    elif _is_terminal(sys.stderr) or not is_at_terminal():
        yield sys.stderr
    else:
        with ExitStack() as stack:
            stream: TextIO | None
            try:
                name = "CONOUT$" if sys.platform == "win32" else os.ctermid()
                stream = stack.enter_context(open(name, "w", encoding=sys.stdin.encoding))
            except OSError:  # the terminal that the answers come from is not this program's own
                stream = sys.stderr
            yield stream


def encodable_for(stream: TextIO, text: str) -> str:
    """Return a text that can be written to a stream; what its encoding lacks is escaped."""
    encoding = stream.encoding or "utf-8"  # a StringIO has none
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _read(prompt: str, *, hidden: bool) -> str:
    prompt = printable(prompt, 2000)  # a name in it may be a server's
    at_terminal = is_at_terminal()
    try:
        answer = _read_line(prompt, hidden=hidden, at_terminal=at_terminal)
    except UnicodeDecodeError:
        answer = "\ud800"
    except (EOFError, NotImplementedError) as error:  # a kernel whose front end has nobody to ask raises the latter
        asked = prompt.strip(" :")
        if not is_asked_elsewhere():
            write("\n")
        if at_terminal:
            raise AuthCancelledError(f"the input was ended (Ctrl-D) at {asked!r}, so nothing more was sent") from error
        raise RuntimeError(f"{NOBODY} ({asked}): {ELSEWHERE}") from None
    except KeyboardInterrupt as stop:
        stop.args = (AT_A_QUESTION,)
        if not is_asked_elsewhere():
            write("\n")  # what is said next has a line of its own
        raise
    if is_encodable(answer):
        return answer
    say("That cannot be read as text.")
    return ""


def _read_line(prompt: str, *, hidden: bool, at_terminal: bool) -> str:
    if sys.stdin is None:  # the program was started with it closed
        raise EOFError
    if is_asked_elsewhere():
        return getpass.getpass(prompt) if hidden else input(prompt)
    if at_terminal:
        drop_typed_ahead()
    if at_terminal and hidden:
        with screen() as stream:
            return getpass.getpass(prompt if stream is None else encodable_for(stream, prompt), stream)
    if at_terminal and _is_terminal(sys.stdout) and sys.stderr is not None:  # without which input() does not work
        return input(encodable_for(sys.stdout, prompt))
    write(prompt)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def drop_typed_ahead() -> None:
    """Forget what was typed at the terminal before there was anything to answer."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        # Some stand-ins for a terminal, as IDLE's, have no file descriptor.
        with suppress(OSError, ValueError, termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
