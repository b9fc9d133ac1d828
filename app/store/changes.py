"""Numbers that count up when something changes, so that processes know when to read it again."""

from sqlalchemy import Connection, select

from .tables import ChangeRow
from .upsert import insert_into


def number(connection: Connection, topic: str) -> int:
    """How often a topic has changed; 0 where it never has."""
    return connection.execute(select(ChangeRow.number).where(ChangeRow.topic == topic)).scalar() or 0


def count_up(connection: Connection, topic: str) -> None:
    """Count one more change, in the transaction that makes it."""
    first = insert_into(connection, ChangeRow).values(topic=topic, number=1)
    connection.execute(
        first.on_conflict_do_update(index_elements=["topic"], set_={"number": ChangeRow.number + 1})
    )
