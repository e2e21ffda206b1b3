"""Bytes against numbers worked out by hand."""

from __future__ import annotations

import pytest

from fastvlm.planning import estimate
from fastvlm.planning.estimate import BASE_BYTES, Lesson
from tests.unit.planning.models import SHAPE

LOADED = 1886 + BASE_BYTES  # 410 parameters of 4 bytes and 15 %


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1640), ("bfloat16", 820), ("float16", 820 + 10 * 2)])
def test_weights_with_the_q_former_in_float32_where_the_rest_is_float16(dtype, size):
    assert estimate.weights_bytes(SHAPE, dtype) == size


def test_a_token_in_the_cache_is_a_key_and_a_value_in_each_layer():
    assert estimate.cache_bytes_a_token(SHAPE, "float32") == 2 * 2 * (2 * 4) * 4
    assert estimate.cache_bytes_a_token(SHAPE, "float16") == 2 * 2 * (2 * 4) * 2


def test_a_network_is_a_layer_or_a_wide_mlp():
    assert estimate.network_parameters(SHAPE, "transformer") == 100
    assert estimate.network_parameters(SHAPE, "mlp") == 8 * 32 + 32 * 8 + 8


def test_decoding_holds_two_caches_and_the_networks():
    assert estimate.load_bytes(SHAPE, "float32") == LOADED
    tokens = 4 + 64 + 12
    assert estimate.decode_bytes(SHAPE, "float32", new_tokens=12, networks=100) == LOADED + 2 * 128 * tokens + 400
    assert estimate.decode_bytes(SHAPE, "float32", new_tokens=12, networks=100, caches=9) == LOADED + 9 * 128 * tokens + 400


def test_generating_texts_holds_a_cache_an_image_and_reads_all_prompts_at_once():
    reading = 3 * 68 * 8 * 8 * 4
    assert estimate.texts_bytes(SHAPE, "float32", new_tokens=12, batch=3) == LOADED + 3 * 128 * 80 + reading


def test_a_search_keeps_each_text_in_a_cache_with_room_to_read_it_twice():
    assert estimate.search_bytes(SHAPE, "float32", texts=3, longest=12) == LOADED + 3 * 128 * (68 + 24)


def test_fine_tuning_holds_what_each_layer_and_exit_needs():
    # Two layers, 8 wide; ten tokens over a vocabulary of 10 at three exits.
    kept, logits = 2 * 2 * 10 * 8 * 8 * 4, 2 * 3 * 10 * 10 * 4
    assert estimate.finetune_bytes(SHAPE, "float32", learned=100, tokens=10, exits=3) == LOADED + 100 * 16 + kept + logits
    assert estimate.adapter_parameters(SHAPE, 2) == 2 * 2 * 200 // 8


@pytest.mark.parametrize(
    ("read_at_once", "busiest"),
    [
        (0, 4 * 2 * 12 * 10 * 4),  # the loss: four times the logits of two texts of 12 tokens
        (20, 20 * (68 + 12) * 8 * 8 * 4),  # the frozen model reading 20 texts
    ],
)
def test_distilling_holds_optimizer_states_and_logits(read_at_once, busiest):
    states = (5 * 68 + 2 * 50) * 8 * 4
    lesson = Lesson(texts=5, spoken=50, longest=12, batch=2, read_at_once=read_at_once)
    assert estimate.distill_bytes(SHAPE, "float32", lesson, network=100) == LOADED + 100 * 16 + states + busiest
