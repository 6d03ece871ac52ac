# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Compressors from the host's libraries, for kdump pages and for checking what was written."""
import ctypes
import functools
import zlib

from base import LabError

_ROOM = 1 << 17  # more than any block of these formats needs
_LZO_WORK_MEMORY = 16384 * 8


@functools.lru_cache
def _library(name, package):
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise LabError(f'{name}: not found; install the package {package}') from error


def _snappy(function_name, data):
    library = _library('libsnappy.so.1', 'libsnappy1v5')
    out, length = ctypes.create_string_buffer(_ROOM), ctypes.c_size_t(_ROOM)
    status = getattr(library, function_name)(data, ctypes.c_size_t(len(data)), out,
                                             ctypes.byref(length))
    if status != 0:
        raise LabError(f'{function_name}: status {status}')
    return ctypes.string_at(out, length.value)


def _lzo(function_name, data, work_memory):
    library = _library('liblzo2.so.2', 'liblzo2-2')
    out, length = ctypes.create_string_buffer(_ROOM), ctypes.c_size_t(_ROOM)
    status = getattr(library, function_name)(data, ctypes.c_size_t(len(data)), out,
                                             ctypes.byref(length), work_memory)
    if status != 0:
        raise LabError(f'{function_name}: status {status}')
    return ctypes.string_at(out, length.value)


def _zstd(function_name, data, *level):
    library = _library('libzstd.so.1', 'libzstd1')
    function = getattr(library, function_name)
    function.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(_ROOM)
    length = function(out, ctypes.c_size_t(_ROOM), data, ctypes.c_size_t(len(data)), *level)
    if library.ZSTD_isError(ctypes.c_size_t(length)):
        raise LabError(f'{function_name}: error {length:#x}')
    return ctypes.string_at(out, length)


COMPRESS = {
    'none': lambda data: data,
    'zlib': lambda data: zlib.compress(data, 1),
    'lzo': lambda data: _lzo('lzo1x_1_compress', data,
                             ctypes.create_string_buffer(_LZO_WORK_MEMORY)),
    'snappy': lambda data: _snappy('snappy_compress', data),
    'zstd': lambda data: _zstd('ZSTD_compress', data, 1),
}
DECOMPRESS = {
    'none': lambda data: data,
    'zlib': zlib.decompress,
    'lzo': lambda data: _lzo('lzo1x_decompress_safe', data, None),
    'snappy': lambda data: _snappy('snappy_uncompress', data),
    'zstd': lambda data: _zstd('ZSTD_decompress', data),
}
