"""Requests to a homeserver, and what travels by them. What must not be here: the loop."""
