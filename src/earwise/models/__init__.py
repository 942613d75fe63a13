"""Models: views become token layouts, families adapt architectures, ears let a vision-language model hear."""

from earwise.models.ears import Ears as Ears
from earwise.models.ears import EarsConfig as EarsConfig
from earwise.models.omni import OmniModel as OmniModel
from earwise.models.views import Sample as Sample
from earwise.models.views import Turn as Turn
