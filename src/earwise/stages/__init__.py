"""Stages: the work of each kind of job, one file per kind. The work gets a job and never a recipe.

`jobs` describes what each kind of stage reads, without torch. The other files do the work; each is imported when its
work starts.
"""
