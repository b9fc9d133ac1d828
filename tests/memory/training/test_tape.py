"""The walks over a tape, on chains small enough to follow by hand."""

from app.memory.training.primitives import Recorder
from app.memory.training.sizes import TOKENS, coefficients
from app.memory.training.tape import Walk

N = TOKENS


def followed(tape: Recorder, *, in_place: bool = True) -> tuple[Walk, int]:
    """The walk after backward, and what forward kept."""
    walk = Walk(tape, in_place)
    for value in tape.inputs:
        walk.hold(value.storage)
    walk.forward()
    for value in tape.inputs:
        walk.drop(value.storage)
    assert tape.output is not None
    walk.drop(tape.output.storage)
    kept = walk.kept
    walk.moments.clear()
    walk.start_backward()
    walk.backward()
    return walk, kept


def test_a_trained_linear_keeps_its_input() -> None:
    tape = Recorder()
    x = tape.input(8 * N, 2, grad=True)
    tape.output = tape.matrix(x, tape.weight(8 * 4, 2, trained=True), 4 * N)
    walk, kept = followed(tape)
    assert coefficients(kept)[2] == 16
    assert walk.leaves == 64
    assert max(coefficients(moment.total)[2] for moment in walk.moments) == 8 + 16 + 16  # dy, x, dx


def test_a_frozen_linear_keeps_nothing() -> None:
    tape = Recorder()
    x = tape.input(8 * N, 2, grad=True)
    tape.output = tape.matrix(x, tape.weight(8 * 4, 2, trained=False), 4 * N)
    _, kept = followed(tape)
    assert kept == 0


def test_a_storage_saved_twice_counts_once() -> None:
    tape = Recorder()
    x = tape.input(8 * N, 2, grad=True)
    first = tape.matrix(x, tape.weight(32, 2, trained=True), 4 * N)
    second = tape.matrix(x, tape.weight(32, 2, trained=True), 4 * N)
    tape.output = tape.add(first, second)
    _, kept = followed(tape)
    assert coefficients(kept)[2] == 16


def test_a_slice_keeps_the_whole() -> None:
    tape = Recorder()
    x = tape.input(8 * N, 2, grad=True)
    tape.output = tape.unary(tape.part(tape.scale(x), 2 * N), saves="input")
    _, kept = followed(tape)
    assert coefficients(kept)[2] == 16


def test_a_second_gradient_is_added_in_place_or_not() -> None:
    def fork() -> Recorder:
        tape = Recorder()
        x = tape.input(8 * N, 2, grad=True)
        both = [tape.matrix(x, tape.weight(8, 2, trained=False), N) for _ in range(2)]
        tape.output = tape.join(*both)
        return tape

    most = [
        max(coefficients(m.total)[2] for m in followed(fork(), in_place=i)[0].moments) for i in (True, False)
    ]
    assert most[0] < most[1]


def test_a_region_keeps_only_what_it_starts_from_and_then_all_of_it_again() -> None:
    tape = Recorder()
    x = tape.input(8 * N, 2, grad=True)
    region = tape.begin()
    y = tape.unary(tape.unary(x, saves="output"), saves="output")
    tape.output = tape.matrix(y, tape.weight(32, 2, trained=True), 4 * N)
    tape.finish(region)
    walk, kept = followed(tape)
    assert coefficients(kept)[2] == 16  # x alone
    assert max(coefficients(moment.kept)[2] for moment in walk.moments) == 48  # x and both results


def test_everything_is_freed_but_gradients() -> None:
    tape = Recorder()
    x = tape.input(8 * N, 2, grad=True)
    tape.output = tape.multiply(tape.unary(x, saves="input"), tape.scale(x))
    walk, _ = followed(tape)
    assert walk.kept == 0
    assert coefficients(walk.alive)[2] == 16  # the gradient of x
