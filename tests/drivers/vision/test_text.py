"""Bytes that are not UTF-8 and declare nothing: the text, or bytes where it could be a text of two scripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.vision.text import text_of

JAPANESE = [
    "東京都千代田区",
    "佐藤 健一,ワクチン接種済",
    "山田",
    "大阪府三鷹市北青山7丁目4番18号",
    "はい",
    "ﾜｸﾁﾝ接種証明書",
]
CHINESE = ["体温正常", "https://a.example/?n=张璐", "健康码有效期至今天", "粤A12345体温正常", "VIP 李芳"]
WESTERN = ["Müller", "São Paulo", "Café Zürich 12", "Ångström"]


@pytest.mark.parametrize("text", JAPANESE)
def test_shift_jis_is_read_as_japanese(text):
    assert text_of(text.encode("shift_jis")) == text


@pytest.mark.parametrize("text", CHINESE)
def test_gb_18030_is_read_as_chinese(text):
    assert text_of(text.encode("gb18030")) == text


@pytest.mark.parametrize("text", WESTERN)
def test_iso_8859_1_is_read_as_latin(text):
    assert text_of(text.encode("latin-1")) == text


def test_euc_jp_is_known_by_its_kana():
    assert text_of("三浦 はるか".encode("euc_jp")) == "三浦 はるか"


@pytest.mark.parametrize(
    ("text", "encoding", "other"),
    [("ｱﾅｳﾝｻｰ", "shift_jis", "gb18030"), ("中文", "gb18030", "shift_jis"), ("倩县", "gb18030", "shift_jis")],
)
def test_what_could_be_a_text_of_either_script_stays_bytes(text, encoding, other):
    payload = text.encode(encoding)
    assert payload.decode(other)
    assert text_of(payload) == payload.decode("ascii", "backslashreplace")


def test_what_the_code_declares_is_believed():
    assert text_of("东莞市".encode("gb18030"), "东莞市") == "东莞市"


@given(st.binary(max_size=60))
def test_any_bytes_are_a_text_of_theirs_or_shown_as_bytes(payload):
    text = text_of(payload)
    assert text == payload.decode("ascii", "backslashreplace") or any(
        text.encode(encoding, "ignore") == payload
        for encoding in ("utf-8", "gb18030", "shift_jis", "euc_jp", "latin-1")
    )


@given(st.text("あいうえおかきくけこさしすせそワクチン東京都区市大阪山川田中", min_size=1, max_size=12))
def test_everyday_japanese_is_never_read_as_chinese(text):
    assert text_of(text.encode("shift_jis")) == text
