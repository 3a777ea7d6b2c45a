#!/usr/bin/env python3
"""PER_SLICE visibility and AT_OPEN clearing: two slices, one tunnel session each, old rows X in the table.
clear: 'first_created' = the session created first carries overwrite; 'empty_session' = an empty overwrite session is committed
(and known closed) before any slice commit; 'sql' = TRUNCATE sent by whichever replica has not yet seen it done (two replicas).
takeover: a slice whose commit was sent but not recorded may ('any') or may not ('guarded') be taken over with DISCARD."""
import collections, sys
S = collections.namedtuple('S', 'tab sl sess posts clr reps tak first')
# tab: tuple of rows; sl[i]: 'new','open','committing','done'; sess: tuple of (slice, attempt, overwrite, closed)
# posts: frozenset of session indexes / 'CLR' / ('T',k) in flight; clr: 'no','done'; reps: what each replica did about clearing
def nxt(s, clear, takeover):
    o = []
    for i in (0, 1):
        st = s.sl[i]
        if st == 'new':
            ow = clear == 'first_created' and s.first
            o.append(('slice %d opens, session %s' % (i, 'overwrite' if ow else 'append'), s._replace(sl=S_(s.sl, i, 'open'), sess=s.sess + ((i, 1, ow, 0),), first=0)))
        cur = max((k for k, q in enumerate(s.sess) if q[0] == i), default=None)
        if st == 'open' and (clear == 'first_created' or s.clr == 'done'):
            o.append(('slice %d seals, commit sent' % i, s._replace(sl=S_(s.sl, i, 'committing'), posts=s.posts | {cur})))
        if st == 'committing' and s.sess[cur][3]:
            o.append(('slice %d recorded committed' % i, s._replace(sl=S_(s.sl, i, 'done'))))
        if st in ('open', 'committing') and s.tak and (takeover == 'any' or st == 'open'):
            o.append(('slice %d taken over, new session' % i, s._replace(tak=0, sl=S_(s.sl, i, 'open'), sess=s.sess + ((i, 2, 0, 0),))))
    if clear == 'empty_session' and s.clr == 'no':
        o.append(('clear POST sent', s._replace(posts=s.posts | {'CLR'}, clr='sent')))
    if clear == 'empty_session' and s.clr == 'sent' and s.reps[0]:
        o.append(('clear recorded', s._replace(clr='done')))
        o.append(('clear sent again by other replica', s._replace(posts=s.posts | {'CLR'})))
    if clear == 'sql':
        for k in (0, 1):
            if s.clr != 'done' and ('T', k) not in s.posts and not s.reps[k]:
                o.append(('replica %d sends TRUNCATE' % k, s._replace(posts=s.posts | {('T', k)}, reps=S_(s.reps, k, 1))))
        if s.reps[0] == 2 or s.reps[1] == 2:
            if s.clr != 'done': o.append(('truncation recorded', s._replace(clr='done')))
    for p in s.posts:
        r = s.posts - {p}
        if p == 'CLR':
            if s.reps[0]: o.append(('late clear POST: session closed, no effect', s._replace(posts=r)))
            else: o.append(('clear applied', s._replace(posts=r, tab=(), reps=(1, 1))))
        elif isinstance(p, tuple): o.append(('TRUNCATE of replica %d applied' % p[1], s._replace(posts=r, tab=(), reps=S_(s.reps, p[1], 2))))
        else:
            i, a, ow, c = s.sess[p]
            row = 's%d' % i
            if c: o.append(('late commit: no effect', s._replace(posts=r)))
            else: o.append(('commit of slice %d applied' % i, s._replace(posts=r, sess=S_(s.sess, p, (i, a, ow, 1)), tab=((row,) if ow else tuple(sorted(s.tab + (row,)))))))
    return o
def S_(t, i, v): return t[:i] + (v,) + t[i+1:]
def bad(s):
    for i in (0, 1):
        if s.sl[i] == 'done' and 's%d' % i not in s.tab: return 'committed rows of slice %d are gone: %r' % (i, s.tab)
        if s.tab.count('s%d' % i) > 1: return 'rows of slice %d doubled: %r' % (i, s.tab)
    if 'X' in s.tab and len(s.tab) > 1: return 'old and new rows together: %r' % (s.tab,)
def run(clear, takeover):
    s0 = S(("X",), ("new", "new"), (), frozenset(), "no", (0, 0), TAK, 1)
    seen = {s0: None}; q = collections.deque([s0])
    while q:
        s = q.popleft(); b = bad(s)
        if b:
            tr = []
            while seen[s]: s, l = seen[s]; tr.append(l)
            return b, tr[::-1], len(seen)
        for l, n in nxt(s, clear, takeover):
            if n not in seen: seen[n] = (s, l); q.append(n)
    return None, [], len(seen)
TAK = int(sys.argv[1]) if len(sys.argv) > 1 else 1
if __name__ == '__main__':
    for clear in ('first_created', 'sql', 'empty_session'):
        for tk in ('any', 'guarded'):
            b, tr, n = run(clear, tk)
            print('clear=%s takeover=%s: %s [%d states]' % (clear, tk, b or 'SAFE', n))
            for l in tr: print('      ', l)
