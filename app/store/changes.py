"""Numbers that count up when something changes, so that processes know when to read it again."""

from sqlalchemy import Connection, or_, select, update

from .tables import ChangeRow
from .upsert import insert_into, insert_once


def number(connection: Connection, topic: str) -> int:
    """How often a topic has changed; 0 where it never has."""
    return connection.execute(select(ChangeRow.number).where(ChangeRow.topic == topic)).scalar() or 0


def raise_to(connection: Connection, topic: str, least: int) -> None:
    """Let a topic's number be no smaller than this, so that nobody takes a restored one for what they saw."""
    insert_once(connection, ChangeRow, {"topic": topic, "number": least})
    small = update(ChangeRow).where(ChangeRow.topic == topic, ChangeRow.number < least)
    connection.execute(small.values(number=least))


def claim_turn(connection: Connection, topic: str, now: int, every: int) -> bool:
    """Whether it is time again for what somebody does every so often; who gets True does it. Times in [s]."""
    if insert_once(connection, ChangeRow, {"topic": topic, "number": now}):
        return True
    due = or_(ChangeRow.number <= now - every, ChangeRow.number > now)  # a time to come: a clock was set back
    turn = update(ChangeRow).where(ChangeRow.topic == topic, due).values(number=now)
    return connection.execute(turn).rowcount == 1


def count_up(connection: Connection, topic: str) -> None:
    """Count one more change, in the transaction that makes it."""
    first = insert_into(connection, ChangeRow).values(topic=topic, number=1)
    connection.execute(
        first.on_conflict_do_update(index_elements=["topic"], set_={"number": ChangeRow.number + 1})
    )
