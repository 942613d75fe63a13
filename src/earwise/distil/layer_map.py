"""Which teacher layer each student layer is compared with (arXiv 2509.18579, equation 4)."""

from __future__ import annotations

from earwise.errors import InputError


def layer_map(student_depth: int, teacher_depth: int, every: int = 1) -> tuple[tuple[int, int], ...]:
    """(student layer, teacher layer) pairs, both counted from 1: layers `every`, 2 `every`, ... of the student.

    Student layer i goes to teacher layer i * teacher_depth / student_depth, rounded to the nearest whole number, halves
    up, at least 1. So the last layer goes to the last, the map never decreases, and equal depths give the identity. The
    paper does not state how it rounds; at every seventh of 28 layers against 36 no rounding is needed (7 -> 9, 14 ->
    18, 21 -> 27, 28 -> 36). Raises `InputError` if the student has fewer than `every` layers.
    """
    if every > student_depth:
        what = f"every {every} layers of a student that has {student_depth}: nothing would be compared"
        raise InputError(what, remedy=f"set every to at most {student_depth}")
    return tuple(
        (layer, max(1, (2 * layer * teacher_depth + student_depth) // (2 * student_depth)))
        for layer in range(every, student_depth + 1, every)
    )
