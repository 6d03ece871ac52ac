# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests of what reads the guest's record: frames and the parsers of /proc."""
import struct
import unittest

from truth import frames, parse_kernel, parse_net, parse_proc
from truth.frames import Frame, Record


class Frames(unittest.TestCase):
    """truth/frames.py"""

    def test_all_kinds(self):
        found = frames.parse(b'@@LABTRUTH 1\n@@F /proc/version 6\nLinux\n\n'
                             b'@@L /proc/1/exe 9\n/bin/init\n@@E /proc/2/exe 2\n'
                             b'@@F stat:/a\\x20b\\x5c 0\n\n@@END\nanything')
        self.assertEqual(found, {'/proc/version': Frame('F', b'Linux\n'),
                                 '/proc/1/exe': Frame('L', b'/bin/init'),
                                 '/proc/2/exe': Frame('E', error=2),
                                 'stat:/a b\\': Frame('F', b'')})

    def test_content_may_look_like_a_frame(self):
        tricky = {'a': Frame('F', b'@@END\n@@F b 3\n'), 'b': Frame('F', b'\0\xff\n')}
        self.assertEqual(frames.parse(frames.pack(tricky)), tricky)

    def test_names_of_any_bytes(self):
        name = b'/tmp/\xe2\x98\x83 \xff\\\n'.decode('utf-8', 'surrogateescape')
        self.assertEqual(frames.unescape(frames.escape(name)), name)
        self.assertTrue(frames.escape(name).isascii())

    def test_a_cut_record_is_refused(self):
        whole = frames.pack({'a': Frame('F', b'0123456789')})
        for length in range(len(whole) - 1):
            with self.assertRaises(frames.BadFrames, msg=length):
                frames.parse(whole[:length])

    def test_content_wins_over_an_error_of_the_same_name(self):
        data = (b'@@LABTRUTH 1\n@@F a 1\nx\n@@E a 13\n@@E b 2\n@@F b 1\ny\n@@END\n')
        found = frames.parse(data)
        self.assertEqual((found['a'].content, found['b'].content), (b'x', b'y'))


STATUS = 'Name:\tx y\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nNSpid:\t7\t1\n'


class Process(unittest.TestCase):
    """truth/parse_proc.py"""

    def test_stat_with_brackets_and_blanks_in_the_name(self):
        found = parse_proc.stat(b'42 (a) b (c) S 1 42 42 0 -1 4194560 5')
        self.assertEqual((found['pid'], found['comm'], found['state'], found['ppid']),
                         (42, 'a) b (c', 'S', 1))
        self.assertEqual(found['flags'], 4194560)

    def test_status(self):
        self.assertEqual(parse_proc.status(STATUS)['NSpid'], '7\t1')

    def test_maps(self):
        found = parse_proc.maps(
            '7f0000000000-7f0000001000 rwxp 00002000 fe:00 12   /a b (deleted)\n'
            'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n')
        self.assertEqual(found[0], {'start': '7f0000000000', 'end': '7f0000001000', 'perms': 'rwxp',
                                    'offset': '00002000', 'dev': 'fe:00', 'inode': 12,
                                    'path': '/a b (deleted)'})
        self.assertEqual(found[1]['path'], '[vsyscall]')

    def test_strings(self):
        self.assertEqual(parse_proc.strings(b'a\0\0b c\0'), ['a', '', 'b c'])
        self.assertEqual(parse_proc.strings(b'overwritten'), ['overwritten'])
        self.assertEqual(parse_proc.strings(b''), [])

    def test_key_values_keep_the_octal_mode_as_text(self):
        self.assertEqual(parse_proc.key_values('ino=5 mode=100644 dev=0:24'),
                         {'ino': 5, 'mode': '100644', 'dev': '0:24'})

    def test_a_process_that_went_away_is_left_out(self):
        gone = Frame('E', error=3)
        record = Record({'/proc/9/stat': gone, '/proc/9/status': gone})
        self.assertEqual(parse_proc.processes(record), [])


TCP = '''  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout
   0: 0100007F:115C 0200007F:9C41 08 00000000:00000012 00:00000000 00000000  1000        0 5501 1 \
ffff8880033f5280 100 0 0 10 0
'''


