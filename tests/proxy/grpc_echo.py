"""A gRPC server and a client of it, by grpcio without generated code. Used by grpc.rs.

server             listens at a free port of 127.0.0.1, prints it, serves until its input ends
client PORT        checks every kind of call through PORT; ends with 0 if all are as they should be
"""

import sys
import threading
import time
from concurrent import futures

import grpc


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata([("x-initial", metadata.get("x-asked", "nothing"))])
    context.set_trailing_metadata([("x-trailing", "yes"), ("x-raw-bin", b"\x00\xff")])
    return request.upper()


def stream(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def collect(requests, context):
    return b"".join(requests)


def bidi(requests, context):
    for request in requests:
        yield request[::-1]


def fail(request, context):
    context.set_trailing_metadata([("x-why", "quota")])
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more \u00fcber-requests, 100%")


def fail_late(request, context):
    yield b"one"
    context.abort(grpc.StatusCode.DATA_LOSS, "after a message")


def sleep(request, context):
    cancelled = threading.Event()
    context.add_callback(cancelled.set)
    cancelled.wait(20)
    SEEN["cancelled"] = SEEN.get("cancelled", 0) + 1
    return b""


def count(request, context):
    return b"%d" % SEEN.get("cancelled", 0)


SEEN = {}
SERVICE = "lab.Echo"


def server():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
        "Count": grpc.unary_unary_rpc_method_handler(count),
    }
    served = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
    served.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = served.add_insecure_port("127.0.0.1:0")
    served.start()
    print(port, flush=True)
    sys.stdin.read()
    served.stop(0)


def check(what, got, wanted):
    if got != wanted:
        sys.exit("%s: %r instead of %r" % (what, got, wanted))


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    sys.exit("a call that should fail did not")


def client(port):
    channel = grpc.insecure_channel("127.0.0.1:" + port)
    path = "/" + SERVICE + "/"
    unary = channel.unary_unary(path + "Unary")

    answer, call = unary.with_call(b"hello", metadata=[("x-asked", "this")], timeout=10)
    check("unary", answer, b"HELLO")
    check("initial metadata", dict(call.initial_metadata()).get("x-initial"), "this")
    trailing = dict(call.trailing_metadata())
    check("trailing metadata", trailing.get("x-trailing"), "yes")
    check("binary metadata", trailing.get("x-raw-bin"), b"\x00\xff")

    large = bytes(range(256)) * 12_000
    check("a large message", unary(large, timeout=20), large.upper())

    numbers = list(channel.unary_stream(path + "Stream")(b"1000", timeout=20))
    check("server stream", numbers, [b"%d" % number for number in range(1000)])

    parts = (b"%d," % number for number in range(1000))
    collected = channel.stream_unary(path + "Collect")(parts, timeout=20)
    check("client stream", collected, b"".join(b"%d," % number for number in range(1000)))

    # Each message is sent only when the one before has been answered.
    answered = threading.Semaphore(1)

    def messages():
        for number in range(200):
            if not answered.acquire(timeout=10):
                return
            yield b"%03d" % number

    got = []
    for answer in channel.stream_stream(path + "Bidi")(messages(), timeout=20):
        got.append(answer)
        answered.release()
    check("bidirectional stream", got, [(b"%03d" % number)[::-1] for number in range(200)])

    error = failure(lambda: channel.unary_unary(path + "Fail")(b"", timeout=10))
    check("status", error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
    check("message", error.details(), "no more \u00fcber-requests, 100%")
    check("trailing metadata of a failure", dict(error.trailing_metadata()).get("x-why"), "quota")

    late = channel.unary_stream(path + "FailLate")(b"", timeout=10)
    check("a message before a failure", next(late), b"one")
    check("a late status", failure(lambda: next(late)).code(), grpc.StatusCode.DATA_LOSS)

    error = failure(lambda: channel.unary_unary(path + "Missing")(b"", timeout=10))
    check("no such method", error.code(), grpc.StatusCode.UNIMPLEMENTED)

    error = failure(lambda: channel.unary_unary(path + "Sleep")(b"", timeout=0.3))
    check("a deadline", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    going = channel.unary_unary(path + "Sleep").future(b"", timeout=10)
    time.sleep(0.2)
    going.cancel()
    counting = channel.unary_unary(path + "Count")
    until = time.monotonic() + 10
    while counting(b"", timeout=10) != b"2" and time.monotonic() < until:
        time.sleep(0.05)
    check("cancelled at the server", counting(b"", timeout=10), b"2")

    going = [unary.future(b"%d" % number, timeout=20) for number in range(500)]
    got = [call.result() for call in going]
    check("500 calls at once", got, [b"%d" % number for number in range(500)])
    print("all as it should be")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server()
    else:
        client(sys.argv[2])
