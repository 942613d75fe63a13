"""Which layer of the teacher a layer of the student is compared with (arXiv 2509.18579, equation 4)."""

from __future__ import annotations

from earwise.errors import InputError


def layer_map(student_depth: int, teacher_depth: int, every: int = 1) -> tuple[tuple[int, int], ...]:
    """(student layer, teacher layer) pairs, both counted from 1: layers `every`, 2 `every`, ... of the student.

    Proportional: student layer i goes to teacher layer i * teacher_depth / student_depth, to the nearest whole number,
    halves up, at least 1. So the last layer goes to the last, the map never falls, and equal depths give the identity.
    How the paper rounds is not stated; at every seventh of 28 layers against 36 nothing is to be rounded (7 -> 9,
    14 -> 18, 21 -> 27, 28 -> 36). Raises `InputError` where the student has fewer than `every` layers.
    """
    if every > student_depth:
        what = f"every {every} layers of a student that has {student_depth}: nothing would be compared"
        raise InputError(what, remedy=f"set every to at most {student_depth}")
    return tuple(
        (layer, max(1, (2 * layer * teacher_depth + student_depth) // (2 * student_depth)))
        for layer in range(every, student_depth + 1, every)
    )
