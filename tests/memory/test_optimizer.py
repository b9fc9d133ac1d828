import pytest

from app.memory.optimizer import OPTIMIZERS, Group, find, state_bytes, state_item, step_temporaries

MATRIX = Group((1024, 4096), 3, 2)
NORM = Group((1024,), 5, 2, matrix=False)
ELEMENTS = 3 * 1024 * 4096 + 5 * 1024


def bytes_of(name: str, dtype: str = "float32", momentum: float = 0.9) -> int:
    return state_bytes(find(name, momentum), (MATRIX, NORM), dtype)


def test_adamw_keeps_two_moments() -> None:
    assert bytes_of("AdamW") == 8 * ELEMENTS
    assert bytes_of("AdamW", "auto") == 4 * ELEMENTS
    assert bytes_of("AdamW", "bfloat16") == 4 * ELEMENTS


def test_sgd_keeps_its_momentum() -> None:
    assert bytes_of("SGD") == 4 * ELEMENTS
    assert bytes_of("SGD", momentum=0) == 0


def test_8_bit_states_have_a_scale_per_block_and_small_tensors_stay_wide() -> None:
    matrix = 1024 * 4096
    assert bytes_of("Quantized AdamW") == 3 * 2 * (matrix + 4 * matrix // 256) + 5 * 8 * 1024
    assert bytes_of("Quantized AdamW") == bytes_of("Quantized AdamW", "auto")


def test_muon_keeps_one_buffer_for_matrices_and_two_for_the_rest() -> None:
    assert bytes_of("Muon") == 4 * 3 * 1024 * 4096 + 8 * 5 * 1024


def test_adafactor_keeps_rows_and_columns() -> None:
    assert bytes_of("Adafactor") == 4 * 3 * (1024 + 4096) + 4 * 5 * 1024


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_keeps_more_than_three_wide_copies(name: str) -> None:
    assert 0 <= bytes_of(name) <= 12 * ELEMENTS


def test_temporaries_of_the_step() -> None:
    adamw = find("AdamW")
    assert step_temporaries(adamw, (MATRIX, NORM), foreach=True, fused=False) == 2 * ELEMENTS
    assert step_temporaries(adamw, (MATRIX, NORM), foreach=False, fused=False) == 2 * 2 * 1024 * 4096
    assert step_temporaries(adamw, (MATRIX, NORM), foreach=False, fused=True) == 0
    assert step_temporaries(find("SGD", 0), (MATRIX,), foreach=True, fused=False) == 0


def test_state_types() -> None:
    assert (
        state_item("float32", 2),
        state_item("auto", 2),
        state_item("auto", 4),
        state_item("bfloat16", 4),
    ) == (4, 2, 4, 2)
