"""Runs lab's bench and its peers by turns and prints each one's speed and its share of the hand-written
loop L of the same round; see benches/peers/run."""
import argparse
import re
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MEAN_MS = (18.5, 20.6)  # of this system, 19.55; a program beyond simulates another one


def bench():
    """Requests per second of L and of lab's model, the median of five rounds of the bench's own."""
    command = ["cargo", "bench", "--quiet", "--no-default-features", "--bench", "sim", "--", "--list"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    row = lambda name: float(re.search(rf"^{re.escape(name)} +([\d.]+)", text, re.M)[1]) * 1e6
    means = re.search(r"mean latency: ([\d.]+) ms by hand, ([\d.]+) ms by the model", text)
    return [
        ("hand-written loop (L)", row("hand loop (L)"), float(means[1])),
        ("lab", row("model, mean"), float(means[2])),
    ]


def peer(name, command, requests, seed):
    text = subprocess.run([*command, str(requests), str(seed)], check=True, capture_output=True, text=True)
    speed, mean_ms = map(float, text.stdout.split())
    return name, speed, mean_ms


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nexosim")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests; noisy")
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    rounds = []
    for seed in range(1, options.rounds + 1):
        measured = bench()
        for name, command, requests in [
            ("NeXosim", [options.nexosim], 2_000_000),
            ("SimPy", [sys.executable, HERE / "simpy_system.py"], 400_000),
            ("Ciw", [sys.executable, HERE / "ciw_system.py"], 100_000),
        ]:
            measured.append(peer(name, command, requests // scale, seed))
        rounds.append(measured)
    print(f"four servers, least connections, Poisson, exponential, load 0.8, one core; {options.rounds} rounds")
    print(f"{'':22} {'requests/s':>12}   share of L (range)            lab is faster by   mean latency")
    for place, (name, _, _) in enumerate(rounds[0]):
        speeds = [measured[place][1] for measured in rounds]
        shares = [measured[place][1] / measured[0][1] for measured in rounds]
        ahead = statistics.median(measured[1][1] / measured[place][1] for measured in rounds)
        mean_ms = statistics.fmean(measured[place][2] for measured in rounds)
        print(
            f"{name:22} {statistics.median(speeds):12,.0f}   {statistics.median(shares):.5f}"
            f" ({min(shares):.5f} to {max(shares):.5f})   {ahead:16.1f}   {mean_ms:9.2f} ms"
        )
        if not options.quick and not MEAN_MS[0] < mean_ms < MEAN_MS[1]:
            sys.exit(f"{name} has a mean latency of {mean_ms:.2f} ms: not the same system")


main()
