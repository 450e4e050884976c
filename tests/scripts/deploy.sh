#!/usr/bin/env bash
# Puts a release in place and records how that went: deploy.sh RELEASE
set -Eeuo pipefail
release=$1

record() { hearth-records record "$1" "$journal" "${@:2}"; }

# Ask whatever watches this host how secure it is.
ask() {
  read -r security boundary < <(./host-security)
  states=(--security-state "$security" --boundary-state "$boundary")
}

# Whatever failed: end the record, and seal it.
failed() {
  trap - ERR
  record step-fail --step "$step" --error "$1" || true # perhaps none is open
  record finish --status failed --reason "$1" "${states[@]}" ||
    record finish --status incomplete --reason "$1" "${states[@]}" # the only end after a security escalation
  record seal --key key.pem
  exit 1
}

ask
journal=$(hearth-records record start . --id "deploy-$release" --plan plan.json --reason "release $release" "${states[@]}")
trap 'failed "line $LINENO: $BASH_COMMAND"' ERR

step=0
record step-start --step 0 --name "Unpack" --detail "release:=$release"
mkdir -p "releases/$release"
tar -xf "release-$release.tar" -C "releases/$release"
record effect --step 0 --category file_system --name "unpacked releases/$release" --reversible
record step-complete --step 0

ask
record security --name "before the switch" "${states[@]}"

step=1
record step-start --step 1 --name "Switch"
ln -sfn "releases/$release" current
record effect --step 1 --category configuration --name "current points to releases/$release" --reversible
record step-complete --step 1

step=2
record run --step 2 --name "Check" -- test -e current/index.html

record finish --status completed --reason "release $release is current" "${states[@]}"
record seal --key key.pem
