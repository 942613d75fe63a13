"""A benchmark's number, as a function of item weights, by the benchmark's name."""

from __future__ import annotations

from collections.abc import Sequence

from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.gap import Metric
from earwise.evaluate.metrics import checked, mean
from earwise.records import Score


def metric(name: str, scores: Sequence[Score]) -> Metric:
    """The number of benchmark `name` as a function of item weights (`gap.Metric`), 0-100: `Benchmark.metric`, and 100
    times the mean score where it is no benchmark that earwise knows.

    A resample holds a cluster, hence every group that is counted as one, a whole number of times. For MELD and IEMOCAP
    the kind of a score is its gold emotion. Raises `InputError` for no scores, several models or views, an item twice,
    and items of HallusionBench whose id does not end in their index.
    """
    benchmark = find(name)
    return checked(name, benchmark.metric if benchmark is not None else mean, scores)
