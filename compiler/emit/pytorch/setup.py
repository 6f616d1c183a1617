"""Builds @NAME@ against the torch that is installed: pip install --no-build-isolation ."""

import setuptools
from torch.utils import cpp_extension

setuptools.setup(
    name="@NAME@",
    version="1.0",
    description="The model @MODEL@, compiled by Halcyon",
    packages=["@NAME@"],
    package_dir={"": "src"},
    package_data={"@NAME@": ["weights.safetensors", "py.typed"]},
    install_requires=["torch"],
    ext_modules=[cpp_extension.CppExtension(
        "@NAME@._C", ["csrc/extension.cpp"], extra_compile_args=["-O2", "-Icsrc"],
        extra_objects=["csrc/lib@NAME@.a"], libraries=["m", "pthread"])],
    cmdclass={"build_ext": cpp_extension.BuildExtension.with_options(use_ninja=False)},
)
