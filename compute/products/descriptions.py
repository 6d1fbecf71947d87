"""Text descriptions of resolved roles, including the bit tests of masks."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from compute.products.bit_conditions import Clause
from compute.products.mask_role import MaskRole
from compute.products.roles import BandRole, Condition, RangeRole, Roles

Line = tuple[str, str]
"""(name, description)."""


def describe_roles(roles: Roles) -> list[Line]:
    """Describe the bands, masks and conditions of a product.

    Parameters
    ----------
    roles : Roles
        Resolved roles.

    Returns
    -------
    list of (str, str)
        Pairs of a name, such as ``"red"`` or ``"mask"``, and a one-line description.
    """
    lines = [("red", describe_band(roles.red)), ("nir", describe_band(roles.nir))]
    if roles.mask is not None:
        lines.append(("mask", describe_mask(roles.mask)))
    elif not roles.conditions:
        lines.append(("mask", "none: every valid pixel is clear"))
    lines += [("and", _describe_condition(condition)) for condition in roles.conditions]
    if roles.sensor:
        lines.append(("sensor", roles.sensor))
    return lines


def describe_band(role: BandRole) -> str:
    """Describe the scaling, nodata and valid range of a band, with the sources of scaling and nodata."""
    return "; ".join((f"{role.measurement} ({role.dtype})", *_band_parts(role)))


def _band_parts(role: BandRole) -> Iterator[str]:
    yield f"reflectance = {scaling_text(role.scale, role.offset)} ({_sources(role)})"
    if role.offset_rule is not None:
        rule = role.offset_rule
        unless = f", unless {rule.unless}" if rule.unless else ""
        yield f"offset {rule.offset:g} where {rule.by} is {rule.since} or later{unless} (products file)"
    if (role.gain, role.bias) != (1.0, 0.0):
        yield f"harmonised: reflectance * {role.gain:g} + {role.bias:g}"
    yield _nodata_text(role.nodata, role.nodata_from, all_stored=role.all_stored)
    if (role.valid_min, role.valid_max) != (-inf, inf):
        yield f"valid {role.valid_min:g} to {role.valid_max:g} in {_unit(role)}"
    yield "takes precedence over documents and files" if role.override else "documents and files take precedence"


def scaling_text(scale: float, offset: float) -> str:
    """Return the formula ``stored * scale + offset`` with the given numbers.

    Parameters
    ----------
    scale, offset : float
        Numbers of the formula; a scale of 1 and an offset of 0 are omitted.
    """
    factor = "stored" if scale == 1.0 else f"stored * {scale:g}"
    return factor if offset == 0.0 else f"{factor} {'-' if offset < 0 else '+'} {abs(offset):g}"


def _sources(role: BandRole) -> str:
    if not role.scale_from and not role.offset_from:
        return "no scale or offset is stated"
    scale, offset = role.scale_from or "none stated", role.offset_from or "none stated"
    return scale if scale == offset else f"scale: {scale}, offset: {offset}"


def _nodata_text(nodata: float | None, source: str, *, all_stored: bool) -> str:
    if all_stored:
        return "every stored value is valid (products file)"
    return "no nodata is stated" if nodata is None else f"nodata {nodata:g} ({source or 'stated'})"


def _unit(role: BandRole) -> str:
    return "reflectance" if role.valid_reflectance else "stored values"


def describe_mask(role: MaskRole) -> str:
    """Describe the clear rule of a mask by class names and bit tests, and its nodata."""
    clauses = [_clause_text(role, clause) for clause in role.clauses]
    rule = " and ".join(f"({text})" if " or " in text and len(clauses) > 1 else text for text in clauses)
    nodata = _nodata_text(role.nodata, role.nodata_from, all_stored=role.all_stored)
    return f"{role.measurement} ({role.dtype}); clear where {rule or 'it is not nodata'}; {nodata}"


def _clause_text(role: MaskRole, clause: Clause) -> str:
    names = {(bits, value): name for name, bits, value in role.classes}
    return " or ".join(_test_text(role, bits, value, names.get((bits, value))) for bits, value in clause) or "never"


def _test_text(role: MaskRole, bits: int, value: int, name: str | None) -> str:
    code = _code_text(role, bits, value)
    return code if name is None else f"{name} [{code}]"


def _code_text(role: MaskRole, bits: int, value: int) -> str:
    if bits == role.every_bit:
        return f"code {role.stored_code(value)}"
    positions = [place for place in range(bits.bit_length()) if bits >> place & 1]
    number = sum((value >> place & 1) << n for n, place in enumerate(positions))
    if len(positions) == 1:
        return f"bit {positions[0]} = {number}"
    together = positions == list(range(positions[0], positions[-1] + 1))
    span = f"{positions[0]}-{positions[-1]}" if together else ",".join(map(str, positions))
    return f"bits {span} = {number}"


def _describe_condition(condition: Condition) -> str:
    if isinstance(condition, MaskRole):
        return describe_mask(condition)
    return _describe_range(condition)


def _describe_range(condition: RangeRole) -> str:
    band = condition.band
    limits = []
    if band.valid_min > -inf:
        limits.append(f"{'above' if condition.open_min else 'at least'} {band.valid_min:.6g}")
    if band.valid_max < inf:
        limits.append(f"{'below' if condition.open_max else 'at most'} {band.valid_max:.6g}")
    words = f"{band.measurement} ({band.dtype}); clear where it is {' and '.join(limits)} in {_unit(band)}"
    scaling = f"; reflectance = {scaling_text(band.scale, band.offset)}" if band.valid_reflectance else ""
    return f"{words}{scaling}; {_nodata_text(band.nodata, band.nodata_from, all_stored=band.all_stored)}"
