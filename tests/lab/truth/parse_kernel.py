# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of what the kernel says about itself: symbols, modules, memory layout, notes, log."""
import hashlib
import re
import struct

from truth.frames import text_of

# Symbols that dump readers start from; the others are in kallsyms.txt.
_SELECTED_SYMBOLS = '''_text _stext _etext _sdata _edata __bss_start _end init_task init_top_pgt
    linux_banner init_uts_ns kallsyms_names kallsyms_token_table kallsyms_offsets
    kallsyms_num_syms kallsyms_relative_base modules prb __start_BTF __stop_BTF page_offset_base
    vmalloc_base vmemmap_base phys_base tcp_hashinfo net_namespace_list init_net init_pid_ns
    sys_call_table idt_table super_blocks iomem_resource vmcoreinfo_data __per_cpu_offset
    saved_command_line runqueues inode_hashtable dentry_hashtable ftrace_ops_list kprobe_table
    key_serial_tree tk_core timekeeper'''.split()
_NT_GNU_BUILD_ID = 3
_CR4_LA57 = 1 << 12
# Where the direct map may start on x86-64: from the lowest 5-level to the highest 4-level address.
_DIRECT_MAP = range(0xff00000000000000, 0xffffc00000000000)
_MODULE_FACTS = ('version', 'srcversion', 'coresize', 'initsize', 'taint')


def notes(content):
    """[(name, type, description)] of ELF notes; name and description are padded to 4 bytes."""
    found, position = [], 0
    while position + 12 <= len(content):
        name_size, size, kind = struct.unpack_from('<III', content, position)
        position += 12
        name = content[position:position + name_size].rstrip(b'\0')
        position += (name_size + 3) & ~3
        found.append((name, kind, content[position:position + size]))
        position += (size + 3) & ~3
    return found


def build_id(content):
    """The GNU build id among notes, as hexadecimal text; None without one."""
    for name, kind, description in notes(content or b''):
        if name == b'GNU' and kind == _NT_GNU_BUILD_ID:
            return description.hex()
    return None


def ram_ranges(iomem):
    """[(first, last)] of System RAM in /proc/iomem, last byte included."""
    found = []
    for line in iomem.splitlines():
        match = re.fullmatch(r'([0-9a-f]+)-([0-9a-f]+) : System RAM', line)
        if match:
            found.append((int(match[1], 16), int(match[2], 16)))
    return found


def iomem_tree(text):
    """/proc/iomem with the depth of each line."""
    found = []
    for line in text.splitlines():
        span, name = line.split(' : ', 1)
        start, end = span.strip().split('-')
        depth = (len(line) - len(line.lstrip())) // 2
        found.append({'depth': depth, 'start': start, 'end': end, 'name': name})
    return found


def kallsyms(text):
    """What truth.json says about /proc/kallsyms."""
    by_module, first = {}, {}
    for line in text.splitlines():
        words = line.split()
        module = words[3].strip('[]') if len(words) > 3 else 'vmlinux'
        by_module[module] = by_module.get(module, 0) + 1
        if module == 'vmlinux':
            first.setdefault(words[2], words[0])
    return {'file': 'kallsyms.txt', 'count': sum(by_module.values()), 'by_module': by_module,
            'sha256': hashlib.sha256(text.encode()).hexdigest(),
            'selected': {name: first.get(name) for name in _SELECTED_SYMBOLS}}


def vmcoreinfo(kcore_notes):
    """(mapping, text) of the VMCOREINFO note of /proc/kcore; ({}, None) without one."""
    for name, _, description in notes(kcore_notes or b''):
        if name == b'VMCOREINFO':
            text = text_of(description)
            return dict(line.partition('=')[::2] for line in text.splitlines()), text
    return {}, None


def kcore_headers(text):
    """The program headers of /proc/kcore, values as the collector wrote them."""
    return [dict(word.split('=') for word in line.split()) for line in (text or '').splitlines()]


def page_offset(headers):
    """The start of the direct map in hexadecimal: the lowest virtual less physical address."""
    offsets = []
    for header in headers:
        virtual, physical = int(header['vaddr'], 16), int(header['paddr'], 16)
        known = header['type'] == '1' and physical not in (0, 2**64 - 1)
        if known and virtual in _DIRECT_MAP and virtual > physical:
            offsets.append(virtual - physical)
    return f'{min(offsets):x}' if offsets else None


def registers(text):
    """The control registers of each processor in QEMU's `info registers -a`."""
    return [{'cr3': cr3, 'cr4': cr4, 'la57': bool(int(cr4, 16) & _CR4_LA57)}
            for cr3, cr4 in re.findall(r'CR3=([0-9a-f]+) CR4=([0-9a-f]+)', text)]


def cpu(cpuinfo):
    """/proc/cpuinfo of the first processor, and how many there are."""
    def field(name):
        match = re.search(rf'^{name}\s*:[ \t]*(.*)$', cpuinfo, re.M)
        return match[1] if match else ''
    flags = field('flags').split()
    return {'count': cpuinfo.count('processor\t'), 'model': field('model name'),
            'vendor': field('vendor_id'), 'la57': 'la57' in flags, 'flags': flags,
            'bugs': field('bugs').split()}


def modules(record):
    """Loaded modules: /proc/modules and /sys/module."""
    found = []
    for line in record.text('/proc/modules').splitlines():
        words = line.split()
        folder = f'/sys/module/{words[0]}/'
        entry = {'name': words[0], 'size': int(words[1]), 'refcnt': words[2],
                 'used_by': [name for name in words[3].split(',') if name not in ('', '-')],
                 'state': words[4], 'address': words[5],
                 'taints': words[6] if len(words) > 6 else ''}
        for part in ('parameters', 'sections'):
            entry[part] = record.lines_below(f'{folder}{part}/')
        for fact in _MODULE_FACTS:
            entry[fact] = record.line(folder + fact)
        entry['build_id'] = build_id(record.content(f'{folder}notes/.note.gnu.build-id'))
        found.append(entry)
    return found


def builtin_parameters(record, loaded):
    """{module: {parameter: value}} of the modules that are built in."""
    found = {}
    for name, value in record.lines_below('/sys/module/').items():
        parts = name.split('/')
        if len(parts) == 3 and parts[1] == 'parameters' and parts[0] not in loaded:
            found.setdefault(parts[0], {})[parts[2]] = value
    return found


def kmsg(content):
    """Records of /dev/kmsg (linux: Documentation/ABI/testing/dev-kmsg)."""
    found = []
    for line in text_of(content).split('\n'):
        if line.startswith(' ') and found:
            key, _, value = line[1:].partition('=')
            found[-1].setdefault('dict', {})[key] = value
            continue
        match = re.match(r'(\d+),(\d+),(\d+),([^;]*);(.*)$', line)
        if match:
            priority = int(match[1])
            text = re.sub(r'\\x([0-9a-f]{2})', lambda code: chr(int(code[1], 16)), match[5])
            found.append({'level': priority & 7, 'facility': priority >> 3, 'seq': int(match[2]),
                          'ts_us': int(match[3]), 'flags': match[4], 'text_escaped': match[5],
                          'text': text})
    return found
