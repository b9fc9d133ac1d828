"""What happens inside, told to whoever counts it."""


class Watch:
    """Told of estimates, of calls to the hub, of what was not kept; this one takes no notice."""

    def estimated(self, kind: str, model: str) -> None:
        """An estimate was made: what of (`memory_inference`, `recommend`, ...), and for which model.

        Models that users bring are all called `custom`, so the names are as many as the registry has.
        """

    def asked_hub(self, outcome: str) -> None:
        """The hub was asked; how that went, `ok` or the code of the error."""

    def dropped(self, kind: str, count: int) -> None:
        """So much of `history` or `events` was not kept: the store was down, or it was too large."""
