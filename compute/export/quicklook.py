"""Quicklook: a PNG image with one panel per season."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import xarray as xr
from distributed import Client
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from compute.result.stack import SeasonStack
from compute.statistics.season_pictures import draw_seasons, picture_grid
from compute.tiles.styles import NDVI_SPAN, Style, shade

_PANEL_PX = 560
_MARGIN, _HEADER, _FOOTER, _LABEL = 24, 64, 72, 34
_PAPER, _INK, _QUIET, _EMPTY = "#fbfaf7", "#1d2a24", "#66736c", "#dfe3e4"
_MAX_COLUMNS = 4

_STEP = 0.02
"""Quantisation step of NDVI; finer steps make no visible difference, but double the file size."""

_COLOURS = 128
"""Number of palette colours; half are for the NDVI steps, the rest for antialiased text."""


async def write_quicklook(
    stack: SeasonStack, path: Path, client: Client, *, title: str, notes: Sequence[str] = ()
) -> Path:
    """Write a PNG with a panel for each season of a persisted stack.

    The workers send only the pixels of the panels, not the stack.

    Parameters
    ----------
    stack : SeasonStack
        Stack persisted on the cluster of `client`.
    path : pathlib.Path
        Path of the PNG file.
    client : distributed.Client
        Asynchronous client.
    title : str
        Title above the panels.
    notes : sequence of str
        Lines of text below the legend, one per note.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    panels = await draw_seasons(stack, client, picture_grid(stack, _PANEL_PX))
    await asyncio.to_thread(_save, panels, stack.labels, path, title, notes)
    return path


def _save(
    panels: Sequence[NDArray[np.float64]], labels: Sequence[str], path: Path, title: str, notes: Sequence[str]
) -> None:
    picture = _compose([_draw_panel(panel) for panel in panels], labels, title, notes)
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _draw_panel(panel: NDArray[np.float64]) -> Image.Image:
    """Colour a panel and resize it to `_PANEL_PX`; rows are reversed, because Datashader draws from the bottom up."""
    image = _colour(panel[::-1])
    scale = _PANEL_PX / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST)


def _colour(values: NDArray[np.float64]) -> Image.Image:
    stepped = xr.DataArray(np.rint(values / _STEP) * _STEP, dims=("y", "x"))
    image: Image.Image = shade(stepped, Style()).to_pil()
    return image


def _compose(panels: Sequence[Image.Image], labels: Sequence[str], title: str, notes: Sequence[str]) -> Image.Image:
    columns = min(_MAX_COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    width, height = panels[0].size
    size = (
        max(columns * (width + _MARGIN) + _MARGIN, 560),
        _HEADER + rows * (height + _LABEL + _MARGIN) + _FOOTER + 20 * len(notes),
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 20), title, fill=_INK, font=ImageFont.load_default(24))
    for number, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        x = _MARGIN + number % columns * (width + _MARGIN)
        y = _HEADER + number // columns * (height + _LABEL + _MARGIN)
        draw.text((x, y + 4), label, fill=_INK, font=ImageFont.load_default(18))
        draw.rectangle((x, y + _LABEL, x + width - 1, y + _LABEL + height - 1), fill=_EMPTY)
        sheet.paste(panel, (x, y + _LABEL), panel)
    _draw_legend(sheet, draw, size[1] - _FOOTER - 20 * len(notes), notes)
    return sheet


def _draw_legend(sheet: Image.Image, draw: ImageDraw.ImageDraw, y: int, notes: Sequence[str]) -> None:
    small = ImageFont.load_default(14)
    bar = _colour(np.tile(np.linspace(*NDVI_SPAN, 256), (14, 1)))
    sheet.paste(bar, (_MARGIN, y + 8), bar)
    low, high = NDVI_SPAN
    zero = round(256 * -low / (high - low))
    for position, text in ((zero - 4, "0"), (118, "NDVI"), (236, f"{high:g}")):
        draw.text((_MARGIN + position, y + 28), text, fill=_QUIET, font=small)
    draw.rectangle((_MARGIN + 290, y + 8, _MARGIN + 312, y + 21), fill=_EMPTY)
    draw.text((_MARGIN + 320, y + 6), "never clear, or outside", fill=_QUIET, font=small)
    for number, note in enumerate(notes):
        draw.text((_MARGIN, y + 52 + 20 * number), note, fill=_QUIET, font=small)
