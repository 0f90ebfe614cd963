#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when an include points upwards, sideways, or takes a third-party header out of its home.

usage: check_layers.py REPOSITORY
"""
import pathlib
import re
import sys

LEVELS = [
    ["core"],
    ["device"],
    ["comm", "kernels"],
    ["linalg", "data"],
    ["families"],
    ["config", "io", "model", "calib", "hessian", "quant", "schedule", "eval"],
    ["backend"],
    ["pipeline"],
    ["bench", "campaign", "export"],
    ["app"],
]
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}
# pattern of a third-party header -> where it may stand (folder, or folder/file pattern)
HOMES = {
    r"mpi\.h|nccl\.h": [r"comm/"],
    r"cuda.*": [r"device/", r"comm/.*_cuda\.", r"kernels/.*_gpu\.cu", r"kernels/launch\.cuh", r"linalg/.*_gpu\."],
    r"cublas.*|cusolver.*": [r"device/", r"linalg/.*_gpu\."],
    r"nvtx3/.*": [r"device/"],
    r"hdf5\.h": [r"io/"],
    r"nlohmann/.*": [r"io/"],
    r"openssl/.*": [r"io/"],
    r"yaml-cpp/.*": [r"config/"],
    r"boost/.*|fmt/.*": [r"app/"],
    r"cblas\.h|lapacke\.h": [r"linalg/"],
    r"(oneapi/)?dnnl.*": [r"linalg/"],
    r"omp\.h": [r"core/parallel\.hpp", r"core/threads\."],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def complaints(root: pathlib.Path):
    files = [p for top in ("src", "kernels") for p in (root / top).rglob("*")
             if p.suffix in {".hpp", ".cpp", ".cu", ".cuh", ".h"}]
    for path in sorted(files):
        place = path.relative_to(root / "src" if path.is_relative_to(root / "src") else root).as_posix()
        folder = place.split("/")[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            where, (bracket, header) = f"{path.relative_to(root)}:{number}", match.groups()
            for pattern, homes in HOMES.items():
                if re.fullmatch(pattern, header) and not any(re.match(home, place) for home in homes):
                    yield f"{where}: <{header}> belongs in {homes}, not in {folder}/"
            target = header.split("/")[0]
            if bracket == '"' and target not in LEVEL:
                yield f'{where}: "{header}": project includes carry their folder'
            if bracket == '"' and target in LEVEL and target != folder and LEVEL[target] >= LEVEL[folder]:
                yield f"{where}: {folder}/ (level {LEVEL[folder]}) must not include {target}/ (level {LEVEL[target]})"
        if len(path.read_text().splitlines()) > 300:
            yield f"{path.relative_to(root)}: more than 300 lines"


if __name__ == "__main__":
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "layers: every include points downwards")
    sys.exit(bool(found))
