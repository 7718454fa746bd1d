"""Holds dashboards against Grafana's published schema: the models of grafana-foundation-sdk, which are
generated from it. The library reads leniently: it drops what it does not know, and checks no type. So
each file is read into the models and written again, which must lose nothing, and every value is held
against the type that the model declares.

    schema.py DASHBOARD.json ...

Prints what is wrong, a line each, and ends with 1 if there is anything.
"""

import enum
import json
import sys
import types
import typing

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

plugins.register_default_plugins()

# What Grafana's Prometheus data source reads of an annotation: the schema is of annotations of every
# source, and leaves that to the source.
PROMETHEUS_ANNOTATION = {"step", "tagKeys", "textFormat", "titleFormat"}


def fits(value, kind, hints):
    """Whether `value` is of the declared type `kind`."""
    if kind is typing.Any or kind is object:
        return True
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one, hints) for one in args)
    if origin is typing.Literal:
        return value in args
    if origin is list:
        return isinstance(value, list) and all(fits(one, args[0], hints) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, args[1], hints) for one in value.values())
    if kind in (int, float):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (kind is float or float(value).is_integer())
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        # The library leaves the word as it was read.
        return isinstance(value, kind) or value in [member.value for member in kind]
    if isinstance(kind, type):
        return isinstance(value, kind)
    return True


def types_of(model, where):
    """Every value below `model` that is not what it is declared to be."""
    if isinstance(model, list):
        for place, one in enumerate(model):
            yield from types_of(one, f"{where}[{place}]")
    elif isinstance(model, dict):
        for key, one in model.items():
            yield from types_of(one, f"{where}.{key}")
    elif type(model).__module__.startswith("grafana_foundation_sdk.models"):
        if isinstance(model, enum.Enum):
            return
        hints = typing.get_type_hints(type(model))
        for name, value in vars(model).items():
            if name in hints and not fits(value, hints[name], hints):
                yield f"{where}.{name}: {value!r} is no {hints[name]}"
            yield from types_of(value, f"{where}.{name}")
    elif type(model).__name__.startswith("Unknown"):
        yield f"{where}: a kind of query that the schema does not know"


def lost(before, after, where):
    """What is in the file and not in what the library made of it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                # The library leaves out what is null.
                of_source = where.startswith(".annotations.list[") and key in PROMETHEUS_ANNOTATION
                if value is not None and not of_source:
                    yield f"{where}.{key}: the schema has no such key"
            else:
                yield from lost(value, after[key], f"{where}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{where}[{place}]")
    elif before != after:
        yield f"{where}: {before!r} became {after!r}"


def problems(text):
    """What is wrong with the dashboard in `text`."""
    before = json.loads(text)
    try:
        model = dashboard.Dashboard.from_json(before)
        after = json.loads(json.dumps(model, cls=JSONEncoder))
    except Exception as error:  # noqa: BLE001: whatever it was, the dashboard is not of the schema
        return [f"it cannot be read: {error!r}"]
    found = [*types_of(model, ""), *lost(before, after, "")]
    ids = [panel["id"] for panel in before["panels"]]
    found += [f"panel {one} is there twice" for one in sorted(set(ids)) if ids.count(one) > 1]
    known = set(plugins.cogruntime.Runtime().panelcfg_variants) | {"row"}
    found += [f"{one['type']}: no such panel" for one in before["panels"] if one["type"] not in known]
    return found


def main(paths):
    wrong = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for problem in problems(file.read()):
                print(f"{path}: {problem}")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
