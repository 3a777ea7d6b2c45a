"""Runs the small instances of the models and compares what they find with what must come out: `make model`, a few seconds."""
import sys

import perslice
import writepath

# Number of the case in writepath.cases -> a word of the violation that must be found, or None for safe.
WRITEPATH = {
    1: None,
    2: 'doubled rows',
    5: 'doubled rows',
    6: 'doubled rows',
    8: None,
    11: 'rows missing',
    12: 'run reported aborted',
    13: None,
}
# (clearing, takeover of a slice whose commit was sent) -> the same.
PERSLICE = {
    ('first_created', 'any'): 'old and new rows together',
    ('sql', 'guarded'): 'gone',
    ('empty_session', 'any'): 'doubled',
    ('empty_session', 'guarded'): None,
}


def judge(name, found, wanted):
    good = found is None if wanted is None else found is not None and wanted in found
    print('%-6s %s: %s' % ('ok' if good else 'WRONG', name, found or 'safe'), flush=True)
    return good


def main():
    good = True
    for number, wanted in WRITEPATH.items():
        name, settings = writepath.cases[number - 1]
        found = writepath.explore(writepath.Cfg(**{**writepath.base, **settings}))[0]
        good &= judge('write path %d, %s' % (number, name), found, wanted)
    for case, wanted in PERSLICE.items():
        good &= judge('per slice, clear=%s takeover=%s' % case, perslice.run(*case)[0], wanted)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
