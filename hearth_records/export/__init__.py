"""A sealed record in forms that others check without our code (FORMAT §15). Each module is one form, pure: no I/O.

    dsse             a DSSE envelope, and back
    sigstore_bundle  a Sigstore bundle v0.3
    sshsig           a second signature, as `ssh-keygen -Y verify` takes it
    evidence         preimage, raw signatures, keys, timestamps and the shell commands that check them

Nothing but `sshsig` signs anything. What is exported is as good as the record that it came from: verify that first.
"""
