"""Runs a program that may not get at the extended processor state of others: python -m host.without_xstate PROGRAM ...

User-Mode-Linux 6.1 has too little room for that state on processors with AMX and ends at once. When it is refused the
state it falls back to the part that always fits. The vector registers are then not kept between threads of one process
in the guest, which is why C(LESS_VECTORS) tells the guest's C library to leave them alone.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

# for the C library, for OpenSSL and for Go, in the guest's environment
LESS_VECTORS = (
    "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW "
    "OPENSSL_ia32cap=~0x1000000000000000:0 GODEBUG=cpu.all=off"
)
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ARCHITECTURE, _PTRACE = 0xC000003E, 101
_GETREGSET, _XSTATE, _EINVAL = 0x4204, 0x202, 22
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def needed() -> bool:
    """Tell whether this machine's processors have more state than User-Mode-Linux can hold."""
    return "amx_tile" in Path("/proc/cpuinfo").read_text().split()


def forbid() -> None:
    """Let ptrace(PTRACE_GETREGSET, NT_X86_XSTATE) fail in this process and all that it starts."""
    checks = ((4, _ARCHITECTURE), (0, _PTRACE), (16, _GETREGSET), (32, _XSTATE))
    code = b""
    for number, (offset, value) in enumerate(checks):
        to_end = 2 * (len(checks) - number - 1) + 1
        code += struct.pack("HBBI", _LOAD, 0, 0, offset) + struct.pack("HBBI", _EQUAL, 0, to_end, value)
    code += struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | _EINVAL) + struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)
    program = ctypes.create_string_buffer(code, len(code))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    unsigned = ctypes.c_ulong
    for option, first, second in ((_PR_SET_NO_NEW_PRIVS, 1, 0), (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, 1)):
        last = unsigned(ctypes.addressof(filter_)) if second else unsigned(0)
        if libc.prctl(option, unsigned(first), last, unsigned(0), unsigned(0)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
