#!/usr/bin/env python3
"""Builds a program with emitted libraries as its makers would.

    build.py pkg-config example.c program library-folder ...
    build.py cmake host.cpp program library-folder ...
"""

import os
import pathlib
import shutil
import subprocess
import sys

how, source, program, *folders = sys.argv[1:]
folders = [pathlib.Path(folder).resolve() for folder in folders]
names = [next((folder / "lib" / "pkgconfig").glob("*.pc")).stem for folder in folders]
paths = [str(folder / "lib") for folder in folders]

if how == "pkg-config":
    environment = {**os.environ, "PKG_CONFIG_PATH": ":".join(path + "/pkgconfig" for path in paths)}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *names], env=environment, check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", source, *flags,
                    *("-Wl,-rpath," + path for path in paths), "-o", program], check=True)
else:
    project = pathlib.Path(program + "-project")
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    found = "".join(f"find_package({name} REQUIRED CONFIG)\n" for name in names)
    linked = " ".join(f"{name}::{name}" for name in names)
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(host LANGUAGES CXX)\nset(CMAKE_CXX_STANDARD 17)\n"
        f"{found}add_executable(host {pathlib.Path(source).resolve()})\n"
        "target_compile_options(host PRIVATE -Wall -Wextra -pedantic -Werror)\n"
        f"target_link_libraries(host PRIVATE {linked} pthread)\n")
    cmake = pathlib.Path(sys.executable).with_name("cmake")
    locations = [f"-D{name}_DIR={path}/cmake/{name}" for name, path in zip(names, paths)]
    build = project / "build"
    configure = [cmake, "-G", "Ninja", "-S", project, "-B", build, "-DCMAKE_CXX_COMPILER=" + shutil.which("clang++")]
    for command in ([*configure, *locations], [cmake, "--build", build]):
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            sys.exit(result.stdout)
    shutil.copy(build / "host", program)
