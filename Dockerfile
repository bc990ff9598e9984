# The one binary on an empty image, beside the certificates it checks servers with.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The build records commit and tag from .git, which stays in this stage. That of a git worktree is a file that leads
# out of it.
RUN test -d .git || rm -f .git
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /backoffice ./cmd/backoffice
RUN mkdir /empty

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /backoffice /backoffice
# A spreadsheet is put together in a temporary folder: several hundred MB for a million rows.
COPY --from=build --chown=65532:65532 /empty /tmp
USER 65532:65532
ENTRYPOINT ["/backoffice"]
CMD ["worker"]
