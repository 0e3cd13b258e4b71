"""Cross-signing keys whose private halves nobody needs any more."""

from __future__ import annotations

import cross_signing
from cross_signing import Keys

__all__ = ["Keys", "make_keys"]


def make_keys(user_id: str) -> Keys:
    """Make a master key and two keys signed by it, as the arguments of ``upload_cross_signing_keys``."""
    return cross_signing.sign_keys(user_id, cross_signing.make_keys())
