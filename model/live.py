"""From which reachable states can the run no longer end COMMITTED (without AbortRun)? No crash is forced: a stuck state is a real dead end."""
import collections
from writepath import *
def stuck(kw):
    cfg = Cfg(**{**base, 'aborts': 0, **kw})
    s0 = init(cfg); idx = {s0: 0}; q = collections.deque([s0]); rev = [[]]; states = [s0]; par = {0: None}
    while q:
        s = q.popleft(); i = idx[s]
        for l, n in nexts(cfg, s):
            j = idx.get(n)
            if j is None:
                j = idx[n] = len(states); states.append(n); rev.append([]); q.append(n); par[j] = (i, l)
            rev[j].append(i)
    good = [k for k, s in enumerate(states) if s.run == 'D']
    seen = set(good); q = collections.deque(good)
    while q:
        for i in rev[q.popleft()]:
            if i not in seen: seen.add(i); q.append(i)
    dead = [k for k in range(len(states)) if k not in seen]
    tr = []
    if dead:
        k = min(dead)
        while par[k]: tr.append(par[k][1]); k = par[k][0]
    return len(states), len(dead), tr[::-1]
if __name__ == '__main__':
    for name, kw in (('proposed', {}), ('proposed RESUME', dict(mode='RESUME')), ('fence by attempt + contiguity', dict(guard='attempt'))):
        n, d, tr = stuck(kw); print(name, n, 'states,', d, 'dead ends'); [print('    ', x) for x in tr]
