"""Checks what an Intel processor says about the program that runs a seat, by quotes of SGX or TDX.

Only the checking is here. Nothing in this repository runs inside an enclave or a trust domain.
"""
