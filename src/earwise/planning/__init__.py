"""From a recipe to its jobs, and what they would do, told without training. Imports nothing by itself."""
