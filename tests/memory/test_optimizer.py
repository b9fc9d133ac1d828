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


def test_galore_projects_hidden_matrices_alone() -> None:
    """galore_torch: moments in the shape of the projected gradient, the projection on the shorter side; the
    embedding, the head and vectors stay with AdamW (its `torchrun_main.py`)."""
    rank, head = 128, Group((32000, 1024), 1, 2, matrix=False)
    wide = 2 * rank * 4096 + rank * 1024
    assert state_bytes(find("GaLore", rank=rank), (MATRIX,), "float32") == 4 * 3 * wide
    assert state_bytes(find("GaLore", rank=rank), (head,), "float32") == 8 * head.elements
    assert state_bytes(find("GaLore", rank=rank), (NORM,), "auto") == 2 * 2 * 5 * 1024


def test_galore_with_a_rank_beyond_the_matrix_keeps_a_square_projection() -> None:
    whole = 2 * 1024 * 4096 + 1024 * 1024
    assert state_bytes(find("GaLore", rank=4096), (MATRIX,), "float32") == 4 * 3 * whole


def test_8_bit_galore_quantizes_moments_and_not_the_projection() -> None:
    rank = 128
    moments = 2 * (rank * 4096 + 4 * rank * 4096 // 256)
    found = state_bytes(find("8-bit GaLore", rank=rank), (MATRIX,), "float32")
    assert found == 3 * (moments + 2 * rank * 1024)


def test_paged_8_bit_states_are_8_bit_states() -> None:
    assert bytes_of("Paged 8-bit AdamW") == bytes_of("Quantized AdamW")
    assert find("Paged 8-bit AdamW").paged and find("Paged AdamW").paged


@pytest.mark.parametrize("name", ["Lion", "Adafactor", "Muon", "GaLore", "Adam-mini"])
def test_what_has_no_lists_steps_one_by_one(name: str) -> None:
    chosen = find(name)
    one_by_one = step_temporaries(chosen, (MATRIX, NORM), foreach=False, fused=False)
    assert step_temporaries(chosen, (MATRIX, NORM), foreach=True, fused=False) == one_by_one > 0
