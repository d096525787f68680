# What "go run" and "go test" do not do by themselves.
.PHONY: all build test check vm-check bench release packages release-check clean

all: build

build: # static binaries in bin/; credrpc-access needs a C compiler
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...
	CGO_ENABLED=1 go build -trimpath -o bin/ -ldflags '-linkmode external -extldflags -static' ./cmd/credrpc-access

test: # what the README says
	go test ./...

check: # all that must hold before a change lands; as root, and installs Debian packages
	.ci/run

vm-check: # on Debian's kernel and systemd, with AppArmor, in qemu; as root, half an hour
	go run ./deploy/vm

bench: # the quick comparison, and its result for docs/
	go run ./cmd/credrpc-bench --json bench/results/quick.json

release: # archives of static programs for amd64 and arm64, and their sums, in dist/
	deploy/release/build dist archives

packages: # the same as .deb and .rpm
	deploy/release/build dist packages

release-check: # that both are the same bytes from another directory and an empty cache
	deploy/release/check

clean:
	rm -rf bin dist
