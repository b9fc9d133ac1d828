"""Questions, an answer, and the command that gives it again."""

import shlex

from app.cli.interactive import command_line

from .conftest import Run


def test_a_walk_through_the_questions(run: Run) -> None:
    words = ["memory inference", "qwen3-8", "Qwen3-8B", "rtx-4090", "4", "512", "128", "n"]
    done = run("interactive", stdin="\n".join(words) + "\n")
    assert done.exit_code == 0, done.output
    assert "model_weights" in done.stdout
    assert "There is no model qwen3-8" in done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("$ "))
    again = run(*shlex.split(line.removeprefix("$ "))[1:])
    assert again.exit_code == 0
    assert again.stdout.splitlines()[0].rstrip() in done.stdout


def test_a_command_is_quoted() -> None:
    assert command_line("memory training", {"model_name": "a; b"}) == (
        "llm-estimate memory training --model 'a; b'"
    )
