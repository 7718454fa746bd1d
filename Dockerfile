# lab in one small image: the binary and nothing that it does not need. It holds every program of the
# live world (proxy, backend, autoscaler, load), which the first argument names:
#
#   docker build -t lab .
#   docker run --rm -p 8080:8080 lab backend --listen 0.0.0.0:8080
#
# The bases are arguments, so that a machine that reaches no registry can build on its own
# (compose/local-image.sh does): BINARY names the stage, or an image, that has the program in /out.
ARG BUILDER=rust:1.95-slim-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot
ARG BINARY=build

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
# What was downloaded and built stays for the next time.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin lab \
    && install -D -s target/release/lab /out/lab \
    && install -d /out/empty

FROM ${BINARY} AS binary

FROM ${RUNTIME}
LABEL org.opencontainers.image.title="lab" \
      org.opencontainers.image.description="A simulation and benchmarking laboratory for load balancers" \
      org.opencontainers.image.licenses="MIT"
COPY --from=binary /out/lab /usr/local/bin/lab
# Volumes that are mounted here begin as these folders are: empty, and the user's.
COPY --from=binary --chown=65532:65532 /out/empty /var/lib/lab
COPY --from=binary --chown=65532:65532 /out/empty /var/log/lab
COPY --from=binary --chown=65532:65532 /out/empty /run/lab
USER 65532:65532
WORKDIR /var/lib/lab
EXPOSE 8080
# Right for `lab backend` and for a proxy in front of something; other programs are asked elsewhere
# (compose/compose.yaml does).
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/lab", "health", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["/usr/local/bin/lab"]
CMD ["--help"]
