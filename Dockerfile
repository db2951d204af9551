# notifier as a container: one static binary, no shell, no root, and nothing to
# write but the folder of the state file and /tmp. docs/install.md shows how to run it.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN make build VERSION=$VERSION
RUN mkdir -p /rootfs/etc/notifier /rootfs/tmp /rootfs/var/lib/notifier

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /rootfs/tmp /tmp
COPY --from=build --chown=65532:65532 /rootfs/var/lib/notifier /var/lib/notifier
COPY --from=build /rootfs/etc/notifier /etc/notifier
COPY --from=build /src/bin/notifier /usr/local/bin/notifier
ENV PATH=/usr/local/bin STATE_DIRECTORY=/var/lib/notifier
USER 65532:65532
VOLUME /var/lib/notifier
EXPOSE 8484
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/usr/local/bin/notifier", "health"]
ENTRYPOINT ["/usr/local/bin/notifier"]
CMD ["run"]
