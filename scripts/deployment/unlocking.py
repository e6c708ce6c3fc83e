"""Opens the deploying account without a question where its password is at hand."""

from __future__ import annotations

import os
from typing import Any

from ape_accounts import KeyfileAccount

from nesa.chain.keystore import read_password

PASSWORD = "NESA_DEPLOYER_PASSWORD"


def unlock(account: Any) -> None:
    """Take the password from NESA_DEPLOYER_PASSWORD_FILE or NESA_DEPLOYER_PASSWORD, if there."""
    if isinstance(account, KeyfileAccount) and {PASSWORD, f"{PASSWORD}_FILE"} & os.environ.keys():
        account.set_autosign(True, passphrase=read_password(PASSWORD))
