"""Tables and queries of databases."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, final
from urllib.parse import quote

from jumpml.core import DataError, MissingExtraError, did_you_mean
from jumpml.data.sources._arrow_values import object_array
from jumpml.data.sources._data_file import DataFile
from jumpml.data.sources._source import Source
from jumpml.data.sources._sql_values import WORDS, array_of, kind_of
from jumpml.data.sources._stream import Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

ROWS_AT_A_TIME = 8192
_READS = re.compile(r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
_PROBED = 1000  # rows that tell the columns' types


@final
class SqlSource(Source):
    """A table or a query of a database, through SQLAlchemy; nothing is written.

    The rows are read from the first on; a range that follows the last one goes on from there. A table's rows come in
    the order of its primary key, a query's in the order that it asks for: without ORDER BY a database may give another
    one each time. The first thousand rows tell the columns' types.

    Args:
        url: The database's address as SQLAlchemy writes it. ``$NAME`` stands for a variable of the environment, so that
            a password need not be in a file.
        path: Or an SQLite file.
        table: The table, or a view with an order of its own.
        query: Or the query.

    Raises:
        DataError: The database cannot be reached, or refuses; the text shows no password.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        path: str | Path | None = None,
        table: str | None = None,
        query: str | None = None,
    ) -> None:
        if (url is None) == (path is None) or (table is None) == (query is None):
            raise DataError("expected one of `url` and `path`, and one of `table` and `query`.")
        if query is not None and not _READS.match(query):
            raise DataError(f"expected a query that only reads, a SELECT, got {query!r:.60}.")
        self._file = None if path is None else DataFile(str(path))
        self._url = (
            os.path.expandvars(url)
            if url
            else f"sqlite:///file:{quote(str(Path(path or '').resolve()))}?mode=ro&uri=true"
        )
        self._table, self._query = table, query
        self._order: list[str] = []
        self._kinds: dict[str, str] = {}
        self._length: int | None = None
        with self._connection() as connection:
            if table is not None:
                self._read_table(connection, table)
            self._probe(connection)
        self._stream = Stream(self._blocks)

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        return {name: WORDS[kind] for name, kind in self._kinds.items()}

    @property
    def length(self) -> int | None:
        """How many rows a table has; of a query, unknown before its end was reached."""
        return self._length if self._length is not None else self._stream.length

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        if self._file is not None:
            self._file.check()
        columns = self._stream.read(tuple(names), start, stop)
        return {
            name: array_of(
                values, self._kinds[name], lambda row, name=name: f"{self._place(start + row)}, column {name!r}"
            )
            for name, values in columns.items()
        }

    def _place(self, row: int) -> str:
        return f"{self._told}: {self.place(row)}"

    @property
    def _told(self) -> str:
        """The database for people, without its password."""
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError

        if self._file is not None:
            return self._file.path
        try:
            return sqlalchemy.engine.make_url(self._url).render_as_string(hide_password=True)
        except ArgumentError:
            return "the database's url"

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection whose errors are ours."""
        try:
            import sqlalchemy
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError:
            raise MissingExtraError("sqlalchemy", "hub", "reading a database") from None
        try:
            engine = sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.pool.NullPool)
            connection = engine.connect()
            try:
                yield connection.execution_options(stream_results=True, max_row_buffer=ROWS_AT_A_TIME)
            finally:
                with suppress(SQLAlchemyError):  # it has written nothing that could be lost
                    connection.close()
        except SQLAlchemyError as error:
            raise DataError(f"{self._told}: {str(getattr(error, 'orig', None) or error).rstrip('.')}.") from None
        except ImportError as error:
            raise DataError(f"{self._told}: the driver of this database is not installed: {error}.") from None

    def _read_table(self, connection: Any, table: str) -> None:
        import sqlalchemy

        look = sqlalchemy.inspect(connection)
        known = [*look.get_table_names(), *look.get_view_names()]
        if table not in known:
            raise DataError(f"{self._told}: there is no table {table!r}. {did_you_mean(table, known)}".rstrip())
        self._order = look.get_pk_constraint(table)["constrained_columns"]
        if not self._order and connection.dialect.name == "sqlite" and table not in look.get_view_names():
            self._order = ["rowid"]
        if not self._order:
            fix = "Write a `query` with ORDER BY."
            raise DataError(f"{self._told}: {table!r} has no primary key, so that its rows have no order. {fix}")
        count = sqlalchemy.select(sqlalchemy.func.count()).select_from(sqlalchemy.table(table))
        self._length = connection.execute(count).scalar_one()

    def _statement(self, names: Sequence[str] | None) -> Any:
        import sqlalchemy

        if self._table is None:
            return sqlalchemy.text(self._query or "")
        columns = [sqlalchemy.text("*")] if names is None else [sqlalchemy.column(name) for name in names]
        order = [sqlalchemy.column(name) for name in self._order]
        return sqlalchemy.select(*columns).select_from(sqlalchemy.table(self._table)).order_by(*order)

    def _probe(self, connection: Any) -> None:
        result = connection.execute(self._statement(None))
        if not result.returns_rows:
            raise DataError(f"{self._told}: the query returns no rows; expected a SELECT.")
        names = [str(name) for name in tuple(result.keys())]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{self._told}: the query names the column {twice!r} more than once; rename one by AS.")
        rows = result.fetchmany(_PROBED)
        self._kinds = {name: kind_of(row[index] for row in rows) for index, name in enumerate(names)}
        result.close()

    def _blocks(self, names: Sequence[str]) -> Iterator[dict[str, NDArray]]:
        with self._connection() as connection:
            result = connection.execute(self._statement(names))
            names_there = list(result.keys())
            places = [names_there.index(name) for name in names]
            while rows := result.fetchmany(ROWS_AT_A_TIME):
                yield {
                    name: object_array((row[place] for row in rows), len(rows))
                    for name, place in zip(names, places, strict=True)
                }
