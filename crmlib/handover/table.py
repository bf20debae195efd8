"""What does a tool take? Its columns, each with how it is made and what it must look like, and what holds for a row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Person = Mapping[str, str]  # a row of a list with the person's own columns; every value is text, empty where unknown


@dataclass(frozen=True)
class Field:
    """A column: its header, how a person's value is made, and the pattern that a value that is not empty must match.

    A `once` value belongs to one row of the file. With `keeps` a value that does not match sets the whole row aside;
    else it is left empty, since the row is good without it.
    """

    header: str
    make: Callable[[Person], str]
    pattern: str
    once: bool = False
    keeps: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """A tool that takes lists.

    needs     headers of which a row must have at least one, by channel
    channels  for which it can be asked, the first by default
    notice    what uploading does, or what must be chosen there, so that it grants no consent that nobody gave
    write     the file's text from its rows, where that is no table of `fields`
    """

    name: str
    fields: tuple[Field, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channels: tuple[str, ...] = ("email", "sms")
    notice: str = ""
    delimiter: str = ","
    suffix: str = "csv"
    most_bytes: int = 0
    fewest: int = 0
    write: Callable[[Sequence[Person], Mapping[str, str]], str] | None = None

    def text(self, people: Sequence[Person], options: Mapping[str, str]) -> str:
        """The whole file."""
        if self.write is not None:
            return self.write(people, options)
        out = io.StringIO()
        # Every field but a bare word is quoted, so that no reader can take a blank or a comma for anything else.
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator="\r\n")
        writer.writerow([column.header for column in self.fields])
        writer.writerows([self.value(column, person) for column in self.fields] for person in people)
        return out.getvalue()

    def value(self, column: Field, person: Person) -> str:
        """What stands in a column for a person; empty where it does not match."""
        made = column.make(person)
        return made if re.fullmatch(column.pattern, made) else ""

    def fault(self, person: Person, channel: str) -> str:
        """Why this person cannot be in the file, empty where he can."""
        for column in self.fields:
            if column.keeps and (made := column.make(person)) and not re.fullmatch(column.pattern, made):
                return f"{column.header} is not as {self.name} takes it"
        wanted = self.needs.get(channel, ())
        had = {column.header for column in self.fields if column.header in wanted and self.value(column, person)}
        return "" if had or not wanted else f"no usable {' or '.join(dict.fromkeys(wanted))}"

    def keys(self, person: Person) -> Iterator[tuple[str, str]]:
        """The values that no other row may have."""
        for column in self.fields:
            if column.once and (value := self.value(column, person)):
                yield column.header, value
