"""Stages: what a recipe makes happen. The only place that knows both the recipe and the parts.

`declared` says what each kind of stage depends on and imports without torch; the other files do the work, one per kind
of stage, and are imported when it starts.
"""

from earwise.stages.declared import plan as plan
from earwise.stages.declared.models import check_models as check_models
