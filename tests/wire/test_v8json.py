import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.wire.v8json import DEPTH_MAX, JsonValue, compact, has_surrogate, parse, stringify

HALVES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)
TEXTS = st.text(st.characters() | HALVES | st.sampled_from('"\\/\b\x00\x7f\u2028é😀'), max_size=8)
KEYS = TEXTS | st.sampled_from(["0", "1", "01", "-1", "4294967294", "4294967295", "__proto__", ""])
NUMBERS = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(1e-7, 1e22)
    | st.integers(-400, 400).map(lambda power: float(f"1.5e{power}"))
)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda items: st.lists(items, max_size=4) | st.dictionaries(KEYS, items, max_size=4),
    max_leaves=12,
)


def written(text: str) -> str:
    return compact(parse(text.encode(), "text")).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-0", "0"),
        ("1.0", "1"),
        ("1E2", "100"),
        ("1e16", "10000000000000000"),
        ("1e21", "1e+21"),
        ("123456789012345680000", "123456789012345680000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("1.5e-9", "1.5e-9"),
        ("5e-324", "5e-324"),
        ("9007199254740993", "9007199254740992"),
        ("18446744073709551616", "18446744073709552000"),
        ("1e400", "null"),
        ("-1e400", "null"),
        ("123456789012345.6", "123456789012345.6"),
        ("1449201687870.001", "1449201687870.001"),
        ("-1.7976931348623157e308", "-1.7976931348623157e+308"),
    ],
)
def test_number_is_written_as_v8_writes_it(text: str, expected: str) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b":1,"10":2,"9":3,"a":4}', '{"9":3,"10":2,"b":1,"a":4}'),
        ('{"4294967295":1,"4294967294":2}', '{"4294967294":2,"4294967295":1}'),
        ('{"01":1,"1":2,"-1":3,"1.5":4}', '{"1":2,"01":1,"-1":3,"1.5":4}'),
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'),
        ('{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}'),
        ('{"٣":1,"1":2}', '{"1":2,"٣":1}'),
    ],
)
def test_keys_stand_in_the_order_of_javascript(text: str, expected: str) -> None:
    assert written(text) == expected


def test_lone_halves_are_escaped_and_pairs_are_characters() -> None:
    assert written(r'"\ud83d\ude00"') == '"😀"'
    assert written(r'"\ud83d \ude00"') == r'"\ud83d \ude00"'
    assert compact("\ud83d\ude00") == '"😀"'.encode()  # two halves that met in Python
    assert written(r'{"\udead":"\ud83d\ud83d\ude00"}') == r'{"\udead":"\ud83d😀"}'


def test_only_what_json_must_escape_is_escaped() -> None:
    text = r'"\u0000\u001f\b\t\n\f\r\"\\/\/"' + "\x7f\u2028é"
    assert (
        written(text[:-4] + text[-3:] + '"')
        == r'"\u0000\u001f\b\t\n\f\r\"\\//' + "\x7f\u2028é" + '"'
    )


def test_indentation_is_two_spaces_and_empty_containers_stay_on_the_line() -> None:
    expected = '{\n  "1": {},\n  "a": [\n    1,\n    []\n  ]\n}'
    assert stringify({"a": [1, []], "1": {}}) == expected  # our way
    assert stringify({"a": [1, []], "x": {}}) == expected.replace('  "1": {},\n', "").replace(
        "\n  ]\n}", '\n  ],\n  "x": {}\n}'
    )  # orjson's way


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b"01", b"+1", b".5", b"1.", b"'a'"),
        *(b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b'"\n"', b"[1,]", b"1 2", b'"\\x41"'),
        *(b"{a:1}", b"[1"),
    ],
)
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match=r"^body: not "):
        parse(data, "body")


@pytest.mark.parametrize("text", ["[%s]", '{"a":%s}', '["\\ud800",%s]'])
def test_nesting_is_limited(text: str) -> None:
    deepest, inner = "1", text
    for _ in range(DEPTH_MAX):
        deepest = inner % deepest
    parse(deepest.encode(), "body")
    with pytest.raises(Malformed, match=f"body: JSON nested more than {DEPTH_MAX} deep"):
        parse((inner % deepest).encode(), "body")
    with pytest.raises(Malformed, match="nested"):
        parse(b"[" * 100_000, "body")


def test_long_integers_cost_no_more_than_other_text() -> None:
    assert parse(b"[" + b"9" * 100_000 + b"]", "body") == [math.inf]


@given(VALUES)
def test_value_survives_and_is_written_once_and_for_all(value: JsonValue) -> None:
    text = stringify(value)
    again = parse(text.encode(), "value")
    assert stringify(again) == text
    assert parse(compact(value), "value") == again
    assert compact(again) == compact(value)
    assert json.loads(text, parse_int=float) == again


@given(st.binary(max_size=40) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        value = parse(data, "bytes")
    except Malformed:
        return
    assert parse(compact(value), "value") == parse(stringify(value).encode(), "value")


@given(TEXTS)
def test_halves_are_noticed(text: str) -> None:
    assert has_surrogate(text) == any("\ud800" <= each <= "\udfff" for each in text)
