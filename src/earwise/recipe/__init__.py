"""Recipes: every table of the TOML file, checks across tables, and reading a file."""

from earwise.recipe.read import load_recipe as load_recipe
from earwise.recipe.recipe import Recipe as Recipe
