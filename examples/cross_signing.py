"""Cross-signing keys, made and signed as the specification says (client-server API, "Cross-signing").

What must not be here: the upload.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from signedjson import key as ed25519
from signedjson.sign import sign_json

USAGES = ("master", "self_signing", "user_signing")

Keys = dict[str, dict[str, Any]]


def make_keys() -> dict[str, Any]:
    """Make the three private keys, by usage."""
    return {usage: ed25519.generate_signing_key(usage) for usage in USAGES}


def sign_keys(user_id: str, private: dict[str, Any]) -> Keys:
    """Return the public keys, as the arguments of ``upload_cross_signing_keys`` and as the body of that request."""
    public = {usage: ed25519.encode_verify_key_base64(ed25519.get_verify_key(key)) for usage, key in private.items()}
    private["master"].version = public["master"]  # a signature is named by the public key
    keys: Keys = {}
    for usage, text in public.items():
        key = {"user_id": user_id, "usage": [usage], "keys": {f"ed25519:{text}": text}}
        keys[f"{usage}_key"] = key if usage == "master" else sign_json(key, user_id, private["master"])
    return keys


def cross_signing_keys(user_id: str, file: Path) -> Keys:
    """Return the public keys; the private ones stay in the file, which is made if it is not there."""
    if not file.exists():
        with open(file, "x", opener=partial(os.open, mode=0o600)) as written:
            ed25519.write_signing_keys(written, make_keys().values())
    with open(file) as read:
        return sign_keys(user_id, dict(zip(USAGES, ed25519.read_signing_keys(read), strict=True)))
