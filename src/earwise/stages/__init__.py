"""Stages: the work of each kind of job, one file per kind. They get a job and never a recipe.

`jobs` says what each kind of stage reads and imports without torch. The other files do the work; each is imported when
its work starts.
"""
