#!/usr/bin/python3
"""Quantises a GGUF file of F32 by llama.cpp's own function, to hold the reader of such files to it.

    LLAMA_LIBS=…/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
    LD_LIBRARY_PATH=$LLAMA_LIBS /usr/bin/python3 bench/llamacpp/quantize.py $LLAMA_LIBS small.gguf      # small.q8_0.gguf and others

Widths of the model are multiples of 256, the block of the K types.
"""
import ctypes
import glob
import sys

libs, path = sys.argv[1:]
for name in ("libggml-base.so", "libggml-cpu-x64.so", "libggml.v*.so", "libllama-common.so", "libllama.v*.so"):
    for found in sorted(glob.glob(f"{libs}/{name}")):
        try:
            lib = ctypes.CDLL(found, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue  # for another kind of processor


class Params(ctypes.Structure):
    """llama_model_quantize_params begins with two numbers, of threads and of the type; there is room for the rest."""
    _fields_ = [("threads", ctypes.c_int32), ("type", ctypes.c_int32), ("rest", ctypes.c_int32 * 126)]


lib.llama_backend_init()
lib.llama_model_quantize_default_params.restype = Params
for name, number in (("q8_0", 7), ("q4_0", 2), ("q4_k", 15), ("q6_k", 18)):
    params = lib.llama_model_quantize_default_params()
    params.threads, params.type = 1, number
    out = path.replace(".gguf", f".{name}.gguf")
    if lib.llama_model_quantize(path.encode(), out.encode(), ctypes.byref(params)):
        sys.exit(f"{out} was not written")
    print(out)
