# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Debian kernels: the newest of a suite, unpacked to what the lab needs of it.

A kernel is looked up once and stays until `lab.py update`, so dumps do not change under the tests
because a mirror has something newer.
"""
import dataclasses
import json
import re
import shutil

import debian
import machines
import modules
from base import LabError

# Since Linux 6.17 or so Debian splits a kernel: the image package only depends on these.
_SPLIT_PARTS = ('linux-binary-', 'linux-modules-', 'linux-base-')


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An unpacked kernel."""
    name: str
    release: str        # as in uname -r
    packages: dict      # package -> version
    depends: dict       # module name -> names of modules
    folder: object      # pathlib.Path

    @property
    def vmlinuz(self):
        """The compressed kernel that QEMU boots."""
        return self.folder / 'vmlinuz'

    @property
    def module_tree(self):
        """The folder with kernel/... and modules.builtin of this release."""
        return self.folder / 'modules'

    def identity(self):
        """The packages with their versions, as text for stamps."""
        return json.dumps(self.packages, sort_keys=True)


def installed(layout, name):
    """The kernel of this name if it has been unpacked before; else None."""
    folder = layout.kernels / name
    try:
        facts = json.loads((folder / 'kernel.json').read_text())
    except FileNotFoundError:
        return None
    return Kernel(name=name, folder=folder, **facts)


def image_package(control):
    """The concrete package that a meta package depends on: linux-image-6.12.107+deb13-amd64."""
    match = re.search(r'linux-image-\d[^ ,]*', control.get('Depends', ''))
    if not match:
        raise LabError(f"{control.get('Package')}: depends on no kernel image: "
                       f"{control.get('Depends')}")
    return match[0]


def concrete_packages(suite, meta_package):
    """{package: version} of the packages that hold the suite's newest kernel."""
    image = image_package(suite.show(meta_package))
    control = suite.show(image)
    release = image.removeprefix('linux-image-')
    parts = [part + release for part in _SPLIT_PARTS]
    split = [name for name in parts if f'{name} ' in control.get('Depends', '')]
    if not split:
        return {image: control['Version']}
    return {name: suite.show(name)['Version'] for name in split}


def prepare(layout, name, say):
    """The kernel of a name; downloads and unpacks it where it is not there yet."""
    kernel = installed(layout, name)
    if kernel:
        return kernel
    source = machines.kernel_source(name)
    suite = debian.Suite(layout, source.suite)
    say(f'looking for {source.meta_package} in Debian {source.suite}')
    packages = concrete_packages(suite, source.meta_package)
    say(f'downloading {next(iter(packages))}')
    work = layout.new_work_folder(f'kernel-{name}')
    for package in suite.download(list(packages), work / 'packages'):
        debian.unpack(package, work / 'tree', modules.NOT_NEEDED)
    folder = work / 'kernel'
    folder.mkdir()
    _keep_needed(work / 'tree', folder, packages)
    layout.put_in_place(folder, layout.kernels / name)
    shutil.rmtree(work)
    return installed(layout, name)


def _keep_needed(tree, folder, packages):
    """Moves the kernel and its modules from an unpacked package to their folder."""
    trees = [path.parent for path in tree.rglob('modules.builtin')]
    vmlinuz = [path for path in tree.rglob('vmlinuz*') if path.is_file()]
    if len(trees) != 1 or len(vmlinuz) != 1:
        raise LabError(f'{" ".join(packages)}: expected one vmlinuz and one module tree, found '
                       f'{len(vmlinuz)} and {len(trees)}')
    shutil.move(vmlinuz[0], folder / 'vmlinuz')
    depends = modules.extract(trees[0], folder / 'modules')
    for listing in trees[0].glob('modules.*'):
        shutil.move(listing, folder / 'modules' / listing.name)
    facts = {'release': trees[0].name, 'packages': packages, 'depends': depends}
    (folder / 'kernel.json').write_text(json.dumps(facts, indent=1))


def refresh(layout, name, say):
    """Looks whether the suite has a newer kernel; forgets the one that is here if so."""
    source = machines.kernel_source(name)
    suite = debian.Suite(layout, source.suite)
    suite.refresh()
    kernel = installed(layout, name)
    newest = concrete_packages(suite, source.meta_package)
    if kernel and kernel.packages != newest:
        shutil.rmtree(kernel.folder)
    same = bool(kernel) and kernel.packages == newest
    say(f'{next(iter(newest))}: {"already here" if same else "will be fetched"}')
