"""Recipes: what a person writes. Every table of the TOML file, what tables must agree on, and how a file is read."""

from earwise.recipe.read import load_recipe as load_recipe
from earwise.recipe.recipe import Recipe as Recipe
