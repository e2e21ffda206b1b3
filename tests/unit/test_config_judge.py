"""The judge's knobs: what may hold a key is refused without being shown."""

import pytest
from pydantic import ValidationError

from fastvlm.config_errors import in_one_line
from fastvlm.config_judge import Judge

GOOD = {
    "endpoint": "https://judge.example/v1", "model": "m", "key_variable": "JUDGE_KEY", "timeout": 60, "attempts": 5, "concurrent": 4,
    "mm_vet_prompt": None, "llava_wild_rules": None,
}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"key_variable": None}, {"endpoint": "http://127.0.0.1:8000"}, {"mm_vet_prompt": "release/x.py"}])
def test_a_judge_is_accepted(changes):
    assert Judge.model_validate(GOOD | changes).concurrent == 4


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"key_variable": "sk-secret-123"}, "key_variable: expected the name of an environment variable in capitals"),
        ({"key_variable": "secret123"}, "key_variable: expected the name of an environment variable in capitals"),
        ({"endpoint": "https://user:secret123@judge.example/v1"}, "endpoint: expected http(s)://host/path without a user"),
        ({"endpoint": "https://judge.example/v1?key=secret123"}, "endpoint: expected http(s)://host/path without a user"),
        ({"endpoint": "judge.example"}, "endpoint: expected http(s)://host/path"),
        ({"endpoint": "http://judge.example:port"}, "endpoint: expected http(s)://host/path"),
        ({"key": "secret123"}, "key: unknown key, expected one of: endpoint, model, key_variable"),
        ({"timeout": 0}, "timeout: found 0, expected greater than 0"),
        ({"attempts": 0}, "attempts: found 0, expected greater than or equal to 1"),
        ({"concurrent": "4"}, "concurrent: found '4', expected a valid integer"),
    ],
)
def test_a_wrong_judge_is_one_line_that_shows_no_key(changes, line):
    source = GOOD | changes
    with pytest.raises(ValidationError) as error:
        Judge.model_validate(source)
    said = in_one_line(error.value, source, Judge.model_json_schema())
    assert line in said
    assert "secret" not in said
