"""Write the next migration from what changed in app/store/tables.py: `python scripts/new_migration.py NAME`.

Read what it wrote before committing it, and raise HEAD in app/store/current.py. A migration only adds: the
version before goes on working on its tables while a newer one is rolled out; what is dropped waits a version.
"""

import re
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.store import Store
from app.store.current import HEAD
from app.store.migrate import SCRIPTS
from app.store.tables import Base

_FILE = '''"""{about}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """{about}"""
    {upgrade}


def downgrade() -> None:
    """And back."""
    {downgrade}
'''


def main(name: str) -> None:
    """Compare the tables with those that all migrations make, and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(None, Path(folder))
        with store.database.read() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            found = produce_migrations(context, Base.metadata)
        store.close()
    up, down = found.upgrade_ops, found.downgrade_ops
    if up is None or down is None or up.is_empty():
        sys.exit("Nothing changed.")
    revision = f"{int(HEAD) + 1:04d}"
    path = SCRIPTS / "versions" / f"{revision}_{re.sub(r'[^a-z0-9]+', '_', name.lower())}.py"
    code = {"upgrade": _code(up), "downgrade": _code(down)}
    about = f"{name[:1].upper()}{name[1:]}."
    path.write_text(_FILE.format(about=about, revision=revision, before=HEAD, **code), encoding="utf-8")
    print(path)


def _code(operations: object) -> str:
    rendered = render_python_code(operations, render_as_batch=True)  # type: ignore[arg-type]
    return re.sub(r"^\s*#.*\n?", "", rendered, flags=re.MULTILINE).strip()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or sys.exit("A name is needed."))
