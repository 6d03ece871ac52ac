# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of the text that /proc has for one process."""
import re

from truth.frames import text_of

# proc(5), from the third field on.
_STAT_FIELDS = '''state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime
    stime cutime cstime priority nice num_threads itrealvalue starttime vsize rss rsslim startcode
    endcode startstack kstkesp kstkeip signal blocked sigignore sigcatch wchan nswap cnswap
    exit_signal processor rt_priority policy delayacct_blkio_ticks guest_time cguest_time
    start_data end_data start_brk arg_start arg_end env_start env_end exit_code'''.split()
_MM_FIELDS = '''startcode endcode startstack start_data end_data start_brk arg_start arg_end
    env_start env_end'''.split()
_FDINFO_KEYS = '''pos flags mnt_id ino size eventfd-count sigmask Pid NSpid prog_type prog_id
    map_type map_id clockid it_value it_interval'''.split()
_PLAIN_FILES = '''oom_score_adj loginuid sessionid cgroup wchan uid_map gid_map personality
    timerslack_ns limits auxv syscall stack attr/current timers'''.split()
_PF_KTHREAD = 0x200000


def key_values(text):
    """{"size": 12, "mode": "100644"} of "size=12 mode=100644": numbers where they are decimal."""
    pairs = (word.partition('=')[::2] for word in text.split())
    return {key: int(value) if re.fullmatch(r'\d+', value) and key != 'mode' else value
            for key, value in pairs}


def status(text):
    """/proc/PID/status as a mapping of texts."""
    pairs = (line.partition(':')[::2] for line in text.splitlines())
    return {key: value.strip() for key, value in pairs}


def stat(content):
    """/proc/PID/stat. The name may hold blanks and brackets, so its end is the last bracket."""
    text = text_of(content)
    name_end = text.rindex(')')
    values = text[name_end + 2:].split()
    fields = {key: value if key == 'state' else int(value)
              for key, value in zip(_STAT_FIELDS, values)}
    comm = text[text.index('(') + 1:name_end]
    return {'pid': int(text[:text.index(' ')]), 'comm': comm, **fields}


def maps(text):
    """/proc/PID/maps; addresses and offsets as hexadecimal texts."""
    pattern = re.compile(r'([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+)\s*(.*)$')
    found = []
    for line in text.splitlines():
        start, end, perms, offset, device, inode, path = pattern.match(line).groups()
        found.append({'start': start, 'end': end, 'perms': perms, 'offset': offset, 'dev': device,
                      'inode': int(inode), 'path': path})
    return found


def strings(content):
    """The strings of /proc/PID/cmdline or environ; a program may have overwritten the last NUL."""
    if not content:
        return []
    return [text_of(part) for part in content.removesuffix(b'\0').split(b'\0')]


def _numbers(text):
    return [int(word) for word in (text or '').split()]


def _descriptors(record, prefix):
    found = []
    for name in record.below(f'{prefix}fd/'):
        if not record.is_link(name):
            continue
        number = name.removeprefix(f'{prefix}fd/')
        entry = {'fd': int(number), 'link': record.text(name)}
        file_status = record.text(f'stat:{name}')
        if file_status:
            entry['stat'] = key_values(file_status)
        info = record.text(f'{prefix}fdinfo/{number}')
        if info:
            entry['fdinfo_raw'] = info
            entry['fdinfo'] = {key: value for key, value in status(info).items()
                               if key in _FDINFO_KEYS}
        found.append(entry)
    return sorted(found, key=lambda entry: entry['fd'])


def _threads(record, prefix):
    found = []
    for name in record.below(f'{prefix}task/'):
        folder, _, file = name.rpartition('/')
        if file != 'status' or record.content(f'{folder}/stat') is None:
            continue
        thread, facts = status(record.text(name)), stat(record.content(f'{folder}/stat'))
        found.append({
            'tid': facts['pid'], 'comm': record.line(f'{folder}/comm'), 'state': thread['State'],
            'nspid': _numbers(thread.get('NSpid')), 'uid': _numbers(thread['Uid']),
            'gid': _numbers(thread['Gid']), 'starttime_ticks': facts['starttime'],
            'flags': facts['flags'], 'wchan': record.line(f'{folder}/wchan'),
            'children': _numbers(record.text(f'{folder}/children'))})
    return sorted(found, key=lambda thread: thread['tid'])


def _identity(record, prefix, pid, facts, summary):
    return {
        'pid': pid, 'tgid': int(summary['Tgid']), 'ppid': int(summary['PPid']),
        'comm': record.line(f'{prefix}comm'), 'state': summary['State'],
        'kthread': bool(facts['flags'] & _PF_KTHREAD), 'flags': facts['flags'],
        'exit_code': facts['exit_code'], 'starttime_ticks': facts['starttime'],
        'nice': facts['nice'], 'prio': facts['priority'], 'policy': facts['policy'],
        'tty_nr': facts['tty_nr'], 'session': facts['session'], 'pgrp': facts['pgrp'],
        'utime': facts['utime'], 'stime': facts['stime'],
        'uid': _numbers(summary['Uid']), 'gid': _numbers(summary['Gid']),
        'groups': _numbers(summary.get('Groups')), 'nspid': _numbers(summary.get('NSpid')),
        'nstgid': _numbers(summary.get('NStgid')), 'tracer_pid': int(summary['TracerPid'])}


def _select(summary, keys):
    return {key: summary[key] for key in keys if key in summary}


def process(record, pid):
    """Everything about one process, or None where it was gone before its status was read."""
    prefix = f'/proc/{pid}/'
    if record.content(f'{prefix}stat') is None or record.content(f'{prefix}status') is None:
        return None
    summary, facts = status(record.text(f'{prefix}status')), stat(record.content(f'{prefix}stat'))
    arguments = record.content(f'{prefix}cmdline') or b''
    found = _identity(record, prefix, pid, facts, summary)
    found.update({
        'caps': _select(summary, ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')),
        'no_new_privs': summary.get('NoNewPrivs'), 'seccomp': summary.get('Seccomp'),
        'sig': _select(summary, ('SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt')),
        'vm': {key: value for key, value in summary.items() if key.startswith('Vm')},
        'cmdline': strings(arguments), 'cmdline_raw': text_of(arguments),
        'environ': strings(record.content(f'{prefix}environ')),
        'exe': record.text(f'{prefix}exe'), 'cwd': record.text(f'{prefix}cwd'),
        'root': record.text(f'{prefix}root'), 'mm': _select(facts, _MM_FIELDS)})
    for name in _PLAIN_FILES:
        content = record.content(prefix + name)
        if content is not None:
            found[name] = content.hex() if name == 'auxv' else text_of(content).rstrip('\n')
    links = record.lines_below(f'{prefix}ns/')
    found['ns'] = {name: target for name, target in links.items() if target}
    found['maps'] = maps(record.text(f'{prefix}maps') or '')
    found['fds'] = _descriptors(record, prefix)
    found['threads'] = _threads(record, prefix)
    pages = record.text(f'{prefix}pagemap')
    if pages:
        found['pagemap'] = [line.split(' ') for line in pages.splitlines()]
    return found


def processes(record):
    """All recorded processes by pid."""
    pids = {int(match[1]) for name in record.frames if (match := re.match(r'/proc/(\d+)/', name))}
    return [found for pid in sorted(pids) if (found := process(record, pid))]
