"""Benchmarks by name: one value each in a file of their family, one row each in `registry`.

| name | file in the folder | number, 0-100 |
|---|---|---|
| `mme` | `MME.tsv` | (perception + cognition) / 28 |
| `hallusionbench` | `HallusionBench.tsv` | mean of aAcc, fAcc and qAcc |
| `realworldqa` | `RealWorldQA.tsv` | accuracy |
| `textvqa` | `TextVQA_VAL.tsv` | VQA accuracy |
| `chartqa_human`, `chartqa_augmented` | `ChartQA_TEST.tsv`, split `test_human`, `test_augmented` | relaxed accuracy |
| `docvqa`, `infovqa` | `DocVQA_VAL.tsv`, `InfoVQA_VAL.tsv` | ANLS |
| `mmalign_relation`, `mmalign_attribute` | `visual_genome_relation.json`, `visual_genome_attribution.json` | accuracy |
| `mmau` | `mmau-test-mini.json` | accuracy; `by_kind` for sound, music and speech |
| `mmau_sound`, `mmau_music`, `mmau_speech` | the same file, items of one task | accuracy |
| `mmar` | `MMAR-meta.jsonl` | accuracy |
| `avqa` | `val_qa.json` | accuracy |
| `music_avqa` | `avqa-test.json` of folder `json_update` | accuracy; `by_kind` for the nine cells |
| `meld` | `test_sent_emo.csv` | unweighted accuracy; `estimates.other_totals` has more |
| `iemocap` | folder `IEMOCAP_full_release` | the same |
| a name that a package registers | what it says | what it says |
| any other NAME | `NAME.jsonl`, one `Item` per line | exact match, or accuracy of the option letter |
"""

from earwise.evaluate.benchmarks.answers import Scored as Scored
from earwise.evaluate.benchmarks.answers import gold_answers as gold_answers
from earwise.evaluate.benchmarks.answers import load_benchmark as load_benchmark
from earwise.evaluate.benchmarks.answers import score_predictions as score_predictions
from earwise.evaluate.benchmarks.answers import scorer_name as scorer_name
from earwise.evaluate.benchmarks.benchmark import Benchmark as Benchmark
from earwise.evaluate.benchmarks.benchmark import Rules as Rules
from earwise.evaluate.benchmarks.benchmark import Total as Total
from earwise.evaluate.benchmarks.outcome import aggregate as aggregate
from earwise.evaluate.benchmarks.outcome import aggregate_gap as aggregate_gap
from earwise.evaluate.benchmarks.outcome import aggregate_interval as aggregate_interval
from earwise.evaluate.benchmarks.outcome import by_kind as by_kind
from earwise.evaluate.benchmarks.outcome import invalid_rate as invalid_rate
from earwise.evaluate.benchmarks.outcome import yes_rate as yes_rate
from earwise.evaluate.benchmarks.registry import find as find
