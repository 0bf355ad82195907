"""Names of files and classes may hold any characters; what is shown may not."""

import random
import unicodedata

import pytest

from skwbc._utils.names import from_table, in_table, shown, shown_json


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Zellen α/単球 👩‍🔬.png", "Zellen α/単球 👩‍🔬.png"),
        ("\x1b]0;title\x07.png", r"\x1b]0;title\x07.png"),
        ("a\r\nskwbc: error: b", r"a\x0d\x0askwbc: error: b"),
        ("txt\u202egnp.exe", r"txt\u202egnp.exe"),
        ("\x9b31m\u2028\udcff\U000e0041", r"\x9b31m\u2028\udcff\U000e0041"),
        (7, "7"),
    ],
)
def test_text_without_control_characters(name, expected):
    assert shown(name) == expected
    assert shown_json('{"a": "\x9b\n"}') == '{"a": "\\u009b\n"}'


@pytest.mark.parametrize("name", ["=1+1", "+1;x", "-a", "@b", "''=c", "a;=b", "＝d"])
def test_formulas_in_tables(name):
    cell = in_table(name)
    assert cell != name
    assert not any(part[:1] in "=+-@＝" for part in cell.split(";"))
    assert from_table(cell) == name


@pytest.mark.parametrize("value", ["-1", "+1.5", 0.25, -3e-05, "C:\\x\\new.png", "'a"])
def test_numbers_and_other_names_stay_in_tables(value):
    assert in_table(value) == str(value)
    assert from_table(str(value)) == str(value)


def test_every_name_is_found_again():
    rng = random.Random(0)
    some = ["\\", "x1b", "u202e", "=", "'", ";", "-", "\x1b", "\n", "\udcff", "é", "単"]
    some += [chr(rng.randrange(0x110000)) for _ in range(100)]
    for _ in range(20_000):
        name = "".join(rng.choices(some, k=rng.randrange(1, 8)))
        cell = in_table(name)
        assert from_table(cell) == name
        unsafe = {"Cc", "Cs", "Zl", "Zp"}
        assert not {unicodedata.category(each) for each in cell} & unsafe
