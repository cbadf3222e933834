import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from flatbook.decide.policy import BASELINES
from flatbook.domain.errors import ConfigurationError
from flatbook.engine.policy import Policy
from flatbook.policies import parse_policy, read_policy, shipped_policies

VALID = """\
name = "mine"
description = "A policy to spoil."

[quoting]
skew = "position"
size_coin = 2.0
half_spread_vol = 0.01

[hedging]
rule = "band_and_timer"
band_coin = 0.5
"""


def error_of(text: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse_policy(text, "mine.toml")
    message = str(error.value)
    assert "\n" not in message
    assert error.value.exit_code == 4
    return message


GENERATIONS = ("advanced", "intermediate", "primitive")


def test_three_generations_and_the_published_models_ship() -> None:
    assert shipped_policies() == tuple(sorted(GENERATIONS + BASELINES))


@pytest.mark.parametrize("name", BASELINES)
def test_a_published_model_differs_from_the_advanced_maker_in_how_it_skews_alone(name: str) -> None:
    model, advanced = read_policy(name)[0], read_policy("advanced")[0]
    skewed = advanced.quoting.model_copy(update={"skew": name})
    said = {"name": name, "description": model.description, "quoting": skewed, "baseline": model.baseline}
    assert model == advanced.model_copy(update=said)


@pytest.mark.parametrize("name", shipped_policies())
def test_a_shipped_policy_reads_and_is_called_what_its_file_is(name: str) -> None:
    policy, text = read_policy(name)
    assert policy.name == name
    assert policy.description
    assert policy == Policy.model_validate(tomllib.loads(text))


def test_the_generations_differ_as_their_names_promise() -> None:
    made = {name: read_policy(name)[0] for name in GENERATIONS}
    assert {name: (policy.quoting.skew, policy.hedging.rule) for name, policy in made.items()} == {
        "primitive": ("none", "none"),
        "intermediate": ("position", "band_and_timer"),
        "advanced": ("price_of_risk", "price_of_risk"),
    }


def test_a_copied_and_edited_file_is_a_policy(tmp_path: Path) -> None:
    text = read_policy("advanced")[1].replace('name = "advanced"', 'name = "mine"')
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    policy, read = read_policy(str(path))
    assert read == text
    assert policy == read_policy("advanced")[0].model_copy(update={"name": "mine"})


def test_what_a_file_does_not_say_has_its_default() -> None:
    policy = parse_policy(VALID, "mine.toml")
    assert policy.quoting.size_coin == 2.0
    assert policy.quoting.max_days == type(policy.quoting)(skew="none").max_days
    assert policy.limits == type(policy.limits)()


@pytest.mark.parametrize(
    ("wrong", "right", "line", "field"),
    [
        ("half_spread_volt", "half_spread_vol", 7, "quoting.half_spread_volt"),
        ("band_coins", "band_coin", 11, "hedging.band_coins"),
    ],
)
def test_a_misspelt_field_is_named_with_its_line_and_the_known_ones(
    wrong: str, right: str, line: int, field: str
) -> None:
    message = error_of(re.sub(rf"^{right} =", f"{wrong} =", VALID, flags=re.MULTILINE))
    assert message.startswith(f"mine.toml:{line}: {field} is not a field of a policy; known here are ")
    assert right in message.split("known here are ")[1].split(", ")


def test_a_misspelt_table_is_named_with_its_line_and_the_known_ones() -> None:
    message = error_of(VALID.replace("[hedging]", "[hedgin]"))
    assert message.startswith("mine.toml:9: hedgin is not a field of a policy; known here are name, description,")
    assert "hedging" in message


@pytest.mark.parametrize(
    ("replaced", "by", "line", "says"),
    [
        ("size_coin = 2.0", "size_coin = -2.0", 6, "quoting.size_coin: input should be greater than 0"),
        ("size_coin = 2.0", "size_coin = 0", 6, "quoting.size_coin: input should be greater than 0"),
        (
            "half_spread_vol = 0.01",
            "half_spread_vol = -0.01",
            7,
            "quoting.half_spread_vol: input should be greater than",
        ),
        ("half_spread_vol = 0.01", 'half_spread_vol = "wide"', 7, "quoting.half_spread_vol: input should be a valid"),
        ("half_spread_vol = 0.01", "half_spread_vol = nan", 7, "quoting.half_spread_vol: input should be"),
        ("half_spread_vol = 0.01", "fee_share = 1.5", 7, "quoting.fee_share: input should be less than or equal to 1"),
        (
            'skew = "position"',
            'skew = "left"',
            5,
            "quoting.skew: input should be 'none', 'position', 'price_of_risk', 'avellaneda_stoikov', ",
        ),
    ],
)
def test_a_value_out_of_its_range_is_named_with_its_line_and_the_remedy(
    replaced: str, by: str, line: int, says: str
) -> None:
    message = error_of(VALID.replace(replaced, by))
    assert message.startswith(f"mine.toml:{line}: {says}"), message


def test_losses_that_do_not_rise_are_refused_with_the_remedy() -> None:
    message = error_of(VALID + "\n[loss_stop]\nwiden_usd = 9e9\n")
    assert message.startswith("mine.toml:13: loss_stop: ")
    assert "do not rise from widen_usd to halt_usd; put them in order" in message


def test_a_missing_field_is_named() -> None:
    assert error_of(VALID.replace('skew = "position"\n', "")) == "mine.toml: quoting.skew is missing; add it"
    assert error_of(VALID.replace('name = "mine"\n', "")) == "mine.toml: name is missing; add it"


def test_what_is_no_toml_says_where() -> None:
    message = error_of(VALID.replace("size_coin = 2.0", "size_coin = = 2.0"))
    assert message.startswith("mine.toml: not TOML: ")
    assert "line 6" in message


def test_a_name_that_is_neither_file_nor_shipped_names_those_that_are() -> None:
    with pytest.raises(
        ConfigurationError, match="'advancd' is neither a file nor one of advanced, avellaneda_stoikov, "
    ):
        read_policy("advancd")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigurationError, match=r"binary\.toml: not TOML"):
        read_policy(str(path))


def test_every_field_says_what_it_means() -> None:
    def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
        inner = [field.annotation for field in model.model_fields.values()]
        return [model for model in inner if isinstance(model, type) and issubclass(model, BaseModel)]

    for section in sections(Policy):
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"
