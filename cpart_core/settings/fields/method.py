"""Methods that own their settings, and families of them.

A method is a frozen dataclass whose fields are its own settings; a family is the visible list of
its methods, by name. A group of settings has a field for the family (`chosen`), which holds one
method with its values. To a person the two are flat: the name of the method is one setting, its
fields are settings beside it (`--fusion attention --fusion-width 16`), and fields of the same name
in several methods of a family are one setting, which takes effect with each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, TypeVar

from cpart_core.files.typed_json import hints_of
from cpart_core.settings.fields.setting import (
    Asked,
    AskedCase,
    Setting,
    Those,
    When,
    as_setting,
)

Group = TypeVar("Group")


class Method:
    """One way to do a thing of which there are several; subclasses are frozen dataclasses."""

    name: ClassVar[str]
    """In settings, flags and stored files: a-z, 0-9 and -."""
    help: ClassVar[str]
    """What it is, in a phrase that follows those of the family's other methods."""


Family = Mapping[str, type[Method]]
"""Name -> method, in the order in which a person reads them."""
Listed = Mapping[str, tuple[type[Method], ...]]
"""Name of a group's field -> the methods of its family."""


@dataclass(frozen=True)
class Choice:
    """Metadata of a group's field that holds a method of a family."""

    family: Family
    help: str
    advanced: bool
    when: Asked


def chosen(
    family: Family,
    default: Method,
    help: str,
    *,
    advanced: bool = True,
    when: Asked = (),
) -> Any:
    """A dataclass field that holds a method of `family`. help: what is chosen; what each method
    says of itself follows it."""
    return field(default=default, metadata={"choice": Choice(family, help, advanced, when)})


@cache
def families_in(group_type: Any) -> dict[str, Family]:
    """The families of which a group holds a method, by the names of its fields."""
    return {
        item.name: item.metadata["choice"].family
        for item in fields(group_type)
        if "choice" in item.metadata
    }


def settings_of(group_type: Any, methods: Listed) -> tuple[Setting, ...]:
    """All settings of a group, flat and in order, those of methods that are not chosen too.

    methods: of all groups, for what takes effect with methods of another group.
    """
    kinds = hints_of(group_type)
    found: list[Setting] = []
    for item in fields(group_type):
        if "choice" in item.metadata:
            found += of_family(item, methods)
        else:
            own = as_setting(item, kinds[item.name])
            found.append(replace(own, when=resolved(item.metadata["when"], methods)))
    assert len({item.name for item in found}) == len(found), "names of settings are unique"
    return tuple(found)


def of_family(item: Field[Any], listed: Listed) -> Iterator[Setting]:
    """The name of the method as a setting, then the settings that its methods own."""
    choice: Choice = item.metadata["choice"]
    methods = listed[item.name]
    phrases = [method.help for method in methods]
    yield Setting(
        name=item.name,
        kind=str,
        default=item.default.name,
        help=f"{choice.help}: {', '.join(phrases[:-1])}, or {phrases[-1]}",
        low=None,
        high=None,
        choices=tuple(method.name for method in methods),
        unit="",
        advanced=choice.advanced,
        when=resolved(choice.when, listed),
    )
    owners: dict[str, list[str]] = {}
    owned: dict[str, Setting] = {}
    for method in methods:
        for own in own_settings(method):
            assert owned.setdefault(own.name, own) == own, (
                f"{own.name} means one thing in all methods of a family"
            )
            owners.setdefault(own.name, []).append(method.name)
    for name, own in owned.items():
        cases: list[AskedCase] = [
            {**outer, item.name: tuple(owners[name]), **inner}
            for outer in choice.when or ({},)
            for inner in own.when or ({},)
        ]
        yield replace(own, when=resolved(tuple(cases), listed))


def own_settings(method: Any) -> tuple[Setting, ...]:
    """The settings that a method (the class) owns, in order."""
    return kept_own_settings(method)


@cache
def kept_own_settings(method: Any) -> tuple[Setting, ...]:
    kinds = hints_of(method)
    return tuple(as_setting(item, kinds[item.name]) for item in fields(method))


def resolved(when: Asked, listed: Listed) -> When:
    """The cases with the names of the methods that `Those` means."""

    def names(setting: str, test: tuple[str, ...] | str | Those) -> tuple[str, ...] | str:
        if not isinstance(test, Those):
            return test
        return tuple(method.name for method in listed[setting] if getattr(method, test.flag))

    return tuple({name: names(name, test) for name, test in case.items()} for case in when)


def values_of(group: Any) -> dict[str, Any]:
    """Flat name -> value of a group: of its methods the name, and what they own."""
    found: dict[str, Any] = {}
    for name in hints_of(type(group)):
        value = getattr(group, name)
        if isinstance(value, Method):
            found[name] = value.name
            found |= {own.name: getattr(value, own.name) for own in own_settings(type(value))}
        else:
            found[name] = value
    return found


def with_flat(group: Group, values: Mapping[str, Any], where: str) -> Group:
    """The group with settings replaced by flat name. A method takes over what it owns from the one
    before it; values that it does not own are dropped. ValueError for a method that there is not.

    values: of known names alone. where: the group, in the error.
    """
    kind: Any = type(group)
    plain = hints_of(kind)
    changed = {name: value for name, value in values.items() if name in plain}
    for field_name, family in families_in(kind).items():
        before = getattr(group, field_name)
        name = values.get(field_name, before.name)
        if name not in family:
            raise ValueError(f"{where}.{field_name} is {name!r}; allowed: {', '.join(family)}.")
        own = {
            entry.name: values.get(entry.name, getattr(before, entry.name, entry.default))
            for entry in own_settings(family[name])
        }
        changed[field_name] = family[name](**own)
    return replace(group, **changed)  # type: ignore[type-var]
