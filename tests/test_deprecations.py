"""Old names warn, then go; the table itself stays in order."""

import datetime
import importlib
import importlib.util
import math
import sys
import types

import pytest

import crossmodal_jax
from crossmodal_jax import _deprecations
from crossmodal_jax._deprecations import DEPRECATIONS, Deprecation, deprecated_getattr

ROW = Deprecation("math.sqrt", since="0.1.0", date="2026-01-31", removed_in="0.10.0")


@pytest.fixture
def room(monkeypatch):
    """A module with one old name, as a room would set it up."""
    module = types.ModuleType("room_with_history")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.9.9"])  # 0.9 < 0.10: not a string order
def test_old_name_warns_where_it_is_used(room, version):
    room.__getattr__ = deprecated_getattr("room", {"root": ROW}, version=version)
    with pytest.warns(DeprecationWarning, match=r"room\.root .* 0\.10\.0; use math\.sqrt"):
        found = room.root
    assert found is math.sqrt


def test_warning_points_at_the_line_that_uses_the_old_name(room):
    # Under another name the file escapes the import hook, whose wrappers would be frames between.
    spec = importlib.util.spec_from_file_location("unhooked", _deprecations.__file__)
    unhooked = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unhooked)
    room.__getattr__ = unhooked.deprecated_getattr("room", {"root": ROW}, version="0.1.0")
    with pytest.warns(DeprecationWarning, match="use math") as seen:
        _ = room.root
    assert seen[0].filename == __file__


def test_old_name_can_be_imported_from(room):
    room.__getattr__ = deprecated_getattr("room", {"root": ROW}, version="0.1.0")
    with pytest.warns(DeprecationWarning, match="use math"):
        from room_with_history import root
    assert root is math.sqrt


@pytest.mark.parametrize("version", ["0.10.0", "0.11.2", "1.0.0"])
def test_removed_name_is_an_attribute_error_that_names_the_new_one(room, version):
    room.__getattr__ = deprecated_getattr("room", {"root": ROW}, version=version)
    with pytest.raises(AttributeError, match=r"removed in 0\.10\.0; use math\.sqrt"):
        _ = room.root
    assert not hasattr(room, "root")


def test_unknown_name_is_the_usual_error():
    with pytest.raises(AttributeError, match="module 'room' has no attribute 'rot'"):
        deprecated_getattr("room", {"root": ROW})("rot")


def test_without_a_table_the_rows_of_the_room_count():
    with pytest.raises(AttributeError, match="has no attribute"):
        deprecated_getattr("crossmodal_jax.numerics")("never_existed")


def test_rows_are_dated_resolve_and_are_deleted_when_due():
    release = [int(part) for part in crossmodal_jax.__version__.split(".")]
    for room_name, rows in DEPRECATIONS.items():
        module = importlib.import_module(f"crossmodal_jax.{room_name}")
        for name, row in rows.items():
            assert name not in vars(module)
            assert datetime.date.fromisoformat(row.date)
            target, _, attribute = row.replacement.rpartition(".")
            assert hasattr(importlib.import_module(target), attribute)
            # An expired row may stay for one more version, then both it and the hook go.
            assert release[:2] <= [int(part) for part in row.removed_in.split(".")[:2]]
