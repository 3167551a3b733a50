# Build:  docker build -t pxengine .
# Run:    docker run --read-only --tmpfs /tmp -v pxengine:/var/lib/pxengine -p 8080:8080 pxengine
# Key:    docker run --rm -v pxengine:/var/lib/pxengine pxengine key add --data /var/lib/pxengine
FROM debian:bookworm-slim AS build
WORKDIR /src
# The packages first: they change less often than the sources.
COPY px ./px
COPY debian/control ./debian/control
RUN ./px packages && rm -rf /var/lib/apt/lists/*
COPY . .
RUN ./px build release pxengine pxctl && strip build/release/bin/pxengine build/release/bin/pxctl

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libcivetweb1 libcurl4 libjansson4 librocksdb7.8 libssl3 liburcu8 libwslay1 libyaml-0-2 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /var/lib/pxengine --create-home --shell /usr/sbin/nologin pxengine
COPY --from=build /src/build/release/bin/pxengine /src/build/release/bin/pxctl /usr/bin/
COPY etc/pxengine.yaml /etc/pxengine/pxengine.yaml
USER pxengine
VOLUME /var/lib/pxengine
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/pxengine"]
CMD ["run", "--config", "/etc/pxengine/pxengine.yaml", "--set", "listen=0.0.0.0:8080"]
