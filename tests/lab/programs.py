# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the lab's C programs: scenario and collector for the guest, AVML for the host."""
from base import LAB, digest, files_under, run

_WARNINGS = ('-Wall', '-Wextra', '-O1')
_SCENARIO = LAB / 'guest/scenario'
_COLLECTOR = LAB / 'guest/collector'
_AVML = LAB / 'tools/lime_to_avml.c'

SCENARIO = 'scenario'                # the many programs of the scenario, dynamic
SCENARIO_STATIC = 'scenario-static'  # the same, static
COLLECTOR = 'collector'
PRELOAD = 'libevil_preload.so'


def prepare(layout, say):
    """The folder with the guest's compiled programs."""
    sources = files_under(_SCENARIO) + files_under(_COLLECTOR)
    wanted = digest(*sources)
    stamp = layout.programs / 'stamp'
    if stamp.exists() and stamp.read_text() == wanted:
        return layout.programs
    say('compiling')
    work = layout.new_work_folder('programs')
    preload = _SCENARIO / 'preload.c'
    scenario = [path for path in sources if path.parent == _SCENARIO and path.suffix == '.c']
    scenario.remove(preload)
    collector = sorted(_COLLECTOR.glob('*.c'))
    cc = ['gcc', *_WARNINGS]
    run([*cc, '-o', work / SCENARIO, *scenario, '-pthread', '-lutil', '-lrt'])
    run([*cc, '-static', '-s', '-o', work / SCENARIO_STATIC, *scenario, '-pthread', '-lutil'])
    run([*cc, '-static', '-s', '-o', work / COLLECTOR, *collector])
    run([*cc, '-shared', '-fPIC', '-o', work / PRELOAD, preload])
    (work / 'stamp').write_text(wanted)
    layout.put_in_place(work, layout.programs)
    return layout.programs


def compile_avml_writer(folder):
    """Compiles the LiME to AVML converter into a folder and returns its path."""
    program = folder / 'lime_to_avml'
    run(['gcc', *_WARNINGS, '-O2', '-msse4.2', '-o', program, _AVML, '-lsnappy'])
    return program