class Network(unittest.TestCase):
    """truth/parse_net.py"""

    def test_tcp(self):
        self.assertEqual(parse_net.internet_sockets(TCP), [{
            'local': '127.0.0.1', 'lport': 4444, 'remote': '127.0.0.2', 'rport': 40001,
            'state_num': 8, 'state': 'CLOSE_WAIT', 'tx_queue': 0, 'rx_queue': 18, 'uid': 1000,
            'inode': 5501, 'sk': 'ffff8880033f5280'}])

    def test_addresses(self):
        self.assertEqual(parse_net.address('0F02000A'), '10.0.2.15')
        self.assertEqual(parse_net.address('B80D0120000000000000000015000000'), '2001:db8::15')
        self.assertEqual(parse_net.address('0000000000000000FFFF00000100007F'), '::ffff:7f00:1')

    def test_unix(self):
        text = ('Num       RefCount Protocol Flags    Type St Inode Path\n'
                'ffff888003: 00000002 00000000 00010000 0001 01  5123 /run/a b.sock\n'
                'ffff888004: 00000003 00000000 00000000 0002 03  5124\n')
        found = parse_net.unix_sockets(text)
        self.assertEqual((found[0]['path'], found[0]['flags'], found[0]['inode']),
                         ('/run/a b.sock', 0x10000, 5123))
        self.assertEqual((found[1]['path'], found[1]['type']), ('', 2))

    def test_mountinfo_with_optional_fields_and_escapes(self):
        line = ('36 35 98:0 /mnt1 /mnt\\040two rw,noatime shared:1 master:2 - '
                'ext3 /dev/root rw,errors=x')
        self.assertEqual(parse_net.mountinfo(line), [{
            'id': 36, 'parent': 35, 'dev': '98:0', 'root': '/mnt1', 'mountpoint': '/mnt two',
            'options': 'rw,noatime', 'optional': ['shared:1', 'master:2'], 'fstype': 'ext3',
            'source': '/dev/root', 'super_options': 'rw,errors=x'}])


IOMEM = '''00000000-00000fff : Reserved
00001000-0009fbff : System RAM
  00002000-00002fff : System RAM inside
00100000-1ffdefff : System RAM
  01000000-01ffffff : Kernel code
'''


def note(name, kind, description):
    """One ELF note."""
    def pad(data):
        return data + bytes(-len(data) % 4)
    head = struct.pack('<III', len(name) + 1, len(description), kind)
    return head + pad(name + b'\0') + pad(description)


class Kernel(unittest.TestCase):
    """truth/parse_kernel.py"""

    def test_ram_ranges_are_those_of_the_outer_level(self):
        self.assertEqual(parse_kernel.ram_ranges(IOMEM),
                         [(0x1000, 0x9fbff), (0x100000, 0x1ffdefff)])

    def test_iomem_depth(self):
        depths = [entry['depth'] for entry in parse_kernel.iomem_tree(IOMEM)]
        self.assertEqual(depths, [0, 0, 1, 0, 1])

    def test_notes_with_padding(self):
        content = note(b'GNU', 3, b'\xab\xcd\xef')
        content += note(b'VMCOREINFO', 0, b'OSRELEASE=6\nPAGESIZE=4096')
        self.assertEqual(parse_kernel.build_id(content), 'abcdef')
        self.assertEqual(parse_kernel.vmcoreinfo(content)[0],
                         {'OSRELEASE': '6', 'PAGESIZE': '4096'})

    def test_kallsyms(self):
        found = parse_kernel.kallsyms('ffffffff81000000 T _text\nffffffffc0000000 t init\t[loop]\n'
                                      'ffffffff82000000 D init_task\nffffffff83000000 d _text\n')
        self.assertEqual(found['by_module'], {'vmlinux': 3, 'loop': 1})
        self.assertEqual(found['selected']['_text'], 'ffffffff81000000')

    def test_page_offset_ignores_what_is_not_the_direct_map(self):
        def header(virtual, physical):
            return {'type': '1', 'vaddr': f'{virtual:x}', 'paddr': f'{physical:x}'}
        headers = [header(0xffffffff81000000, 0x1000000), header(0xff11000000001000, 0x1000),
                   header(0xff11000100000000, 0x100000000), header(0xffa0000000000000, 2**64 - 1)]
        self.assertEqual(parse_kernel.page_offset(headers), 'ff11000000000000')
        self.assertIsNone(parse_kernel.page_offset(headers[:1]))

    def test_registers_and_la57(self):
        text = 'CPU#0\nCR0=80050033 CR2=00 CR3=000000000a8c2000 CR4=00751ef0\n'
        self.assertEqual(parse_kernel.registers(text),
                         [{'cr3': '000000000a8c2000', 'cr4': '00751ef0', 'la57': True}])

    def test_kmsg(self):
        found = parse_kernel.kmsg(b'6,10,200,-;usb \\x41 found\n SUBSYSTEM=usb\n30,11,201,c;x\n')
        self.assertEqual((found[0]['text'], found[0]['dict']),
                         ('usb A found', {'SUBSYSTEM': 'usb'}))
        self.assertEqual((found[1]['level'], found[1]['facility']), (6, 3))


if __name__ == '__main__':
    unittest.main()
