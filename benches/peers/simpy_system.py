"""The system of benches/sim.rs in SimPy: four servers, least connections, one process per request.

Prints requests per second and the mean latency in ms.
"""
import random
import sys
import time

import simpy

SERVERS, LOAD, SERVICE_S = 4, 0.8, 0.010


def main(requests: int, seed: int) -> None:
    draw = random.Random(seed).expovariate
    env = simpy.Environment()
    servers = [simpy.Resource(env, capacity=1) for _ in range(SERVERS)]
    in_flight = [0] * SERVERS
    total = 0.0
    last = 0

    def request(place):
        nonlocal total
        arrived = env.now
        with servers[place].request() as turn:
            yield turn
            yield env.timeout(draw(1 / SERVICE_S))
        in_flight[place] -= 1
        total += env.now - arrived

    def arrivals():
        nonlocal last
        for _ in range(requests):
            yield env.timeout(draw(SERVERS * LOAD / SERVICE_S))
            turns = [(last + step) % SERVERS for step in range(1, SERVERS + 1)]
            last = min(turns, key=in_flight.__getitem__)
            in_flight[last] += 1
            env.process(request(last))

    env.process(arrivals())
    begun = time.perf_counter()
    env.run()
    print(requests / (time.perf_counter() - begun), total / requests * 1e3)


main(int(sys.argv[1]), int(sys.argv[2]))
