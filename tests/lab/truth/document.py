# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts truth.json together, and the files beside it that are better read on their own."""
import gzip
import hashlib
import json
import re

from truth import frames, parse_kernel, parse_net, parse_proc

_CONTENT_IN_JSON = 65536
_CLOCK_TICKS = 100  # USER_HZ on x86
_BTF = '/sys/kernel/btf/'
_TRACING = '/sys/kernel/tracing/'
_TRACED = ('/trace', '/saved_cmdlines')
_EXPECTATIONS = '/run/lab/expect.d/'
_RAW = 'truth.raw.gz'

# One line of one file each.
_LINES = {
    'version': '/proc/version', 'uname': 'cmd:uname', 'cmdline': '/proc/cmdline',
    'hostname': '/proc/sys/kernel/hostname', 'domainname': '/proc/sys/kernel/domainname',
    'ostype': '/proc/sys/kernel/ostype', 'osrelease': '/proc/sys/kernel/osrelease',
    'boot_id': '/proc/sys/kernel/random/boot_id', 'uptime': '/proc/uptime',
    'tainted': '/proc/sys/kernel/tainted', 'lsm': '/sys/kernel/security/lsm',
    'vmcoreinfo_location': '/sys/kernel/vmcoreinfo',
}
# Whole files as they are.
_TEXTS = {
    'os_release_file': '/etc/os-release', 'ioports': '/proc/ioports',
    'interrupts': '/proc/interrupts', 'meminfo': '/proc/meminfo', 'keys': '/proc/keys',
    'locks': '/proc/locks', 'missing': 'cmd:missing',
}
_OTHER_TEXTS = '''/proc/devices /proc/filesystems /proc/partitions /proc/swaps /proc/misc
    /proc/cgroups /proc/consoles /proc/tty/drivers /proc/slabinfo /proc/buddyinfo /proc/zoneinfo
    /proc/vmallocinfo /proc/timer_list /proc/mtrr /proc/diskstats /proc/stat /proc/loadavg
    /proc/bus/input/devices /proc/bus/pci/devices /proc/key-users /proc/crypto'''.split()


def _kernel(record, folder):
    symbols = record.text('/proc/kallsyms') or ''
    (folder / 'kallsyms.txt').write_text(symbols)
    (folder / 'dmesg.txt').write_text(record.text('dmesg') or '')
    info, info_text = parse_kernel.vmcoreinfo(record.content('kcore:notes'))
    headers = parse_kernel.kcore_headers(record.text('kcore:phdrs'))
    described = parse_kernel.kallsyms(symbols)
    modules = parse_kernel.modules(record)
    loaded = {module['name'] for module in modules}
    iomem = record.text('/proc/iomem')
    return {
        'btime': int(re.search(r'^btime (\d+)', record.text('/proc/stat'), re.M)[1]),
        'time': {name: record.line(f'time:{name}')
                 for name in ('realtime', 'monotonic', 'boottime', 'realtime_end')},
        'clk_tck': _CLOCK_TICKS,
        'cpu': parse_kernel.cpu(record.text('/proc/cpuinfo')),
        'registers': parse_kernel.registers((folder / 'registers.txt').read_text()),
        'ram_ranges': [[f'{first:x}', f'{last:x}']
                       for first, last in parse_kernel.ram_ranges(iomem)],
        'iomem': parse_kernel.iomem_tree(iomem),
        'vmcoreinfo': info, 'vmcoreinfo_raw': info_text, 'kcore_phdrs': headers,
        'build_id': parse_kernel.build_id(record.content('/sys/kernel/notes')),
        'kallsyms': described,
        'kaslr': {'text': described['selected']['_text'], 'kerneloffset': info.get('KERNELOFFSET'),
                  'phys_base': info.get('NUMBER(phys_base)'),
                  'page_offset': parse_kernel.page_offset(headers),
                  'la57': info.get('NUMBER(pgtable_l5_enabled)')},
        'modules': modules,
        'builtin_parameters': parse_kernel.builtin_parameters(record, loaded),
        'kmsg': parse_kernel.kmsg(record.content('kmsg') or b''),
    }


