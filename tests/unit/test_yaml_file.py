import os

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from dcae_export.errors import ConfigError, UsageError
from dcae_export.yaml_file import MAX_BYTES, dump, load


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rate: float


class Bounds(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    low: int
    high: int


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = ""
    count: int = 0
    flag: bool | None = None
    sizes: tuple[int, ...] = ()
    inner: Inner | None = None

    @model_validator(mode="after")
    def _counts_what_has_a_name(self):
        if self.count and self.name == "nothing":
            raise ValueError("count: nothing cannot be counted")
        if self.flag and 7 in self.sizes:
            raise ValueError("no size may be 7")
        return self


class WithBounds(Model):
    nest: Bounds | None = None


@pytest.fixture
def recipe(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "recipe.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_a_recipe_becomes_its_model(recipe):
    text = "# why\nname: f64\ncount: -3\nflag: true\nsizes: [1, 2]\ninner:\n  rate: 1e-3\n"
    expected = Model(name="f64", count=-3, flag=True, sizes=(1, 2), inner=Inner(rate=1e-3))
    assert load(recipe(text), Model) == expected


@pytest.mark.parametrize(
    "word", ["off", "yes", "010", "1_000", "0x10", "1:30", "2026-01-31", ".inf"]
)
def test_words_with_a_second_meaning_are_text(recipe, word):
    assert load(recipe(f"name: {word}"), Model).name == word


@pytest.mark.parametrize("word", ["'12'", '"true"', "|\n  12\n"])
def test_what_is_quoted_is_text(recipe, word):
    assert load(recipe(f"name: {word}"), Model).name.strip() in ("12", "true")


@pytest.mark.parametrize("word", ["null", "~", ""])
def test_nothing_is_nothing(recipe, word):
    assert load(recipe(f"flag: {word}"), Model).flag is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("coutn: 1", "coutn: unknown key; the keys are name, count, flag, sizes, inner"),
        (
            "coutn: 1",
            "coutn: unknown key; the keys are name, count, flag, sizes, inner; did you mean count?",
        ),
        ("inner: {rate: 1.0, x: 2}", "inner.x: unknown key; the keys are rate"),
        (
            "inner: {rate: 1.0, raet: 2}",
            "inner.raet: unknown key; the keys are rate; did you mean inner.rate?",
        ),
        (
            "rate: 1.0",
            "rate: unknown key; the keys are name, count, flag, sizes, inner; did you mean inner.rate?",
        ),
        ("inner: {}", "inner.rate: Field required"),
        ("count: three", "count: Input should be a valid integer"),
        ("count: '3'", "count: Input should be a valid integer"),
        ("flag: yes", "flag: Input should be a valid boolean"),
        ("name: 3", "name: Input should be a valid string"),
        ("sizes: [1, a]", "sizes.1: Input should be a valid integer"),
        ("count: a\nname: 3", "name: Input should be a valid string (and 1 more)"),
    ],
)
def test_an_error_names_file_key_and_expectation(recipe, text, message):
    path = recipe(text)
    with pytest.raises(ConfigError) as raised:
        load(path, Model)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: 1\ncount: 2\n", ":2: the key 'count' stands twice"),
        ("sizes: &a [1]\ninner: *a\n", ":1: aliases are not read"),
        ("a: &a [*a]", ":1: "),
        ("name: !!python/object/apply:os.system [ls]", ":1: the tag "),
        ("name: !!binary aGk=", ":1: the tag "),
        ("1: 2", ":1: a key must be text"),
        ("[a]: 2", ":1: a key must be text"),
        ("name: [1", ":"),
        ("name: a\n---\nname: b\n", ":2: "),
        ("name: a\tb: c\n\t- d", ":"),
        ("- a", ": must hold keys with values"),
        ("", ": must hold keys with values"),
        ("name: \x07", ": "),
    ],
)
def test_what_is_no_recipe_is_one_line_that_says_where(recipe, text, message):
    path = recipe(text)
    with pytest.raises(ConfigError) as raised:
        load(path, Model)
    assert str(raised.value).startswith(f"{path}{message}")


