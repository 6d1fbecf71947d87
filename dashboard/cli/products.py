"""``greenup products``: list the products of the index, and show their bands, masks and clear rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compute.errors import InputError
from dashboard.cli.arguments import given_file, path_option
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs

if TYPE_CHECKING:
    from compute.products import ProductProfile

app = typer.Typer(help="List and show products of the index.", no_args_is_help=True)

ProductsFile = Annotated[Path | None, path_option("products.toml that describes further products.", metavar="FILE")]


@app.command("list")
def list_products(products: ProductsFile = None, as_json: AsJson = False) -> None:
    """List the products of the index, and whether each is described."""
    from compute.catalog import open_catalog
    from compute.products import load_profiles
    from compute.settings import load_settings

    profiles = load_profiles(given_file(products, "products"))
    with open_catalog(load_settings()) as catalog:
        found = {name: name in profiles for name in catalog.products()}
    if as_json:
        print_json({"products": [{"name": name, "described": known} for name, known in found.items()]})
        return
    rows = [(name, "described" if known else "not described") for name, known in found.items()]
    print_pairs("Products", rows or [("products", "none")])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Product of the index.")],
    products: ProductsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show how bands, masks and clear rules of a product are understood, in words and bits."""
    from compute.products import load_profiles
    from compute.request import check_products

    check_products((name,))
    described = _described(name, load_profiles(given_file(products, "products")))
    if as_json:
        print_json(described)
        return
    print_pairs(
        name, [*((key, words) for key, words in described["roles"]), *(("note", n) for n in described["notes"])]
    )


def _described(name: str, profiles: Mapping[str, ProductProfile]) -> dict[str, Any]:
    from compute.catalog import open_catalog
    from compute.products import describe_roles, resolve_roles
    from compute.settings import load_settings

    with open_catalog(load_settings()) as catalog:
        definition = catalog.definition(name)
    if name not in profiles:
        raise InputError("product", f"The product {name!r} is not described; describe it in a file for --products.")
    roles = resolve_roles(definition, profiles[name])
    lines = [list(line) for line in describe_roles(roles)]
    return {"product": name, "roles": lines, "notes": list(roles.notes)}