def _processes_and_network(record):
    processes = parse_proc.processes(record)
    found = {'processes': processes,
             'net': parse_net.network_namespaces(record, processes),
             'mounts': parse_net.mount_namespaces(record, processes),
             'interfaces_sysfs': parse_net.interfaces_sysfs(record)}
    try:
        found['interfaces'] = parse_net.interfaces(record)
    except ValueError as error:
        found.update(interfaces=None, interfaces_error=str(error))
    return found


def _files(record, host_hashes):
    """Files of the scenario; the host's copy of the root knows what was not read."""
    found = []
    for name in record.below('stat:'):
        path = name.removeprefix('stat:')
        if path.startswith('/proc/') or record.content(name) is None:
            continue
        entry = {'path': path, **parse_proc.key_values(record.text(name))}
        content = record.content(f'content:{path}')
        if content is not None:
            entry['sha256'] = hashlib.sha256(content).hexdigest()
            entry['read_len'] = len(content)
            if len(content) <= _CONTENT_IN_JSON:
                entry['content'] = frames.text_of(content)
        elif path in host_hashes:
            entry.update(sha256=host_hashes[path], sha256_from='host copy')
        found.append(entry)
    return found


def _tracing(record):
    """The tracing settings; what was traced is in the record only."""
    return {name.removeprefix(_TRACING): record.text(name) for name in record.below(_TRACING)
            if record.content(name) is not None and not name.endswith(_TRACED)}


def _btf(record, folder):
    """Writes btf/NAME for the kernel and each module."""
    found = {}
    (folder / 'btf').mkdir(exist_ok=True)
    for name in record.below(_BTF):
        content = record.content(name)
        if content is None:
            continue
        module = name.removeprefix(_BTF)
        (folder / 'btf' / module).write_bytes(content)
        found[module] = {'size': len(content), 'sha256': hashlib.sha256(content).hexdigest(),
                         'file': f'btf/{module}'}
    return found


def _rest(record):
    expectations = (name for name in record.below(_EXPECTATIONS) if record.text(name) is not None)
    return {
        'commands': {name.removeprefix('cmd:'): record.text(name) for name in record.below('cmd:')},
        'sysvipc': {name: record.text(f'/proc/sysvipc/{name}') for name in ('shm', 'sem', 'msg')},
        'ftrace': _tracing(record),
        'sysctl': record.lines_below('/proc/sys/'),
        'dmi': record.lines_below('/sys/class/dmi/id/'),
        'expect': {name.removeprefix(_EXPECTATIONS): record.text(name).splitlines()
                   for name in expectations},
        'text': {name: record.text(name) for name in _OTHER_TEXTS},
    }


def write(found_frames, folder, meta, host_hashes):
    """Writes truth.json, kallsyms.txt, dmesg.txt and btf/ into a dump's folder.

    The folder has registers.txt already. meta says how the dump was made.
    """
    record = frames.Record(found_frames)
    document = {'meta': meta}
    document.update({key: record.line(name) for key, name in _LINES.items()})
    document.update({key: record.text(name) for key, name in _TEXTS.items()})
    document.update(_kernel(record, folder))
    document.update(_processes_and_network(record))
    document['files'] = _files(record, host_hashes)
    document['btf'] = _btf(record, folder)
    document.update(_rest(record))
    (folder / 'truth.json').write_text(json.dumps(document, indent=1))


def write_raw(found_frames, folder):
    """Keeps the record itself, without the types, which are in btf/."""
    kept = {name: frame for name, frame in found_frames.items() if not name.startswith(_BTF)}
    with gzip.open(folder / _RAW, 'wb', compresslevel=1) as file:
        file.write(frames.pack(kept))


def load_raw(folder):
    """The frames of a finished dump's folder, for looking, or for parsing them anew."""
    found = frames.load(folder / _RAW)
    for path in (folder / 'btf').iterdir():
        found[_BTF + path.name] = frames.Frame('F', path.read_bytes())
    return found
