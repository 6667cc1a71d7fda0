"""Executes the statements that modules of the ledger build once, without building their text each time.

A simulation executes millions of statements, and SQLAlchemy spends most of the time around them. A query or an insert
that comes again as the same object is one of these: its text, its parameters and the types of its columns are kept.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable, Insert, Select
from sqlalchemy.engine.result import IteratorResult, Result, SimpleResultMetaData

Convert = Callable[[Any], Any] | None


@dataclass(frozen=True)
class PreparedQuery:
    """A query as text; `given` are the names of its parameters in their order, `constants` their values if fixed."""

    text: str
    given: Sequence[tuple[str, Convert]]
    constants: Mapping[str, Any]
    columns: SimpleResultMetaData
    converts: Sequence[Convert]

    def execute(self, connection: sqlite3.Connection, parameters: Mapping[str, Any]) -> Result[Any]:
        """Execute it and return its rows."""
        values = {**self.constants, **parameters} if parameters else self.constants
        bound = [values[name] if convert is None else convert(values[name]) for name, convert in self.given]
        rows = connection.execute(self.text, bound).fetchall()
        return IteratorResult(self.columns, map(self._converted, rows))

    def _converted(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            value if convert is None else convert(value) for value, convert in zip(row, self.converts, strict=True)
        )


class PreparedQueries:
    """The queries and inserts that came more than once as the same object."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._seen: WeakKeyDictionary[Executable, PreparedQuery | None] = WeakKeyDictionary()

    def get(self, statement: Executable, parameters: Mapping[str, Any]) -> PreparedQuery | None:
        """Return the prepared query; None for the first sight of an object, and for other statements."""
        if not isinstance(statement, Select | Insert):
            return None
        if statement not in self._seen:
            self._seen[statement] = None
            return None
        prepared = self._seen[statement]
        if prepared is None:
            prepared = self._seen[statement] = self._prepare(statement, parameters)
        return prepared

    def _prepare(self, statement: Select[Any] | Insert, parameters: Mapping[str, Any]) -> PreparedQuery:
        compiled = statement.compile(dialect=self._dialect, column_keys=list(parameters))
        state = compiled.construct_expanded_state(parameters)
        types = {name: bind.type.dialect_impl(self._dialect) for name, bind in compiled.binds.items()}
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        return PreparedQuery(
            state.statement,
            [
                (name, types[name].bind_processor(self._dialect) if name in types else None)
                for name in state.positiontup or ()
            ],
            state.parameters,
            SimpleResultMetaData([column.key or f"column_{number}" for number, column in enumerate(columns)]),
            [column.type.dialect_impl(self._dialect).result_processor(self._dialect, None) for column in columns],
        )
