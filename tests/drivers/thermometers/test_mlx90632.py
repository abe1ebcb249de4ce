"""The MLX90632's arithmetic against its maker's published results."""

import contextlib
import math
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.thermometers import mlx90632


def constants(text):
    pairs = re.findall(r"(\w+) (0x[0-9a-f]+|-?\d+)", text)
    values = {name.lower(): int(value, 0) for name, value in pairs}
    values["p_t"] -= 1 << 32
    return mlx90632.FactoryConstants(**values)


def test_the_makers_results(vectors):
    k = constants(vectors("mlx90632")[0]["consts"])
    raw = mlx90632.Raw(22454, 23030, 610)
    assert mlx90632.die_c(raw, k) == pytest.approx(48.724, abs=0.002)
    extended = mlx90632.Raw(22454, 23030, 305)
    assert mlx90632.object_c(extended, k, extended=True) == pytest.approx(55.507, abs=0.02)
    for around_c, expected_c in ((49.66, 98.141), (40.0, 143.956)):
        celsius = mlx90632.object_c(raw, k, emissivity=0.1, surroundings_c=around_c)
        # the library drops the fractions of both ratios, which emissivity 0.1 makes ten times worse
        assert celsius == pytest.approx(expected_c, abs=0.1)


def test_it_reads_its_constants_in_the_order_of_the_registers(vectors):
    k = constants(vectors("mlx90632")[0]["consts"])
    longs = [k.p_r, k.p_g, k.p_t, k.p_o]
    words = [word for value in longs for word in (value & 0xFFFF, value >> 16 & 0xFFFF)]
    words += [0] * (0x2424 - 0x2414)
    words += [word for value in (k.ea, k.eb, k.fa, k.fb, k.ga) for word in (value & 0xFFFF, value >> 16 & 0xFFFF)]
    words += [k.gb, k.ka]
    assert mlx90632.FactoryConstants.parse(struct.pack(">36H", *words), struct.pack(">2h", k.ha, k.hb)) == k


@given(st.integers(-32768, 32767), st.integers(-32768, 32767), st.integers(-65536, 65534))
def test_it_makes_a_number_or_a_refusal_of_any_words(an, ao, counts):
    k = mlx90632.FactoryConstants(
        0x587F5B, 0x4A10289, -432392, 0x1E0F, 4859535, 5686508, 53855361, 42874149, -14556410, 9728, 10752, 16384, 0
    )
    with contextlib.suppress(ValueError, ZeroDivisionError, OverflowError):
        assert math.isfinite(mlx90632.object_c(mlx90632.Raw(an, ao, counts / 2), k))
