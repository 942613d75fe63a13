"""Uploads an exported folder to a model hub, through `huggingface_hub`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

from earwise.errors import InputError

_TARGET: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def check_target(target: str) -> None:
    """Raise `InputError` unless `target` is USER/NAME."""
    if not _TARGET.fullmatch(target):
        raise InputError(f"{target!r} is no name of a model", remedy="give --push USER/NAME")


def push(folder: Path, target: str) -> str:
    """Upload `folder` as the private model USER/NAME; returns its address. The hub's own settings (`HF_ENDPOINT`,
    `HF_TOKEN`) say where and as whom. Raises `InputError` if the hub refuses or cannot be reached.
    """
    api = HfApi()
    try:
        made = api.create_repo(target, private=True, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=target, commit_message="Upload a model of earwise")
    except (LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
        remedy = "set HF_TOKEN, and HF_HUB_OFFLINE=0"
        raise InputError(f"cannot upload: {error}", file=folder, remedy=remedy) from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise InputError(f"the hub refused the upload: status {status}", file=folder, record=target) from None
    except OSError as error:
        raise InputError(f"the hub cannot be reached: {type(error).__name__}", file=folder, record=target) from None
    return str(made)
