"""Benchmarks' numbers: the one by which models are compared (`metric`), and others as papers print them.

| benchmark | number, 0-100 |
|---|---|
| `mme` | mean over categories of (acc + acc+) / 2; of all 14 this is (perception + cognition) / 28 |
| `hallusionbench` | mean of aAcc, fAcc and qAcc |
| `meld`, `iemocap` | unweighted accuracy: the mean over emotions of the share that is recognised |
| everything else | 100 times the mean score |
"""

from earwise.evaluate.benchmarks.hallusionbench import hallusion_parts as hallusion_parts
from earwise.evaluate.benchmarks.mmalign import aro_score as aro_score
from earwise.evaluate.benchmarks.mme import mme_totals as mme_totals
from earwise.evaluate.benchmarks.music_avqa import music_avqa_columns as music_avqa_columns
from earwise.evaluate.benchmarks.music_avqa import music_avqa_parts as music_avqa_parts
from earwise.evaluate.benchmarks.numbers import metric as metric
from earwise.evaluate.metrics import partners_by_item as partners_by_item
