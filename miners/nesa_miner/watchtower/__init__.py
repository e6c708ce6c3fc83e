"""A watchtower: runs answered queries again and challenges what comes out otherwise.

    answers --> cases --> inspected --> challenged --> played to the end (`nesa_miner.disputes`)

It needs no stake and no seat, only an account with NES for bonds and coin for gas.
"""

from __future__ import annotations
