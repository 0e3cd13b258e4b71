"""Cross-signing keys, made and signed as a client with encryption would."""

from __future__ import annotations

from typing import Any

from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json

Keys = dict[str, dict[str, Any]]


def make_keys(user_id: str) -> Keys:
    """Make a master key and two keys signed by it, as the arguments of ``upload_cross_signing_keys``."""
    signing = generate_signing_key("unnamed")
    master = _public(user_id, "master", signing)
    # A key is named by its own public half.
    signing.version = next(iter(master["keys"].values()))
    keys = {"master_key": master}
    for usage in ("self_signing", "user_signing"):
        key = _public(user_id, usage, generate_signing_key("unnamed"))
        keys[f"{usage}_key"] = sign_json(key, user_id, signing)
    return keys


def _public(user_id: str, usage: str, signing: Any) -> dict[str, Any]:
    text = encode_verify_key_base64(get_verify_key(signing))
    return {"user_id": user_id, "usage": [usage], "keys": {f"ed25519:{text}": text}}
