"""The policies of a terms stage: reading what a server sends, and choosing a language.

What must not be here: asking anybody whether they accept.
"""

from __future__ import annotations

from typing import NamedTuple

from ._errors import ServerProtocolError
from ._text import is_encodable, is_text, printable, web_url


class Policy(NamedTuple):
    """A document to be accepted (client-server API, "Terms of service at registration").

    Attributes:
        id: the policy's identifier, like ``"privacy_policy"``.
        version: the document's version, None if the server states none.
        name: the document's title in the language chosen.
        url: where it is to be read; http or https.
        language: the tag of the language chosen, as the server writes it.
    """

    id: str
    version: str | None
    name: str
    url: str
    language: str


def read_policies(value: object, wanted: str) -> list[Policy]:
    """Read the policies of a terms stage: all of them, since nobody accepts unseen.

    Raises:
        ServerProtocolError: there are none, or one of them cannot be shown.
    """
    found = []
    for identifier, policy in (value if isinstance(value, dict) else {}).items():
        if identifier == "version" and not isinstance(policy, dict):
            continue  # Continuwuity puts one beside the policies
        fields = policy if isinstance(policy, dict) else {}
        documents = {tag: text for tag, text in fields.items() if is_encodable(tag) and _is_document(text)}
        if not documents or not is_encodable(identifier):
            raise ServerProtocolError(
                f"the policy {printable(identifier, 100)} of the terms cannot be shown: it needs a name and an "
                "http(s) url in some language, and nobody accepts unseen"
            )
        tag = _choose_language(list(documents), wanted)
        version = fields.get("version")
        document = documents[tag]
        stated = version if is_text(version) else None
        found.append(Policy(identifier, stated, document["name"], document["url"], tag))
    if not found:
        raise ServerProtocolError("the server wants terms accepted, and names no policy: nobody accepts unseen")
    return found


def _is_document(text: object) -> bool:
    if not isinstance(text, dict):
        return False
    return is_text(text.get("name")) and web_url(text.get("url")) is not None


def _choose_language(tags: list[str], wanted: str) -> str:
    """Return the tag that comes nearest to the language wanted, else English, else the first."""
    normal: dict[str, str] = {}
    for tag in tags:
        normal.setdefault(tag.lower().replace("_", "-"), tag)
    exact = wanted.lower().replace("_", "-")
    base = exact.split("-")[0]
    for candidate in (exact, base, "en"):
        if candidate in normal:
            return normal[candidate]
        related = next((tag for key, tag in normal.items() if key.split("-")[0] == candidate), None)
        if related is not None:
            return related
    return tags[0]
