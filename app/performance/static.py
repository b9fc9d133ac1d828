"""A batch that starts together: its prompts are read, then every sequence writes token by token.

Linear terms of the context are exact at its middle, so no sum over tokens is needed. Sequences beyond what
runs at once follow in waves; a wave starts as places become free, so waves are a fraction, not a count.
Where lengths vary, the longest answer of the batch is written nearly alone at its end.
"""

from ..lanes import least, some
from .estimate import Flow
from .setup import Setup
from .tails import gamma_quantile


def together(setup: Setup, batch: int | None = None) -> Flow:
    """Latency of `batch` [the request's own] sequences in one replica, throughput of the deployment."""
    engine, asked = setup.engine, setup.batch if batch is None else batch
    held = least(asked, setup.room)
    waves = asked / held
    read = engine.prefill(held, setup.prompt, setup.cached)
    steps = setup.output - 1
    token = engine.token(held, setup.context) * (steps > 0) if some(steps) else 0.0
    whole = waves * (read + steps * token) + engine.rates.start + drain(setup, asked) * steps
    ttft = whole - steps * token  # of the batch's last sequence, so that the sum holds
    return Flow(
        ttft=ttft,
        tpot=token,
        itl=token,
        e2e=whole,
        requests_per_s=asked * setup.replicas / whole,
        in_flight=held,
        waiting=asked - held,
    )


def drain(setup: Setup, asked: int) -> float:
    """Seconds for each step of a mean answer that the longest of `asked` answers goes on alone."""
    cv = setup.request.length_cv
    if not cv or asked < 2:
        return 0.0
    longest = gamma_quantile(cv, 1 - 1 / asked)
    return max(0.0, longest - 1) * setup.engine.token(1, setup.context)
