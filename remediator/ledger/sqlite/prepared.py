"""Executes the statements that modules of the ledger build once, without building their text each time.

A simulation executes millions of statements, and SQLAlchemy spends most of the time around them. A statement that comes
again as the same object is one of these: its text, its parameters and the types of its columns are kept.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from typing import Any, NamedTuple
from weakref import WeakSet

from sqlalchemy import Column, Delete, Dialect, Executable, Insert, Select, Update
from sqlalchemy.engine.result import IteratorResult, Result, SimpleResultMetaData
from sqlalchemy.sql.compiler import ExpandedState

Convert = Callable[[Any], Any] | None
Parameters = Mapping[str, Any]


class Written(NamedTuple):
    """The result of a statement that returns no rows, as SQLAlchemy's."""

    rowcount: int
    inserted_primary_key: tuple[int | None]


@dataclass(frozen=True)
class PreparedStatement:
    """A statement as text.

    `places` are the names of its parameters in their order, `constants` the values that are fixed, `defaults` those of
    columns that are not given, and `lists` the names of the single values of each list.
    """

    text: str
    places: Sequence[tuple[str, Convert]]
    constants: Parameters
    defaults: Mapping[str, Callable[[], Any]]
    lists: Mapping[str, Sequence[str]]
    columns: SimpleResultMetaData | None
    """None if it returns no rows."""
    converted: Sequence[tuple[int, Callable[[Any], Any]]]
    """The columns whose values are stored otherwise than they are read."""

    @cached_property
    def is_completed(self) -> bool:
        """Whether its values are more than the parameters that are given."""
        return bool(self.constants or self.defaults or self.lists)

    def execute(self, connection: sqlite3.Connection, parameters: Parameters) -> Result[Any] | Written:
        """Execute it and return its rows."""
        cursor = connection.execute(self.text, self._bound(parameters))
        if self.columns is None:
            return Written(cursor.rowcount, (cursor.lastrowid,))
        rows = cursor.fetchall()
        return IteratorResult(self.columns, iter(map(self._read, rows) if self.converted else rows))

    def execute_many(self, connection: sqlite3.Connection, rows: Sequence[Parameters]) -> Written:
        """Execute it once for each row."""
        return Written(connection.executemany(self.text, map(self._bound, rows)).rowcount, (None,))

    def _bound(self, parameters: Parameters) -> list[Any]:
        values = self._completed(parameters) if self.is_completed else parameters
        return [values[name] if convert is None else convert(values[name]) for name, convert in self.places]

    def _completed(self, parameters: Parameters) -> Parameters:
        values = {**self.constants, **parameters}
        values.update((name, default()) for name, default in self.defaults.items())
        for name, singles in self.lists.items():
            values.update(zip(singles, _flat(parameters[name]), strict=True))
        return values

    def _read(self, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, convert in self.converted:
            if values[place] is not None:
                values[place] = convert(values[place])
        return values


@dataclass
class _Forms:
    """The texts of one statement, by the names of its parameters and the lengths of the lists among them."""

    statement: Executable
    lists: Sequence[str] = ()
    prepared: dict[tuple[Any, ...], PreparedStatement] = field(default_factory=dict)

    def form_of(self, parameters: Parameters) -> tuple[Any, ...]:
        return *parameters, *(len(parameters[name]) for name in self.lists)


class PreparedStatements:
    """The statements that came more than once as the same object."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._seen_once: WeakSet[Executable] = WeakSet()
        self._forms: dict[int, _Forms] = {}  # by the identity of the statement, which is kept with them

    def get(self, statement: Executable, parameters: Parameters) -> PreparedStatement | None:
        """Return the prepared statement; None for the first sight of an object, and for other kinds of statements."""
        forms = self._forms.get(id(statement)) or self._keep(statement)
        if forms is None:
            return None
        return forms.prepared.get(forms.form_of(parameters)) or self._prepare(forms, parameters)

    def _keep(self, statement: Executable) -> _Forms | None:
        if statement in self._seen_once:
            return self._forms.setdefault(id(statement), _Forms(statement))
        if isinstance(statement, Select | Insert | Update | Delete):
            self._seen_once.add(statement)
        return None

    def _prepare(self, forms: _Forms, parameters: Parameters) -> PreparedStatement:
        prepared = _Preparation(forms.statement, self._dialect, parameters).statement()
        forms.lists = tuple(prepared.lists)
        forms.prepared[forms.form_of(parameters)] = prepared
        return prepared


class _Preparation:
    """Takes from a compiled statement all that its executions need."""

    def __init__(self, statement: Any, dialect: Dialect, parameters: Parameters) -> None:
        self._statement, self._dialect, self._parameters = statement, dialect, parameters
        self._compiled = statement.compile(dialect=dialect, column_keys=list(parameters))
        self._state: ExpandedState = self._compiled.construct_expanded_state(parameters)

    def statement(self) -> PreparedStatement:
        expansion = self._state.parameter_expansion
        lists = {name: singles for name, singles in expansion.items() if name in self._parameters}
        defaults = self._defaults()
        given = {*self._parameters, *defaults, *chain.from_iterable(lists.values())}
        places = [(name, self._to_stored(name)) for name in self._state.positiontup or ()]
        constants = {name: _converted(self._state.parameters[name], to) for name, to in places if name not in given}
        places = [(name, to if name in given else None) for name, to in places]
        return PreparedStatement(self._state.statement, places, constants, defaults, lists, *self._columns())

    def _defaults(self) -> Mapping[str, Callable[[], Any]]:
        """Return what gives the value of each column that has a default and is not given."""
        columns = [*self._compiled.insert_prefetch, *self._compiled.update_prefetch]
        return {column.key: partial(_default_of, column) for column in columns}

    def _to_stored(self, name: str) -> Convert:
        if name in self._state.processors:
            return self._state.processors[name]
        bind = self._compiled.binds.get(name)
        return None if bind is None else bind.type.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _columns(self) -> tuple[SimpleResultMetaData | None, Sequence[tuple[int, Callable[[Any], Any]]]]:
        if not isinstance(self._statement, Select):
            return None, []
        columns = list(self._statement.selected_columns)
        types = [column.type.dialect_impl(self._dialect) for column in columns]
        to_read = [each.result_processor(self._dialect, None) for each in types]
        names = [column.key or f"column_{number}" for number, column in enumerate(columns)]
        return SimpleResultMetaData(names), [(place, to) for place, to in enumerate(to_read) if to is not None]


def _converted(value: Any, convert: Convert) -> Any:
    return value if convert is None else convert(value)


def _default_of(column: Column[Any]) -> Any:
    """Return the default value of a column; SQLAlchemy gives each function the context of an execution."""
    default: Any = column.default or column.onupdate
    return default.arg(None) if default.is_callable else default.arg


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    """Yield the values of a list, and those of its tuples one by one."""
    for value in values:
        if isinstance(value, tuple):
            yield from value
        else:
            yield value
