"""Passwords, tokens and keys are in no text, however a server changed them."""

import base64
import json
from urllib.parse import quote

import pytest

from mmfusion.utils.secrets import (
    KeyMask,
    hide_checkpoints,
    hide_in_urls,
    whole_url,
)

KEY = 'sk-Zq7/+wP"x2=Lm9vRt4Kd8'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/a.pth", "https://***@host/a.pth"),
        ("https://host:8080/a.pth?X-Sig=s3&e=1", "https://host:8080/a.pth?***"),
        ("https://tok@h/a#sha256=ab", "https://***@h/a#sha256=ab"),
        ("see 'ftp://u:p@h/x?t=1' and C:\\a", "see 'ftp://***@h/x?***' and C:\\a"),
        ("https://host/a.pth", "https://host/a.pth"),
        ("me@home.org?", "me@home.org?"),
    ],
)
def test_urls_show_neither_user_nor_query(text: str, shown: str) -> None:
    assert hide_in_urls(text) == shown


def test_a_config_shows_no_secret_and_still_opens_the_address() -> None:
    url = "https://me:pw@host/a.pth?token=t0"
    config = {"model": {"parts": [{"init_cfg": {"checkpoint": url}}]}, "load_from": url}
    hide_checkpoints(config)
    assert "pw" not in str(config) and "t0" not in str(config)
    assert whole_url(config["load_from"]) == url


CHANGED = {
    "as it is": KEY,
    "in a URL": quote(KEY, safe=""),
    "in JSON": json.dumps({"key": KEY}),
    "in base64": base64.b64encode(KEY.encode()).decode(),
    "in base64 with a user": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "in base64 for URLs": base64.urlsafe_b64encode(f"ab{KEY}yz".encode()).decode(),
    "in hexadecimal": KEY.encode().hex(),
    "backwards": KEY[::-1],
    "in capitals": KEY.upper(),
    "its beginning": KEY[:12] + "...",
    "its end": "..." + KEY[-8:],
    "its middle": KEY[5:14],
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_key_is_masked_however_it_comes_back(how: str) -> None:
    shown = KeyMask(KEY)(f"Invalid key {CHANGED[how]} given")
    assert shown.startswith("Invalid key ") and shown.endswith(" given")
    assert "[key]" in shown
    inside = CHANGED[how]
    pieces = {inside[i : i + 8] for i in range(len(inside) - 7)}
    kept = [p for p in pieces if p in shown and p not in '{"key": "']
    assert kept == []


def test_other_text_stays() -> None:
    text = "What does the person do with the cup? Straße, İstanbul"
    assert KeyMask(KEY)(text) == text
    assert KeyMask("EMPTY")("an EMPTY cup") == "an [key] cup"
