"""The system of benches/sim.rs in Ciw: requests pass a node without waiting and join the one of four
nodes with the fewest requests. (Ciw breaks ties by chance, lab by turns: the latencies are the same in
the mean.)

Prints requests per second and the mean latency in ms.
"""
import sys
import time

import ciw

SERVERS, LOAD, SERVICE_S = 4, 0.8, 0.010


class FewestInFlight(ciw.routing.JoinShortestQueue):
    """Ciw's own counts only those that wait, so that an idle server and a busy one are the same to it."""

    def get_queue_size(self, node_index):
        return self.simulation.nodes[node_index].number_of_individuals


def main(requests: int, seed: int) -> None:
    ciw.seed(seed)
    nodes = list(range(2, SERVERS + 2))
    router = FewestInFlight(destinations=nodes, tie_break="random")
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=SERVERS * LOAD / SERVICE_S)]
        + [None] * SERVERS,
        service_distributions=[ciw.dists.Deterministic(value=0.0)]
        + [ciw.dists.Exponential(rate=1 / SERVICE_S)] * SERVERS,
        number_of_servers=[float("inf")] + [1] * SERVERS,
        routing=ciw.routing.NetworkRouting(routers=[router] + [ciw.routing.Leave()] * SERVERS),
    )
    simulation = ciw.Simulation(network)
    begun = time.perf_counter()
    simulation.simulate_until_max_customers(requests, method="Finish")
    took = time.perf_counter() - begun
    records = [r for r in simulation.get_all_records() if r.node > 1]
    mean = sum(r.exit_date - r.arrival_date for r in records) / len(records)
    print(len(records) / took, mean * 1e3)


main(int(sys.argv[1]), int(sys.argv[2]))