def test_an_alias_cannot_multiply(recipe):
    levels = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 30))
    with pytest.raises(ConfigError, match="aliases"):
        load(recipe("k0: &k0 [a]\n" + levels), Model)


def test_deep_nesting_is_an_error_of_ours(recipe):
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(recipe("sizes: " + "[" * 1_000), Model)


def test_too_large_a_file_is_not_parsed(recipe):
    with pytest.raises(ConfigError, match="which no recipe has"):
        load(recipe("#" * (MAX_BYTES + 1)), Model)


def test_what_is_not_utf_8_is_an_error(recipe):
    with pytest.raises(ConfigError, match="not UTF-8 at byte 6"):
        load(recipe(b"name: \xff"), Model)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "gone.yaml", Model)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "pipe.yaml", Model)


def test_what_two_keys_say_together_is_told_in_the_models_words(recipe):
    path = recipe("name: nothing\ncount: 1")
    with pytest.raises(ConfigError) as raised:
        load(path, Model)
    assert str(raised.value) == f"{path}: count: nothing cannot be counted"


def test_an_override_is_typed_by_the_model(recipe):
    path = recipe("name: f64\ninner: {rate: 1.0}\nflag: true")
    overrides = {"inner.rate": "1e-3", "sizes": "[1, 2]", "flag": "null", "name": "'12'"}
    expected = Model(name="12", sizes=(1, 2), inner=Inner(rate=1e-3))
    assert load(path, Model, overrides=overrides) == expected


def test_an_override_makes_the_mapping_that_it_is_in(recipe):
    assert load(recipe("inner: null"), Model, overrides={"inner.rate": "2"}).inner == Inner(rate=2)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("count", "three", "--set count: Input should be a valid integer"),
        ("inner.rate", "fast", "--set inner.rate: Input should be a valid number"),
        ("inner.speed", "1", "--set inner.speed: unknown key"),
        ("coutn", "1", "--set coutn: unknown key; the keys are name"),
        ("sizes", "[1, a]", "--set sizes.1: Input should be a valid integer"),
        ("sizes", "[1", "--set sizes:1: "),
        ("name", "!!binary aGk=", "--set name:1: the tag"),
    ],
)
def test_a_fault_of_an_override_names_the_override(recipe, key, text, message):
    with pytest.raises(UsageError) as raised:
        load(recipe("inner: {rate: 1.0}"), Model, overrides={key: text})
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"name": "nothing"}, "--set name: count: nothing cannot be counted"),
        ({"name": "nothing", "count": "2"}, "--set count: nothing cannot be counted"),
        ({"flag": "true", "name": "nothing"}, "--set name: count: nothing cannot be counted"),
        ({"flag": "true", "nest.low": "1"}, "--set nest.low: nest.high: Field required"),
        ({"flag": "true", "sizes": "[7]"}, "--set several together: no size may be 7"),
    ],
)
def test_what_overrides_make_of_a_sound_file_is_their_fault(recipe, overrides, message):
    with pytest.raises(UsageError) as raised:
        load(recipe("count: 1"), WithBounds, overrides=overrides)
    assert str(raised.value) == message


def test_a_fault_of_the_file_is_not_an_overrides(recipe):
    path = recipe("name: nothing\ncount: 1")
    with pytest.raises(ConfigError) as raised:
        load(path, Model, overrides={"flag": "true"})
    assert str(raised.value) == f"{path}: count: nothing cannot be counted"


@pytest.mark.parametrize(
    "model",
    [
        Model(),
        Model(name="f64", count=-3, flag=False, sizes=(1, 2), inner=Inner(rate=6.4e-5)),
        *(Model(name=name) for name in ("off", "1e5", "010", "null", "a: b", "Ärger #1", 'a"b')),
    ],
)
def test_what_is_dumped_is_loaded_again(recipe, model):
    assert load(recipe(dump(model)), Model) == model


def test_a_dump_is_plain_yaml():
    model = Model(name="f64", sizes=(1,), inner=Inner(rate=0.5))
    assert dump(model) == ('name: "f64"\ncount: 0\nflag: null\nsizes: [1]\ninner:\n  rate: 0.5\n')
